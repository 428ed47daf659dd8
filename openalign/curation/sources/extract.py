"""Sources -> occurrences: every image of every page with its text, and where the stored images are."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import ibis.expr.types as ir

from openalign.curation.engine.base import Engine
from openalign.curation.engine.cached_map import step_folder
from openalign.curation.html.page import PageSettings
from openalign.curation.isolation.records import RunError
from openalign.curation.sources import storage
from openalign.curation.sources.occurrences import (
    PartitionSummary,
    PartitionWriter,
    finished_partition,
    join_partitions,
)
from openalign.curation.sources.readers import WEB, Reader, Readers, SourceSettings, readers_of
from openalign.curation.sources.settings import TableSettings
from openalign.data.left_out import Kind, LeftOut, refuse_left_out
from openalign.data.shards.index import IndexDamage
from openalign.errors import OpenAlignError


@dataclass(frozen=True)
class Extracted:
    """The contents of the sources, before any rule."""

    occurrences: ir.Table
    """One row per <img> tag or table row: `occurrence` (a number that grows in source order), `image` (absolute URL, or
    path as found: the identity of the image), `text` (null: no alt attribute), `page`, `host` (the page's, else the
    image's)."""
    images: ir.Table
    """One row per distinct image of `occurrences` whose bytes the sources hold: `image`, `location` (see
    `locations.parse_location`)."""
    problems: list[str]
    """An error message for each record, page or row that could not be read."""
    readings: list[str]
    """How the sources were read, a line for each way."""
    pages: int
    records: int
    """WARC records, table rows and shard samples."""
    without_url: int = 0
    """<img> tags that name nothing that could be fetched: no `src`, or only a data: URL."""


def extract(
    engine: Engine,
    sources: Sequence[str | Path],
    pages: PageSettings = PageSettings(),  # noqa: B008 - frozen
    tables: TableSettings = TableSettings(),  # noqa: B008 - frozen
    state: str = "",
) -> Extracted:
    """Read all `sources` (paths, URLs or glob patterns), in partitions that an interrupted run need not read again.

    They may be WARC files, HTML or Markdown pages and folders of them, or data sets in any layout that training reads.
    The rows and their order do not depend on the engine. A file that cannot be read is a problem if there are others.

    `state` is a fingerprint of sources and settings: only results that were stored under the same one are used again.

    Raises OpenAlignError if a source is missing or of no known kind, if the index of a shard is damaged, or if no
    source holds an image.
    """
    files = [file for source in sources for file in storage.matching(str(source))]
    found = [readers_of(file, SourceSettings(pages, tables)) for file in files]
    readers = [reader for each in found for reader in each.each]
    folder = step_folder(engine.work, "sources") / state
    folder.mkdir(exist_ok=True)
    read = partial(_read_partition, folder=folder, is_only_one=len(readers) == 1)
    summaries = engine.run(read, list(enumerate(readers)), "Reading sources")
    occurrences, images = join_partitions(engine, folder, len(summaries))
    problems = [*chain(*(each.problems for each in found), *(summary.problems for summary in summaries))]
    if tables.strict:
        refuse_left_out(", ".join(map(str, sources)), problems)
    if not engine.count(occurrences):
        shutil.rmtree(folder)
        raise _nothing_found(sources, problems)
    return Extracted(
        occurrences,
        images,
        problems,
        _readings(list(zip(map(str, files), found, strict=True)), summaries),
        pages=sum(summary.pages for summary in summaries),
        records=sum(summary.records for summary in summaries),
        without_url=sum(summary.without_url for summary in summaries),
    )


def _nothing_found(sources: Sequence[str | Path], problems: Sequence[str]) -> OpenAlignError:
    first = f" The first problem: {problems[0]}" if problems else ""
    return OpenAlignError(f"{', '.join(map(str, sources))}: no page or row in it shows an image.{first}")


def _readings(found: Sequence[tuple[str, Readers]], summaries: Sequence[PartitionSummary]) -> list[str]:
    """How the sources were read: a line for each data set, one for all crawls, and one for all folders of pages."""
    rest = list(summaries)
    lines: list[str] = []
    counts: dict[str, tuple[str, int]] = {}
    for name, readers in found:
        own, rest = rest[: len(readers.each)], rest[len(readers.each) :]
        records, pages = sum(each.records for each in own), sum(each.pages for each in own)
        if readers.reading.layout in WEB:
            first, number = counts.get(readers.reading.layout, (name, 0))
            counts[readers.reading.layout] = first, number + (pages if pages else records)
            continue
        columns = {role: column for each in reversed(own) for role, column in each.columns.items()}
        lines.append(f"{name}: read as: {readers.reading.sentence(records, columns)}")
    for layout, (first, number) in counts.items():
        sources = sum(readers.reading.layout == layout for _, readers in found)
        more = f" and {sources - 1:,} more" if sources > 1 else ""
        lines.append(f"{first}{more}: read as: {WEB[layout]}, {number:,} page{'s' if number != 1 else ''}")
    return lines


def _read_partition(task: tuple[int, Reader], folder: Path, is_only_one: bool) -> PartitionSummary:
    number, reader = task
    finished = finished_partition(folder, number)
    if finished is not None:
        return finished
    with PartitionWriter(folder, number) as partition:
        try:
            reader(partition)
        except (RunError, IndexDamage):
            raise
        except OpenAlignError as error:
            if is_only_one:
                raise
            partition.problems.append(LeftOut(Kind.FILE_NOT_READ, str(error)))
            partition.is_finished = False
    return partition.summary()
