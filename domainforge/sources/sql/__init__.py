"""SQL databases as a source: a query gives rows, and a template makes a document of each."""
