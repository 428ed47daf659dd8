"""Which of the judged images are near-duplicates of test images, and of which: by hash, or by a model's embeddings."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from openalign.curation.duplicates.search import Fingerprints, find_near_duplicates
from openalign.curation.duplicates.settings import DuplicateSettings
from openalign.curation.engine.cached_map import batches_of
from openalign.curation.images.embeddings import nearest_test_images
from openalign.curation.images.fingerprint import COLOUR_SIDE, SIDE
from openalign.curation.images.inspection import look
from openalign.curation.images.settings import ImageSettings, StorageSettings
from openalign.curation.isolation.records import Problem, RecordError, one_record
from openalign.data.pairs.pairs import Pairs
from openalign.progress import track

MATCHES = pa.schema(
    [("image", pa.string()), ("test_set", pa.int32()), ("test_row", pa.int64()), ("test_image", pa.string())]
)
"""One row an image that is a near-duplicate of a test image: which set, which row of it, and that row's name."""

_AT_ONCE = 1 << 16
_Print = tuple[int, bytes, bytes]  # hash, thumbnail, colours


def match_tests(
    seen: Sequence[Path], tests: Sequence[Pairs], settings: DuplicateSettings, image: ImageSettings
) -> tuple[pa.Table, tuple[str, ...]]:
    """Compare all images of `seen` (Parquet files, see judge.JUDGED) with all of `tests`: `MATCHES`.

    Beside them, a sentence for each test image that could not be read.
    """
    if settings.duplicate_model is not None and tests:
        from openalign.model.hub import load  # transformers, which few curations need

        close, problems = nearest_test_images(load(settings.duplicate_model), seen, tests, settings.duplicate_cosine)
        return _table([(image, number, row, tests[number].row_name(row)) for image, number, row in close]), tuple(
            problems
        )
    places, prints, problems = _read_tests(tests, image)
    matches = []
    columns = ["image", "hash", "thumbnail", "colours"]
    for batch in batches_of(seen, _AT_ONCE, columns) if places else ():
        readable = batch.filter(batch["hash"].is_valid())
        images, *values = (readable[name].to_pylist() for name in columns)
        for match in find_near_duplicates(fingerprints(list(zip(*values, strict=True))), prints, settings):
            test_set, row = places[match.test]
            matches.append((images[match.corpus], test_set, row, tests[test_set].row_name(row)))
    return _table(matches), tuple(problems)


def _table(matches: Sequence[tuple[str, int, int, str]]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(MATCHES.names, match, strict=True)) for match in matches], schema=MATCHES)


def _read_tests(
    tests: Sequence[Pairs], settings: ImageSettings
) -> tuple[list[tuple[int, int]], Fingerprints, list[str]]:
    """(set, row) of each readable test image, what they are found by, and a sentence for each unreadable one."""
    places: list[tuple[int, int]] = []
    prints: list[_Print] = []
    problems: list[str] = []
    for number, pairs in enumerate(tests):
        for row in track(range(len(pairs)), "Reading test images"):
            seen = _print_of(pairs, row, settings)
            if isinstance(seen, Problem):
                problems.append(seen.of(pairs.row_name(row)))
                continue
            places.append((number, row))
            prints.append(seen)
    return places, fingerprints(prints), problems


@one_record
def _print_of(pairs: Pairs, row: int, settings: ImageSettings) -> _Print:
    seen = look(pairs.image_bytes(row), False, settings, StorageSettings())
    if seen.hash is None or seen.thumbnail is None or seen.colours is None:
        raise RecordError(str(seen.problem))
    return seen.hash, seen.thumbnail, seen.colours


def fingerprints(prints: Sequence[_Print]) -> Fingerprints:
    """(hash, thumbnail, colours) of each image, as `judge.JUDGED` holds them, as arrays."""
    grey = np.frombuffer(b"".join(thumbnail for _, thumbnail, _ in prints), np.uint8)
    colours = np.frombuffer(b"".join(colour for _, _, colour in prints), np.int8)
    return Fingerprints(
        np.array([number for number, _, _ in prints], np.int64).view(np.uint64),
        grey.reshape(-1, SIDE, SIDE),
        colours.reshape(-1, COLOUR_SIDE, COLOUR_SIDE, 2),
    )
