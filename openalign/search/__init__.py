"""Embeddings -> index -> answers (paper section 6, 'Visualization')."""
