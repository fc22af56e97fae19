"""The web as a source: pages, sitemaps, feeds and a polite crawl that reaches public hosts only."""
