"""Comparisons by a model's embeddings: near-duplicates of test images, and how well a text fits its image.

Legend: B images at once, I distinct images of a batch, T test images, D the width of the model's space.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from openalign.curation.engine.cached_map import batches_of, count_rows
from openalign.curation.images.inspection import STORED_COLUMNS, StoredImages
from openalign.curation.isolation.records import Problem, each_of, one_record, problems_among
from openalign.data.pairs.pairs import Pairs
from openalign.model.dual_encoder import DualEncoder, embed_pairs_images
from openalign.progress import bar

SIMILARITIES = pa.schema([("occurrence", pa.int64()), ("similarity", pa.float64())])
"""One row per pair: the cosine of its image and its text."""

_BATCH = 256
_TESTS_AT_ONCE = 1 << 16
_SHOWN = 200  # characters of an image's or text's name in the report's line


def nearest_test_images(
    model: DualEncoder, inspected: Sequence[Path], tests: Sequence[Pairs], cosine: float
) -> tuple[list[tuple[str, int, int]], list[str]]:
    """The images of `inspected` whose embedding is closer than `cosine` to a test image's.

    `inspected` are files of `inspection.INSPECTED`, the JPEGs beside them. Each image comes as (image, test set, row in
    it); beside them a line for each image that could not be read or embedded. Every stored image is compared with
    every test image. The paper (Appendix A) compares only images that share a bucket of cluster numbers, which may miss
    some; a test set of 100,000 images costs 64 million products for a width of 640, less than a thousandth of
    embedding the image, so there is nothing to save.
    """
    rows: list[tuple[int, int]] = []
    vectors = [np.empty((0, model.width), np.float32)]
    problems: list[str] = []
    for number, pairs in enumerate(tests):
        vectors_MD, rows_M, unreadable = embed_pairs_images(model, pairs)
        rows += [(number, int(row)) for row in rows_M]
        vectors.append(vectors_MD)
        problems += unreadable
    tests_TD = np.concatenate(vectors)
    found = []
    with (
        StoredImages(inspected[0].parent) as images,
        bar("Comparing with test images", count_rows(inspected)) as running,
    ):
        for batch in _stored(inspected):
            names = batch["image"].to_pylist()
            stored = [images.read(row) for row in batch.select(STORED_COLUMNS).to_pylist()]
            vectors_BD, failed = _vectors(partial(_embedded_images, model), stored, names, model.width)
            problems += failed
            cosines_B, nearest_B = nearest(vectors_BD, tests_TD)
            close = np.flatnonzero(cosines_B > cosine)
            found += [(names[row], *rows[nearest_B[row]]) for row in close]
            running.advance(len(names))
    return found, problems


def nearest(
    vectors_BD: NDArray[np.float32], tests_TD: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The largest cosine (B,) of each row with a row of `tests_TD`, and its index there (B,), the first of equals.

    Rows are unit vectors. Without tests the cosines are -inf.
    """
    best_B = np.full(len(vectors_BD), -np.inf, np.float32)
    index_B = np.zeros(len(vectors_BD), np.int64)
    for start in range(0, len(tests_TD), _TESTS_AT_ONCE):
        cosines_BT = vectors_BD @ tests_TD[start : start + _TESTS_AT_ONCE].T
        column_B = cosines_BT.argmax(1)
        found_B = np.take_along_axis(cosines_BT, column_B[:, None], 1)[:, 0]
        better = found_B > best_B
        best_B[better], index_B[better] = found_B[better], column_B[better] + start
    return best_B, index_B


def similarities(model: DualEncoder, pairs: Path, stored: Path, problems: list[str]) -> pa.Table:
    """The cosine of image and text of each pair in a Parquet file: `SIMILARITIES`. The JPEGs are in folder `stored`.

    The file has `occurrence`, `image`, `text` and `STORED_COLUMNS`, ordered by image, so that an image with several
    texts is embedded once, or twice at the border of two batches. A line for each image or text that the model fails on
    is appended to `problems`; its pairs have no similarity.
    """
    tables = [SIMILARITIES.empty_table()]
    file = pq.ParquetFile(pairs)
    with StoredImages(stored) as images, bar("Scoring pairs", file.metadata.num_rows) as running:
        for batch in file.iter_batches(_BATCH):
            rows = batch.to_pylist()
            firsts = {row["image"]: row for row in reversed(rows)}
            index_of = {image: number for number, image in enumerate(firsts)}
            jpegs = [images.read(row) for row in firsts.values()]
            vectors_ID, failed = _vectors(partial(_embedded_images, model), jpegs, list(firsts), model.width)
            problems += failed
            texts = [row["text"] for row in rows]
            texts_BD, failed = _vectors(partial(_embedded_texts, model), texts, texts, model.width)
            problems += failed
            cosines_B = (vectors_ID[[index_of[row["image"]] for row in rows]] * texts_BD).sum(1, dtype=np.float64)
            known = pa.array(cosines_B, pa.float64(), mask=np.isnan(cosines_B))
            tables.append(pa.table([batch["occurrence"], known], schema=SIMILARITIES))
            running.advance(len(rows))
    return pa.concat_tables(tables)


@one_record
def _embedded_images(model: DualEncoder, images: Sequence[bytes]) -> NDArray[np.float32]:
    return model.embed_images(images)


@one_record
def _embedded_texts(model: DualEncoder, texts: Sequence[str]) -> NDArray[np.float32]:
    return model.embed_texts(texts)


def _vectors(
    embed: Callable[[Sequence[Any]], Any], items: Sequence[Any], names: Sequence[str], width: int
) -> tuple[NDArray[np.float32], list[str]]:
    """(B, D), NaN where the model failed, and a line for each of those."""
    found = each_of(embed, items)
    rows = [np.full(width, np.nan, np.float32) if isinstance(each, Problem) else each for each in found]
    return np.stack(rows), problems_among(found, [f"{name[:_SHOWN]} (embedding)" for name in names])


def _stored(inspected: Sequence[Path]) -> Iterator[pa.RecordBatch]:
    for batch in batches_of(inspected, _BATCH, ["image", *STORED_COLUMNS]):
        stored = batch.filter(batch["stored_in"].is_valid())
        if len(stored):
            yield stored
