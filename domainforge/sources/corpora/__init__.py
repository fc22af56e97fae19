"""Public corpora as they are published: Common Crawl, Wikipedia, The Pile, OpenAssistant."""
