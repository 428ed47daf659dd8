"""What a model's embeddings say of images and texts: near-duplicates of test images, and how well a text fits.

Legend: B images at once, T test images, D the width of the model's space.
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
from openalign.curation.images.inspection import StoredImages
from openalign.curation.isolation.records import Problem, each_of, one_record, problems_among
from openalign.data.pairs.pairs import Pairs
from openalign.model.dual_encoder import DualEncoder, embed_pairs_images
from openalign.progress import bar

SIMILARITIES = pa.schema([("occurrence", pa.int64()), ("similarity", pa.float64())])
"""One row a pair: the cosine of its image and its text."""

_AT_ONCE = 256
_TESTS_AT_ONCE = 1 << 16
_SHOWN = 200  # characters of an image's or text's name in the report's line
_STORED = ["stored_in", "stored_at", "stored_size"]


def nearest_test_images(
    model: DualEncoder, seen: Sequence[Path], tests: Sequence[Pairs], cosine: float
) -> tuple[list[tuple[str, int, int]], list[str]]:
    """The images of `seen` (Parquet files, see judge.JUDGED, the JPEGs beside them) whose
    embedding is closer than `cosine` to a test image's.

    Each as (image, test set, row of it), and a sentence for each image that could not be read or embedded. Every
    stored image is compared with every test image. The paper (Appendix A) looks only among images that share a bucket
    of cluster numbers, which may miss some; a test set of 100,000 images costs 64 million products for a width of 640,
    less than a thousandth of embedding the image, so there is nothing to save.
    """
    places: list[tuple[int, int]] = []
    vectors = [np.empty((0, model.width), np.float32)]
    problems: list[str] = []
    for number, pairs in enumerate(tests):
        vectors_MD, rows_M, unreadable = embed_pairs_images(model, pairs)
        places += [(number, int(row)) for row in rows_M]
        vectors.append(vectors_MD)
        problems += unreadable
    tests_TD = np.concatenate(vectors)
    found = []
    folder = seen[0].parent
    with StoredImages(folder) as images, bar("Comparing with test images", count_rows(seen)) as running:
        for batch in _stored(seen):
            names = batch["image"].to_pylist()
            stored = [images.read(row) for row in batch.select(_STORED).to_pylist()]
            vectors_BD, failed = _vectors(partial(_embedded_images, model), stored, names, model.width)
            problems += failed
            cosines_B, nearest_B = nearest(vectors_BD, tests_TD)
            close = np.flatnonzero(cosines_B > cosine)
            found += [(names[row], *places[nearest_B[row]]) for row in close]
            running.advance(len(names))
    return found, problems


def nearest(
    vectors_BD: NDArray[np.float32], tests_TD: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The largest cosine of each row with a row of `tests_TD`, (B,), and which that is, the first of equals; unit rows.

    Without tests the cosines are -inf.
    """
    best_B = np.full(len(vectors_BD), -np.inf, np.float32)
    place_B = np.zeros(len(vectors_BD), np.int64)
    for start in range(0, len(tests_TD), _TESTS_AT_ONCE):
        cosines_BT = vectors_BD @ tests_TD[start : start + _TESTS_AT_ONCE].T
        column_B = cosines_BT.argmax(1)
        found_B = np.take_along_axis(cosines_BT, column_B[:, None], 1)[:, 0]
        better = found_B > best_B
        best_B[better], place_B[better] = found_B[better], column_B[better] + start
    return best_B, place_B


def similarities(model: DualEncoder, pairs: Path, stored: Path, problems: list[str]) -> pa.Table:
    """The cosine of image and text of each pair of a Parquet file, `SIMILARITIES`; the JPEGs lie in folder `stored`.

    Its columns are `occurrence`, `image`, `text` and where the JPEG is stored (see judge.JUDGED), ordered by image, so
    that one with several texts is embedded once or, where they lie in two batches, twice. A line for each image or text
    that the model fails at is added to `problems`; its pairs have no similarity.
    """
    parts = [SIMILARITIES.empty_table()]
    file = pq.ParquetFile(pairs)
    with StoredImages(stored) as images, bar("Scoring pairs", file.metadata.num_rows) as running:
        for batch in file.iter_batches(_AT_ONCE):
            rows = batch.to_pylist()
            firsts = {row["image"]: row for row in reversed(rows)}
            place = {image: number for number, image in enumerate(firsts)}
            jpegs = [images.read(row) for row in firsts.values()]
            vectors_ID, failed = _vectors(partial(_embedded_images, model), jpegs, list(firsts), model.width)
            problems += failed
            texts = [row["text"] for row in rows]
            texts_BD, failed = _vectors(partial(_embedded_texts, model), texts, texts, model.width)
            problems += failed
            cosines_B = (vectors_ID[[place[row["image"]] for row in rows]] * texts_BD).sum(1, dtype=np.float64)
            known = pa.array(cosines_B, pa.float64(), mask=np.isnan(cosines_B))
            parts.append(pa.table([batch["occurrence"], known], schema=SIMILARITIES))
            running.advance(len(rows))
    return pa.concat_tables(parts)


@one_record
def _embedded_images(model: DualEncoder, images: Sequence[bytes]) -> NDArray[np.float32]:
    return model.embed_images(images)


@one_record
def _embedded_texts(model: DualEncoder, texts: Sequence[str]) -> NDArray[np.float32]:
    return model.embed_texts(texts)


def _vectors(
    embed: Callable[[Sequence[Any]], Any], items: Sequence[Any], names: Sequence[str], width: int
) -> tuple[NDArray[np.float32], list[str]]:
    """(B, D), NaN where the model failed, and a line for each of these."""
    found = each_of(embed, items)
    rows = [np.full(width, np.nan, np.float32) if isinstance(each, Problem) else each for each in found]
    return np.stack(rows), problems_among(found, [f"{name[:_SHOWN]} (embedding)" for name in names])


def _stored(seen: Sequence[Path]) -> Iterator[pa.RecordBatch]:
    for batch in batches_of(seen, _AT_ONCE, ["image", *_STORED]):
        stored = batch.filter(batch["stored_in"].is_valid())
        if len(stored):
            yield stored
