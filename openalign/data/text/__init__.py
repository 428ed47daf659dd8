"""Texts -> padded batches of WordPiece ids."""
