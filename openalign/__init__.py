"""openalign: learn from noisy image alt-text, from a web crawl to a search page."""

__version__ = "0.1.0"
