"""A miniature web with known truth, and the whole road walked on it."""
