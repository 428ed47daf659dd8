"""Embeddings -> index -> search results (paper section 6, 'Visualization')."""

from openalign.search.index import Hit, Index

__all__ = ["Hit", "Index"]
