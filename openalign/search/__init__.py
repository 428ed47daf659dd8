"""Embeddings -> index -> search results (paper section 6, 'Visualization')."""

from openalign.search.index import Index
from openalign.search.query.language import parse_query
from openalign.search.results.hits import Hit

__all__ = ["Hit", "Index", "parse_query"]
