"""Sources -> occurrences: every image of every page with its text, and where the bytes at hand lie."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import ibis.expr.types as ir
import pyarrow as pa

from openalign.curation.engine.base import Engine
from openalign.curation.engine.cached_map import step_folder
from openalign.curation.html.alt_text import ImageTag
from openalign.curation.html.page import Form, PageSettings, tags_of_page
from openalign.curation.isolation.records import Problem, RunError
from openalign.curation.sources.listings import read_image_folder, read_listing, read_shard
from openalign.curation.sources.occurrences import PartSummary, PartWriter, finished_part, join_parts
from openalign.curation.sources.page_folders import PAGE_SUFFIXES, read_pages
from openalign.curation.sources.parquet_images import SCHEME, read_parquet_image
from openalign.curation.sources.payload import MAX_PAYLOAD_BYTES
from openalign.curation.sources.settings import TableSettings
from openalign.curation.sources.storage import (
    Place,
    beside,
    bytes_at,
    full_name,
    is_folder,
    opened,
    place_of,
    places_of,
    within,
)
from openalign.curation.sources.warc import WARC_SUFFIXES, Damage, StoredImage, StoredPage, is_warc, read_payload, scan
from openalign.curation.sources.wat import ListedPage, tags_of
from openalign.data.files.walk import files_below
from openalign.data.images.formats import is_image_name
from openalign.data.shards.index import IndexDamage, check_sidecars
from openalign.data.shards.sidecar import digest_of
from openalign.data.tables.suffixes import TABLE_SUFFIXES, table_suffix
from openalign.errors import OpenAlignError

_PAGES_PER_PART = 256
_ABOUT_THE_FOLDER = ("readme", "license", "licence", "changelog", "contributing", "credits", "notice")

Reader = Callable[[PartWriter], None]


@dataclass(frozen=True)
class Extracted:
    """What the sources hold, before any rule."""

    occurrences: ir.Table
    """One row per <img> tag or table row: `occurrence` (a number that grows in source order), `image` (absolute
    address, or path as found: the identity of the image), `text` (null: no alt attribute), `page`, `host` (the page's,
    else the image's)."""
    images: ir.Table
    """One row per distinct image of `occurrences` whose bytes are at hand: `image`, `location`."""
    problems: list[str]
    """A sentence for each record, page or row that could not be read."""
    pages: int
    records: int
    """WARC records, table rows and shard samples."""
    without_address: int = 0
    """<img> tags that name nothing one could fetch: no `src`, or only a data: URL."""


def extract(
    engine: Engine,
    sources: Sequence[str | Path],
    pages: PageSettings = PageSettings(),  # noqa: B008 - frozen
    tables: TableSettings = TableSettings(),  # noqa: B008 - frozen
    state: str = "",
) -> Extracted:
    """Read all `sources` (paths or globs, each taken for what it is), in parts that a further run need not read again.

    WARC files; HTML or Markdown pages and folders of them; tables; shards; folders of images. The rows and their order
    do not depend on the engine.

    `state` is a fingerprint of sources and settings: only results that were stored under the same one are used again.
    Of several files one that cannot be read is a problem, and the others are read.
    Raises OpenAlignError if a source is missing or of no known kind, if the index of a shard is damaged, or if there is
    no image in any.
    """
    asked = _Asked(pages, tables)
    named = [path for source in sources for path in places_of(str(source))]
    check_sidecars(path for path in named if _is_tar(path))
    readers = [reader for path in named for reader in _readers_of(path, asked)]
    folder = step_folder(engine.work, "sources") / state
    folder.mkdir(exist_ok=True)
    read = partial(_read_part, folder=folder, is_only_one=len(readers) == 1)
    parts = engine.run(read, list(enumerate(readers)), "sources")
    occurrences, images = join_parts(engine, folder, len(parts))
    problems = [problem for part in parts for problem in part.problems]
    if not occurrences.count().execute():
        shutil.rmtree(folder)
        first = f" The first problem: {problems[0]}" if problems else ""
        raise OpenAlignError(f"{', '.join(map(str, sources))}: no page or row in it shows an image.{first}")
    return Extracted(
        occurrences,
        images,
        problems,
        pages=sum(part.pages for part in parts),
        records=sum(part.records for part in parts),
        without_address=sum(part.without_address for part in parts),
    )


def read_image(location: str) -> bytes:
    """Return the bytes that a `location` of `Extracted.images` stands for.

    `file://PATH`, `at://URL`, `warc://FILE#OFFSET`, `tar://FILE#OFFSET+SIZE+DIGEST` (the digest may be missing) or
    `parquet://FILE#COLUMN+GROUP+ROW`, paths as they are, without percent-encoding.

    Raises OpenAlignError if they cannot be read, or are not those that the digest was made of.
    """
    scheme, _, place = location.partition("://")
    if scheme == "warc":
        file, _, offset = place.rpartition("#")
        return read_payload(place_of(file), int(offset))
    try:
        if scheme == "file":
            return _whole(Path(place))
        if scheme == "at":
            return _whole(place)
        if scheme == SCHEME:
            return read_parquet_image(place)
        return _of_shard(place)
    except (OSError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or error
        raise OpenAlignError(f"{location} could not be read: {reason}.") from error


def _of_shard(place: str) -> bytes:
    file, _, span = place.rpartition("#")
    offset, size, digest = (*span.split("+"), "")[:3]
    with opened(place_of(file)) as stream:
        data = bytes_at(stream, int(offset), int(size))
    if len(data) < int(size):
        raise OpenAlignError(
            f"{file} is shorter than its index says: fetch or write the shard again, "
            "or delete its index to use the samples left"
        )
    if digest and digest_of(data).hex() != digest:
        raise OpenAlignError(f"{file} holds other bytes at {offset} than were written there: make or fetch it again")
    return data


def _whole(place: Place) -> bytes:
    with opened(place) as stream:
        data = stream.read(MAX_PAYLOAD_BYTES + 1)
    if len(data) > MAX_PAYLOAD_BYTES:
        raise OpenAlignError(f"{place} is larger than {MAX_PAYLOAD_BYTES >> 20} MB")
    return data


@dataclass(frozen=True)
class _Asked:
    """How sources of a kind are to be read: the columns of tables, the addresses and texts of pages."""

    pages: PageSettings
    tables: TableSettings


def _readers_of(place: Place, asked: _Asked) -> Iterator[Reader]:
    """Yield what reads each file, or each few pages, of one source."""
    name = str(place).lower()
    if isinstance(place, Path) and place.is_dir():
        yield from _folder_readers(place, asked)
    elif _is_tar(place):
        yield partial(read_shard, tar=place)
    elif table_suffix(place):
        yield partial(read_listing, path=place, settings=asked.tables)
    elif name.endswith(PAGE_SUFFIXES) and is_folder(folder := beside(place, "")):
        yield _page_reader(folder, [str(place).rpartition("/")[2]], asked)
    elif name.endswith(WARC_SUFFIXES) or (isinstance(place, Path) and is_warc(place)):
        yield partial(_read_warc, path=place, settings=asked.pages)
    elif is_folder(place):
        yield from _folder_readers(place, asked)
    else:
        raise OpenAlignError(
            f"{place} is no source that curate knows: give a WARC file ({', '.join(WARC_SUFFIXES)}), "
            f"a folder of pages or images, a table ({', '.join(TABLE_SUFFIXES)}) or shards (.tar). "
            "Of pages on the web, make a WARC file (wget --warc-file)."
        )


def _page_reader(folder: Place, pages: list[str], asked: _Asked) -> Reader:
    return partial(
        read_pages,
        folder=folder,
        pages=pages,
        settings=asked.pages,
    )


def _folder_readers(folder: Place, asked: _Asked) -> Iterator[Reader]:
    """Shards, else a list of pairs, else Parquet files, else WARC files and pages, else images: the first there is."""
    files = files_below(folder)
    lists = [within(folder, file) for file in next(filter(None, _lists_in(files)), [])]
    check_sidecars(filter(_is_tar, lists))
    for found in lists:
        yield from _readers_of(found, asked)
    if lists:
        return
    crawls = [file for file in files if file.lower().endswith(WARC_SUFFIXES)]
    for file in crawls:
        yield partial(_read_warc, path=within(folder, file), settings=asked.pages)
    pages = [file for file in files if file.lower().endswith(PAGE_SUFFIXES)]
    if not crawls and all(map(_is_about_the_folder, pages)) and any(map(is_image_name, files)):
        if isinstance(folder, str):
            raise OpenAlignError(f"{folder} holds images: at an address, give a table that names them and their texts.")
        yield partial(read_image_folder, folder=folder)
        return
    for start in range(0, len(pages), _PAGES_PER_PART):
        yield _page_reader(folder, pages[start : start + _PAGES_PER_PART], asked)
    if not crawls and not pages:
        raise OpenAlignError(f"{folder} holds no WARC files, pages, images, tables or shards.")


def _lists_in(files: Sequence[str]) -> Iterator[list[str]]:
    """Yield what may list the pairs of a folder, the best first: its shards, its list of pairs, its Parquet files."""

    def ending(suffix: str, below: str) -> list[str]:
        return [file for file in files if file.endswith(suffix) and file.rpartition("/")[0] == below]

    for below in ("shards", ""):
        yield ending(".tar", below)
        yield [file for suffix in TABLE_SUFFIXES if (file := f"{below}/pairs{suffix}".lstrip("/")) in files][:1]
    for below in ("", "data"):
        yield [file for file in ending(".parquet", below) if not file.endswith(".index.parquet")]


def _is_tar(place: Place) -> bool:
    return str(place).lower().endswith(".tar")


def _is_about_the_folder(page: str) -> bool:
    """Tell a README beside a folder of images from the pages of a site."""
    return "/" not in page and page.partition(".")[0].lower() in _ABOUT_THE_FOLDER


def _read_warc(part: PartWriter, path: Place, settings: PageSettings) -> None:
    for finding in scan(path, settings.page_bytes):
        part.records += 1
        if isinstance(finding, StoredImage):
            part.add_stored(finding.url, f"warc://{full_name(path)}#{finding.offset}")
        elif isinstance(finding, Damage):
            part.problems.append(finding.problem)
        elif isinstance(finding, StoredPage):
            tags = tags_of_page(finding.body, finding.url, finding.charset, Form.HTML, settings)
            _add_page(part, finding.url, tags)
        elif isinstance(finding, ListedPage):
            _add_page(part, finding.url, tags_of(finding, settings.text_sources))


def _add_page(part: PartWriter, url: str, tags: list[ImageTag] | Problem) -> None:
    if isinstance(tags, Problem):
        part.problems.append(tags.of(url))
        return
    part.pages += 1
    for tag in tags:
        part.add_tag(tag.addresses, tag.text, url)


def _read_part(task: tuple[int, Reader], folder: Path, is_only_one: bool) -> PartSummary:
    number, reader = task
    finished = finished_part(folder, number)
    if finished is not None:
        return finished
    with PartWriter(folder, number) as part:
        try:
            reader(part)
        except (RunError, IndexDamage):
            raise
        except OpenAlignError as error:
            if is_only_one:
                raise
            part.problems.append(str(error))
            part.is_finished = False
    return part.summary()
