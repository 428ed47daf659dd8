"""Shards: WebDataset tars with a Parquet index beside each, so that any sample can be read at once.

A sample is `KEY.jpg` (or `.png`, `.webp`, `.gif`, ...), `KEY.txt` and `KEY.json`. The index of `shard-00000.tar` is
`shard-00000.index.parquet`: `key`, `text`, `image_offset` and `image_size` in bytes within the tar, `image_digest`, and
the fields of the samples' JSON. Tars that other tools wrote (img2dataset, WebDataset) have no index: it is read out of
the tar, and their images have no digest to compare with.
"""
