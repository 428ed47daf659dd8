"""Which reader reads a source: recognised by the suffix of a file, its first bytes, or the contents of a folder."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from openalign.curation.html.page import PageSettings
from openalign.curation.sources.crawls import read_warc
from openalign.curation.sources.listings import read_image_folder, read_listing, read_shard
from openalign.curation.sources.occurrences import PartitionWriter
from openalign.curation.sources.page_folders import PAGE_SUFFIXES, read_pages
from openalign.curation.sources.settings import TableSettings
from openalign.curation.sources.storage import PathOrUrl, child, is_folder, sibling
from openalign.curation.sources.warc import WARC_SUFFIXES, is_warc
from openalign.data.files.walk import files_below
from openalign.data.images.formats import is_image_name
from openalign.data.shards.index import check_sidecars
from openalign.data.tables.suffixes import TABLE_SUFFIXES, table_suffix
from openalign.errors import OpenAlignError

_PAGES_PER_PARTITION = 256
_ABOUT_THE_FOLDER = ("readme", "license", "licence", "changelog", "contributing", "credits", "notice")

Reader = Callable[[PartitionWriter], None]
"""Reads one partition of the sources: a file, or some of the pages of a folder."""


@dataclass(frozen=True)
class SourceSettings:
    """How pages and tables among the sources are read."""

    pages: PageSettings
    tables: TableSettings


def readers_of(source: PathOrUrl, settings: SourceSettings) -> Iterator[Reader]:
    """Yield the readers of one source. Raises OpenAlignError if it is of no known kind."""
    name = str(source).lower()
    if isinstance(source, Path) and source.is_dir():
        yield from _folder_readers(source, settings)
    elif is_tar(source):
        yield partial(read_shard, tar=source, settings=settings.tables)
    elif table_suffix(source):
        yield partial(read_listing, file=source, settings=settings.tables)
    elif name.endswith(PAGE_SUFFIXES) and is_folder(folder := sibling(source, "")):
        yield partial(read_pages, folder=folder, pages=[str(source).rpartition("/")[2]], settings=settings.pages)
    elif name.endswith(WARC_SUFFIXES) or (isinstance(source, Path) and is_warc(source)):
        yield partial(read_warc, file=source, settings=settings.pages)
    elif is_folder(source):
        yield from _folder_readers(source, settings)
    else:
        raise OpenAlignError(
            f"{source} is not a known kind of source: give a WARC file ({', '.join(WARC_SUFFIXES)}), "
            f"a folder of pages or images, a table ({', '.join(TABLE_SUFFIXES)}) or shards (.tar). "
            "For pages on the web, make a WARC file (wget --warc-file)."
        )


def _folder_readers(folder: PathOrUrl, settings: SourceSettings) -> Iterator[Reader]:
    """The readers of the first of these that a folder holds: shards, a list of pairs, Parquet files, pages, images.

    WARC files count as pages.
    """
    files = files_below(folder)
    lists = [child(folder, file) for file in next(filter(None, lists_in(files)), [])]
    check_sidecars(filter(is_tar, lists))
    for file in lists:
        yield from readers_of(file, settings)
    if lists:
        return
    crawls = [file for file in files if file.lower().endswith(WARC_SUFFIXES)]
    for name in crawls:
        yield partial(read_warc, file=child(folder, name), settings=settings.pages)
    pages = [file for file in files if file.lower().endswith(PAGE_SUFFIXES)]
    if not crawls and all(map(_is_about_the_folder, pages)) and any(map(is_image_name, files)):
        if isinstance(folder, str):
            raise OpenAlignError(f"{folder} is a folder of images at a URL: give a table of image URLs and texts.")
        yield partial(read_image_folder, folder=folder)
        return
    for start in range(0, len(pages), _PAGES_PER_PARTITION):
        some = pages[start : start + _PAGES_PER_PARTITION]
        yield partial(read_pages, folder=folder, pages=some, settings=settings.pages)
    if not crawls and not pages:
        raise OpenAlignError(f"{folder} holds no WARC files, pages, images, tables or shards.")


def lists_in(files: Sequence[str]) -> Iterator[list[str]]:
    """What may list the pairs of a folder, by preference: its shards, its list of pairs, its Parquet files."""

    def in_folder(folder: str, suffix: str) -> list[str]:
        return [file for file in files if file.endswith(suffix) and file.rpartition("/")[0] == folder]

    for folder in ("shards", ""):
        yield in_folder(folder, ".tar")
        yield [file for suffix in TABLE_SUFFIXES if (file := f"{folder}/pairs{suffix}".lstrip("/")) in files][:1]
    for folder in ("", "data"):
        yield [file for file in in_folder(folder, ".parquet") if not file.endswith(".index.parquet")]


def is_tar(file: PathOrUrl) -> bool:
    """Whether a file is a shard, by its name."""
    return str(file).lower().endswith(".tar")


def _is_about_the_folder(page: str) -> bool:
    """Whether a page is a README or the like beside a folder of images, not a page of a site."""
    return "/" not in page and page.partition(".")[0].lower() in _ABOUT_THE_FOLDER
