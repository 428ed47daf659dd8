"""Which reader reads a source: crawls and pages have their own, data sets are read in the layout they have."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from openalign.curation.html.page import PageSettings
from openalign.curation.sources.crawls import read_warc
from openalign.curation.sources.listings import read_listing, read_part, read_shard
from openalign.curation.sources.occurrences import PartitionWriter
from openalign.curation.sources.page_folders import read_pages
from openalign.curation.sources.parquet_images import holds_images, read_parquet_images
from openalign.curation.sources.settings import TableSettings
from openalign.curation.sources.storage import PathOrUrl, child, is_folder, open_parquet, sibling
from openalign.curation.sources.warc import is_warc
from openalign.data.files.walk import files_below
from openalign.data.images.formats import is_image_name
from openalign.data.left_out import Kind, LeftOut
from openalign.data.pairs.layouts.registry import Recognised, recognise
from openalign.data.pairs.layouts.source import Source
from openalign.data.pairs.layouts.split_column import split_column
from openalign.data.pairs.layouts.splits import ALL_SPLITS, chosen_parts
from openalign.data.pairs.options import ReadOptions
from openalign.data.pairs.reading import Reading
from openalign.data.shards.index import check_sidecars
from openalign.data.sites import PAGE_SUFFIXES, WARC_SUFFIXES, is_site
from openalign.data.tables.suffixes import TABLE_SUFFIXES, table_suffix
from openalign.errors import OpenAlignError

_PAGES_PER_PARTITION = 256

Reader = Callable[[PartitionWriter], None]
"""Reads one partition of the sources: a file, or some of the pages of a folder."""


@dataclass(frozen=True)
class SourceSettings:
    """How pages and tables among the sources are read."""

    pages: PageSettings
    tables: TableSettings


@dataclass(frozen=True)
class Readers:
    """How one source is read."""

    reading: Reading
    each: Sequence[Reader]
    """One for each partition, in order."""
    problems: Sequence[str] = field(default=())
    """What was left out before any of its files was read."""


def readers_of(source: PathOrUrl, settings: SourceSettings) -> Readers:
    """How a source is read. Raises OpenAlignError if it is of no known kind, or holds several splits."""
    if settings.tables.layout is not None:
        return _data_set(source, settings)
    name = str(source).lower()
    if isinstance(source, Path) and source.is_dir():
        return _folder(source, settings)
    if name.endswith(PAGE_SUFFIXES) and is_folder(folder := sibling(source, "")):
        page = partial(read_pages, folder=folder, pages=[str(source).rpartition("/")[2]], settings=settings.pages)
        return Readers(_PAGES, [page])
    if name.endswith(WARC_SUFFIXES) or (isinstance(source, Path) and not _is_data(name) and is_warc(source)):
        return Readers(_CRAWL, [partial(read_warc, file=source, settings=settings.pages)])
    if not _is_data(name) and is_folder(source):
        return _folder(source, settings)
    return _data_set(source, settings)


WEB = {"crawl": "crawl", "pages": "pages"}
"""The layouts that only a curation reads, and their names in messages."""
_CRAWL = Reading("crawl", WEB["crawl"], "by its file extension or its first bytes")
_PAGES = Reading("pages", WEB["pages"], "it holds pages")


def _folder(folder: PathOrUrl, settings: SourceSettings) -> Readers:
    """How a folder is read: as a data set, unless it holds pages or crawls and no list of pairs stands at its top."""
    problems: list[str] = []
    files = files_below(folder, problems)
    crawls = [file for file in files if file.lower().endswith(WARC_SUFFIXES)]
    pages = [file for file in files if file.lower().endswith(PAGE_SUFFIXES)]
    if not is_site(files):
        opened = Source(str(folder), folder)
        found = recognise(opened)
        if found is not None:
            return _in_layout(opened, found, settings)
    each: list[Reader] = [partial(read_warc, file=child(folder, name), settings=settings.pages) for name in crawls]
    for start in range(0, len(pages), _PAGES_PER_PARTITION):
        some = pages[start : start + _PAGES_PER_PARTITION]
        each.append(partial(read_pages, folder=folder, pages=some, settings=settings.pages))
    if not each and isinstance(folder, str) and any(map(is_image_name, files)):
        raise OpenAlignError(f"{folder} is a folder of images at a URL: give a table of image URLs and texts.")
    if not each:
        raise OpenAlignError(f"{folder} holds no WARC files, pages, images, tables or shards.")
    told = [problem for problem in problems if not _is_of_kind(problem, Kind.HIDDEN)]  # a site's .git is no loss
    return Readers(_CRAWL if crawls else _PAGES, each, told)


def _data_set(source: PathOrUrl, settings: SourceSettings) -> Readers:
    opened = Source(str(source), source)
    # An address of the web is not asked what it is.
    is_known = isinstance(source, Path) or _is_data(str(source).lower()) or settings.tables.layout is not None
    found = recognise(opened, settings.tables.layout) if is_known else None
    if found is None:
        raise OpenAlignError(
            f"{source} is not a known kind of source: give a WARC file ({', '.join(WARC_SUFFIXES)}), "
            f"a folder of pages or images, a table ({', '.join(TABLE_SUFFIXES)}) or shards (.tar). "
            "For pages on the web, make a WARC file (wget --warc-file)."
        )
    return _in_layout(opened, found, settings)


def _in_layout(source: Source, found: Recognised, settings: SourceSettings) -> Readers:
    """A reader for each part of the chosen split."""
    tables = settings.tables
    if tables.layout is None:
        found.check_sure(source.name)
    if any(found.finding.splits):
        split, parts = chosen_parts(source.name, found.finding.splits, tables.split, mixing=False)
    else:  # a column may tell them apart: that is found when a part is read
        split, parts = tables.split or "", [part for parts in found.finding.splits.values() for part in parts]
    check_sidecars(filter(is_tar, parts))
    by_rows = ALL_SPLITS if any(found.finding.splits) else tables.split
    options = ReadOptions(tables.image_column, tables.text_column, True, by_rows, found.layout.name)
    readers = [_part_reader(found.layout.name, source.name, part, options, tables) for part in parts]
    return Readers(found.reading(split), readers, [*source.skipped, *found.finding.problems])


def _part_reader(layout: str, name: str, part: PathOrUrl, options: ReadOptions, tables: TableSettings) -> Reader:
    if is_tar(part):
        return partial(read_shard, tar=part, settings=tables)
    # Row group by row group, since such a file may be larger than the memory.
    if table_suffix(part) == ".parquet" and holds_images(part, tables.image_column) and not _tells_splits(part):
        return partial(read_parquet_images, file=part, settings=tables)
    if isinstance(part, str) and table_suffix(part, named=True):
        return partial(read_listing, file=part, settings=tables)
    if isinstance(part, str):
        raise OpenAlignError(f"{part} is a folder of images at a URL: give a table of image URLs and texts.")
    return partial(read_part, layout=layout, name=name, part=part, options=options)


def _is_of_kind(problem: str, kind: Kind) -> bool:
    return isinstance(problem, LeftOut) and problem.kind == kind


def _tells_splits(file: PathOrUrl) -> bool:
    return split_column(open_parquet(file).schema_arrow.names) is not None


def _is_data(name: str) -> bool:
    return is_tar(name) or table_suffix(name, named=True) is not None


def is_tar(file: PathOrUrl) -> bool:
    """Whether a file is a shard, by its name."""
    return str(file).lower().endswith(".tar")
