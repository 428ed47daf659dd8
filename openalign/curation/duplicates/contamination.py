"""Near-duplicates of test images among the inspected ones: by perceptual hash, or by a model's embeddings."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from openalign.curation.duplicates.search import Fingerprints, find_near_duplicates
from openalign.curation.duplicates.settings import DuplicateSettings
from openalign.curation.engine.cached_map import batches_of
from openalign.curation.images.embeddings import nearest_test_images
from openalign.curation.images.fingerprint import COLOUR_SIDE, SIDE
from openalign.curation.images.inspection import FINGERPRINT_COLUMNS
from openalign.curation.images.settings import ImageSettings, StorageSettings
from openalign.curation.images.single_image import inspect_image
from openalign.curation.isolation.records import Problem, RecordError, one_record
from openalign.data.pairs.pairs import Pairs
from openalign.progress import track

MATCHES = pa.schema(
    [("image", pa.string()), ("test_set", pa.int32()), ("test_row", pa.int64()), ("test_image", pa.string())]
)
"""One row per image that is a near-duplicate of a test image: the set, the row in it, and that row's name."""

_ROWS_AT_ONCE = 1 << 16
_Fingerprint = tuple[int, bytes, bytes]  # hash, thumbnail, colours


def match_tests(
    inspected: Sequence[Path],
    tests: Sequence[Pairs],
    settings: DuplicateSettings,
    image: ImageSettings,
    problems: list[str],
) -> pa.Table:
    """Compare all images of `inspected` (files of `inspection.INSPECTED`) with all of `tests`: `MATCHES`.

    A line for each image that could not be read or embedded is appended to `problems`.
    """
    if settings.duplicate_model is not None:
        from openalign.model.hub import load  # transformers, which few curations need

        model = load(settings.duplicate_model)
        close, failed = nearest_test_images(model, inspected, tests, settings.duplicate_cosine)
        problems += failed
        return _table([(image, number, row, tests[number].row_name(row)) for image, number, row in close])
    rows, known, unreadable = _read_tests(tests, image)
    problems += unreadable
    matches = []
    columns = ["image", *FINGERPRINT_COLUMNS]
    for batch in batches_of(inspected, _ROWS_AT_ONCE, columns) if rows else ():
        readable = batch.filter(batch["hash"].is_valid())
        images, *values = (readable[name].to_pylist() for name in columns)
        for match in find_near_duplicates(fingerprints(list(zip(*values, strict=True))), known, settings):
            test_set, row = rows[match.test]
            matches.append((images[match.corpus], test_set, row, tests[test_set].row_name(row)))
    return _table(matches)


def _table(matches: Sequence[tuple[str, int, int, str]]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(MATCHES.names, match, strict=True)) for match in matches], schema=MATCHES)


def _read_tests(
    tests: Sequence[Pairs], settings: ImageSettings
) -> tuple[list[tuple[int, int]], Fingerprints, list[str]]:
    """(test set, row) of each readable test image, their fingerprints, and a line for each unreadable one."""
    rows: list[tuple[int, int]] = []
    found: list[_Fingerprint] = []
    problems: list[str] = []
    for number, pairs in enumerate(tests):
        for row in track(range(len(pairs)), "Reading test images"):
            fingerprint = _fingerprint_of(pairs, row, settings)
            if isinstance(fingerprint, Problem):
                problems.append(fingerprint.of(pairs.row_name(row)))
                continue
            rows.append((number, row))
            found.append(fingerprint)
    return rows, fingerprints(found), problems


@one_record
def _fingerprint_of(pairs: Pairs, row: int, settings: ImageSettings) -> _Fingerprint:
    found = inspect_image(pairs.image_bytes(row), False, settings.image_seconds, StorageSettings())
    if found.hash is None or found.thumbnail is None or found.colours is None:
        raise RecordError(str(found.problem))
    return found.hash, found.thumbnail, found.colours


def fingerprints(rows: Sequence[_Fingerprint]) -> Fingerprints:
    """(hash, thumbnail, colours) of each image, as `inspection.INSPECTED` holds them, as arrays."""
    grey = np.frombuffer(b"".join(thumbnail for _, thumbnail, _ in rows), np.uint8)
    colours = np.frombuffer(b"".join(colour for _, _, colour in rows), np.int8)
    return Fingerprints(
        np.array([number for number, _, _ in rows], np.int64).view(np.uint64),
        grey.reshape(-1, SIDE, SIDE),
        colours.reshape(-1, COLOUR_SIDE, COLOUR_SIDE, 2),
    )
