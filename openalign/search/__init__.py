"""Embeddings -> index -> search results (paper section 6, 'Visualization')."""

from openalign.search.index import Hit, Index
from openalign.search.query.language import parse_query

__all__ = ["Hit", "Index", "parse_query"]
