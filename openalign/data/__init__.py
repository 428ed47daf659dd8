"""Shards -> batches: the file formats that every other stage reads and writes, and the loader that trains from them."""
