"""The index on disk: a folder with vectors, a table of rows, and the model that made them.

    vectors.G.f16      (rows, width) float16 of generation G, row-major, no header; only ever appended to
    graph.G.R.usearch  an HNSW graph over the first R of these rows, from EXACT_BELOW rows on
    rows.sqlite        in WAL mode: `state`, `images`, `thumbnails`, `files` (the names of images in their sources),
                       `deleted` (rows), `blocks` (check values of the vectors) and `problems`
    map.N.parquet      positions of the images on a plane (see `search.map`), by their ids
    meta.json          a copy of `state` for people and other programs

Row r of the vectors is the row r of `images`, for as long as the image is there. `state` says how many rows count: one
transaction of SQLite adds a batch, after its vectors were synced to the disk. What a killed writer left behind the last
row is cut off by the next one. An opened index is a snapshot: it keeps its transaction and its files while a writer
adds, deletes or compacts.
"""

from openalign.search.store.reader import Store, evenly_spaced

__all__ = ["Store", "evenly_spaced"]
