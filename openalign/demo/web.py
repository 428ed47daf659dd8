"""The miniature web: drawn scenes on noisy pages in WARC files, the truth about each pair, and clean test sets."""

import csv
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from openalign import progress
from openalign.curation.isolation.process_pool import ProcessPool
from openalign.demo.artwork import KINDS, LANGUAGES, name_in, sprites
from openalign.demo.held_out import OTHER_LANGUAGE_SHARE, UNSEEN_SHARE, TestScene, composed_queries, heldout, unseen
from openalign.demo.pages import Page, Web, crawled_page
from openalign.demo.pictures import encoded
from openalign.demo.scenes import paint
from openalign.demo.truth import SCHEMA, Sharing, rows_of, with_reasons
from openalign.demo.warc import info_record, request_record, response_record
from openalign.errors import OpenAlignError
from openalign.files import whole_file, whole_folder

_PAGES_PER_BLOCK = 10
_BLOCKS_PER_FILE = 24
_TESTS_PER_BLOCK = 50
_TEST_QUALITY = 92
_SECONDS_PER_PAGE = 20
_AHEAD = 32  # blocks; one is about 2 MB
_ROWS_AT_ONCE = 20_000

CREDITS = """The drawings in these pictures are OpenMoji's:
All emojis designed by OpenMoji - the open-source emoji and icon project. License: CC BY-SA 4.0
https://openmoji.org  https://creativecommons.org/licenses/by-sa/4.0/
They were rasterised, turned, mirrored and placed on drawn backgrounds; the pictures are under the same licence.
Object names in other languages: Unicode CLDR short names, by way of the Python package "emoji".
"""

Item = TypeVar("Item")
Made = TypeVar("Made")
_ROWS = pa.schema([field for field in SCHEMA if field.name != "reasons"])


def make_web(
    to: Path, *, scenes: int = 28_000, seed: int = 0, workers: int | None = None, test_scenes: int = 1_000
) -> None:
    """Draw `scenes` scenes and write a web of them, its truth and its test sets, to folder `to`.

    Written are `web/*.warc.gz`, `truth.parquet`, `heldout/`, `unseen/`, `heldout-de/` and so on, `composed.jsonl` and
    `CREDITS.txt`, each whole or not at all. The same seed gives the same bytes on any number of `workers` (None: as
    many as there are processors). Memory grows by some 400 bytes a scene, for counting shared texts. `test_scenes` are
    those of the English held-out set, from which the sizes of the others follow.

    Raises OpenAlignError: fewer than one scene or ten test scenes, or a negative seed.
    """
    if scenes < 1 or test_scenes < 10 or seed < 0:
        asked = f"{scenes}, {test_scenes} and {seed}"
        raise OpenAlignError(f"a web needs at least 1 scene, 10 test scenes and a seed from 0 on, not {asked}")
    for kind in KINDS:  # before processes are forked, which then inherit the drawings
        sprites(kind.name)
        name_in("de", kind.name)
    to = Path(to)
    with _pool(workers or os.cpu_count() or 1) as pool:
        web = Web(seed, scenes, test_scenes)
        _write_test_sets(to, web, pool)
        _write_web(to, web, pool)
    with whole_file(to / "CREDITS.txt") as file:
        file.write_text(CREDITS, encoding="utf-8")


def _write_test_sets(to: Path, web: Web, pool: ProcessPool | None) -> None:
    seed, count = web.seed, web.test_scenes
    sets = {"heldout": heldout(seed, count), "unseen": unseen(seed, round(UNSEEN_SHARE * count))}
    for language in LANGUAGES[1:]:
        sets[f"heldout-{language}"] = heldout(seed, round(OTHER_LANGUAGE_SHARE * count), language)
    with progress.bar("Test sets", sum(map(len, sets.values()))) as bar:
        for name, tests in sets.items():
            with whole_folder(to / name) as folder:
                (folder / "images").mkdir()
                blocks = [tests[start : start + _TESTS_PER_BLOCK] for start in range(0, len(tests), _TESTS_PER_BLOCK)]
                for block, files in zip(blocks, _in_order(pool, _test_files, blocks), strict=True):
                    for test, data in zip(block, files, strict=True):
                        (folder / test.file).write_bytes(data)
                    bar.advance(len(block))
                _write_pairs(folder / "pairs.csv", tests)
    with whole_file(to / "composed.jsonl") as file:
        queries = composed_queries(sets["heldout"], seed, "heldout")
        file.write_text("".join(json.dumps(query) + "\n" for query in queries), encoding="utf-8")


def _test_files(tests: Sequence[TestScene]) -> list[bytes]:
    return [encoded(paint(test.scene), "jpg", _TEST_QUALITY) for test in tests]


def _write_pairs(path: Path, tests: Sequence[TestScene]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, tests[0].row().keys(), lineterminator="\n")
        table.writeheader()
        table.writerows(test.row() for test in tests)


def _write_web(to: Path, web: Web, pool: ProcessPool | None) -> None:
    """Write the WARC files and the truth about them; its rows wait in a file until the whole web is counted."""
    with whole_folder(to / "web") as folder, whole_file(to / "truth.parquet") as truth:
        waiting = folder / "rows.parquet"
        sharing = _write_crawl(folder, waiting, web, pool)
        with pq.ParquetFile(waiting) as rows, pq.ParquetWriter(truth, SCHEMA) as writer:
            for batch in rows.iter_batches(_ROWS_AT_ONCE):
                writer.write_table(with_reasons(pa.Table.from_batches([batch]), sharing))
        waiting.unlink()


def _write_crawl(folder: Path, rows: Path, web: Web, pool: ProcessPool | None) -> Sharing:
    count = web.pages + 1  # the last one is the catalogue
    blocks = [range(start, min(count, start + _PAGES_PER_BLOCK)) for start in range(0, count, _PAGES_PER_BLOCK)]
    sharing = Sharing()
    with pq.ParquetWriter(rows, _ROWS) as table, progress.bar("Pages", count) as bar:
        made = _in_order(pool, partial(_crawled_block, web), blocks)
        for number, (block, (records, found)) in enumerate(zip(blocks, made, strict=True)):
            name = f"crawl-{number // _BLOCKS_PER_FILE:05}.warc.gz"
            with (folder / name).open("ab") as file:
                file.write(records if number % _BLOCKS_PER_FILE else info_record(name) + records)
            table.write_table(found)
            for image, text in zip(found["image"].to_pylist(), found["text"].to_pylist(), strict=True):
                sharing.add(image, text)
            bar.advance(len(block))
    return sharing


def _crawled_block(web: Web, numbers: range) -> tuple[bytes, pa.Table]:
    """The WARC records of a block of pages, and the rows of their tags."""
    records: list[bytes] = []
    rows: list[dict[str, object]] = []
    for number in numbers:
        page = crawled_page(web, number)
        records += _records(page, number * _SECONDS_PER_PAGE)
        rows += rows_of(page.tags, page.url)
    return b"".join(records), pa.Table.from_pylist(rows, schema=_ROWS)


def _records(page: Page, second: int) -> Iterator[bytes]:
    """The request and response of a page, then a response for each of its files."""
    yield request_record(page.url, second)
    yield response_record(page.url, second, page.site.content_type, page.body)
    for index, stored in enumerate(page.stored, start=1):
        yield response_record(stored.url, second + index, stored.content_type, stored.body, stored.status)


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPool | None]:
    """Worker processes, or None if this process does all the work."""
    if workers < 2:
        yield None
        return
    with closing(ProcessPool(workers)) as pool:
        yield pool


def _in_order(pool: ProcessPool | None, function: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """`function` of each item in order, only a few ahead of the consumer: a web may be larger than memory."""
    if pool is None:
        yield from map(function, items)
        return
    ahead: deque[Future[Made]] = deque()
    for item in items:
        ahead.append(pool.submit(function, item))
        if len(ahead) > _AHEAD:
            yield ahead.popleft().result()
    while ahead:
        yield ahead.popleft().result()
