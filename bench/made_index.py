"""An index of made rows, written in minutes where images would take days: for scripts that measure searching.

    python bench/made_index.py WORK ROWS WIDTH LAYERS

writes WORK/clip (see `clip_model.py`) and WORK/ROWS.index, and for rclip WORK/rclip, if WIDTH is what rclip has.

Vectors are drawn around 1,000 centres and have unit length; every row has the name of a file that is not there and one
grey thumbnail. Rows go through the writer of indexes, in batches of 2,000. The graph is built with fewer nodes in view
(HNSW's efConstruction) than ours, which changes what it finds, not its size, nor what is read to open it.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from clip_model import WIDTH, write_clip, write_rclip

from openalign.data.images.decode import encode_jpeg
from openalign.model import hub
from openalign.search import graph
from openalign.search.store.changes import Facts, Listed, NewImage
from openalign.search.store.meta import Meta
from openalign.search.store.writer import IndexWriter

_BATCH, _CENTRES = 2000, 1000


def write_index(folder: Path, rows: int, width: int, model: str, fingerprint: str, view: int = 16) -> Path:
    """An index of `rows` x `width` that names `model`, unless it is there."""
    if (folder / "meta.json").exists():
        return folder
    folder.mkdir(parents=True)
    begin_with = Meta(width, model, model, fingerprint, ["/made"], sources_beside=[None])
    writer = IndexWriter(folder, begin_with)
    # Each batch is synced otherwise; these rows can be made again.
    writer._table.execute("PRAGMA synchronous = OFF")
    for images in _batches(rows, width):
        writer.add(images)
    before, graph._VIEW_WHEN_BUILT = graph._VIEW_WHEN_BUILT, view
    if rows >= 50_000:
        writer.make_graph()
    graph._VIEW_WHEN_BUILT = before
    writer.finish(writer.meta, [])
    writer.close()
    return folder


def _batches(rows: int, width: int) -> Iterator[list[NewImage]]:
    chance = np.random.default_rng(0)
    centres = chance.standard_normal((_CENTRES, width), np.float32)
    thumbnail = encode_jpeg(np.full((24, 32, 3), 128, np.uint8))
    for first in range(0, rows, _BATCH):
        count = min(_BATCH, rows - first)
        vectors = centres[chance.integers(0, _CENTRES, count)] + chance.standard_normal((count, width), np.float32)
        vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
        yield [_image(first + row, vector, thumbnail) for row, vector in enumerate(vectors)]


def _image(row: int, vector: np.ndarray, thumbnail: bytes) -> NewImage:
    name = f"{row // 1000:04}/{row:07}.jpg"
    listed = Listed(0, name, 0, "", name, None, None, None, None)
    return NewImage(row.to_bytes(16, "big"), Facts(640, 480, 100_000), thumbnail, vector, [listed])


if __name__ == "__main__":
    work, (rows, width, layers) = Path(sys.argv[1]), map(int, sys.argv[2:])
    clip = write_clip(work / "clip", layers, width)
    write_index(work / f"{rows}.index", rows, width, str(clip), hub.load(clip).fingerprint)
    if width == WIDTH:
        write_rclip(clip, work / "rclip")
