"""Texts as padded batches of WordPiece ids."""
