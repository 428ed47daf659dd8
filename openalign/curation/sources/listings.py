"""Sources that are lists of images, as data sets are: in any layout that training reads, tables at a URL, shards."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from openalign.curation.html.urls import normalise
from openalign.curation.html.whitespace import clean_text
from openalign.curation.isolation.columns import values_of
from openalign.curation.isolation.records import Problem, RecordError, RunError, one_record
from openalign.curation.sources.locations import (
    FileLocation,
    ImageLocation,
    InlineLocation,
    TarLocation,
    UrlLocation,
    parse_location,
)
from openalign.curation.sources.occurrences import PartitionWriter
from openalign.curation.sources.settings import TableSettings
from openalign.curation.sources.storage import PathOrUrl
from openalign.data.files.image_folder import url_of_images
from openalign.data.files.image_value import local_path
from openalign.data.left_out import Kind, LeftOut
from openalign.data.pairs.layouts.registry import layout_called
from openalign.data.pairs.layouts.split_column import of_split
from openalign.data.pairs.layouts.splits import ALL_SPLITS
from openalign.data.pairs.missing_texts import cleared_of_markers, without_markers
from openalign.data.pairs.options import ReadOptions
from openalign.data.pairs.pairs import Pairs
from openalign.data.shards.index import read_indexes
from openalign.data.shards.rows import SampleOptions, image_names
from openalign.data.shards.sidecar import DIGEST
from openalign.data.tables.captions import captions_as_rows
from openalign.data.tables.columns import choose_columns, with_named_columns
from openalign.data.tables.image_columns import separate_images
from openalign.data.tables.read import read_raw_table
from openalign.errors import OpenAlignError

_SAMPLE = 2000
"""Rows by which the folder of a table's images is found."""


def read_listing(partition: PartitionWriter, file: str, settings: TableSettings) -> None:
    """Add the rows of a table at a URL, which names images by URLs, or by paths relative to a folder there."""
    problems = partition.problems
    table = read_raw_table(file, settings.image_column, settings.text_column, problems)
    chosen = choose_columns(table.schema, settings.image_column, settings.text_column, where=file)
    image, text = chosen.image, chosen.text
    problems += chosen.notes
    named = table[image].is_valid() if image in table.column_names else pa.repeat(True, len(table))
    table, stored = separate_images(table, image, problems, file)
    table, rows = captions_as_rows(table, text or "", True, problems, file)
    partition.columns = {"image": image} | ({"text": text} if text else {})
    table = cleared_of_markers(with_named_columns(table, file, image, text, need_text=True), file, problems)
    folder = url_of_images(file, table["image"].slice(0, _SAMPLE).to_pylist())
    if folder != file.rpartition("/")[0]:
        problems.append(f"{file}: its images are found in {folder}")
    columns = (values_of(table[name]) for name in ("image", "text"))
    for row, written, words in zip(rows.tolist(), *columns, strict=True):
        partition.records += 1
        row_name = f"{file} row {row + 1}"
        data = None if stored is None else stored[row].as_py()
        if data is None and written is None and named[row].as_py() and stored is not None:
            continue  # an image that cannot be decoded is told already
        found = None if data is None and not written else _row(row_name, folder, data or written, words)
        _add_row(partition, found, row_name)


def read_shard(partition: PartitionWriter, tar: PathOrUrl, settings: TableSettings = TableSettings()) -> None:  # noqa: B008 - frozen
    """Add the samples of one tar, a row for each text.

    Images of curated shards keep the name that they were curated under; others are named by the tar and the member that
    holds them, because nobody promises that a URL in a `.json` is that of one image. It is the page if none is named.
    """
    problems: list[str] = []
    found = read_indexes([tar], problems, SampleOptions(settings.image_column, settings.text_column))
    partition.problems += problems
    partition.columns = dict(found.taken)
    index = cleared_of_markers(found.tables[0], str(tar), partition.problems)
    columns = {name: values_of(index[name]) for name in index.column_names}
    names = image_names(index, str(tar))
    if names is not None:
        columns["image"] = values_of(names)
    origin = "image" if "image" in columns else None
    for number, values in enumerate(zip(*columns.values(), strict=True), 1):
        partition.records += 1
        sample = _sample(dict(zip(columns, values, strict=True)), tar, origin)
        if isinstance(sample, Problem):
            partition.problems.append(LeftOut(Kind.TEXT_NOT_READ, sample.of(f"{tar} sample {number}")))
        else:
            add(partition, sample)


def _page(row: dict[str, Any]) -> str | None:
    """The page that shows the image, or where it was found, if the row tells."""
    found = next((row[name] for name in ("page", "url") if isinstance(row.get(name), str)), None)
    return normalise(found) if found else None


@dataclass(frozen=True)
class Listed:
    """A listed image with its text; `location` is None if it has to be fetched, or does not exist."""

    name: str
    text: str | None
    location: ImageLocation | None
    page: str | None = None


@one_record
def _sample(row: dict[str, Any], tar: PathOrUrl, origin: str | None) -> Listed:
    _raise_problems(row.values())
    image = str((row[origin] if origin else None) or f"{tar}/{row['key']}")
    digest = row[DIGEST].hex() if row.get(DIGEST) else ""
    location = TarLocation(tar, row["image_offset"], row["image_size"], digest)
    return Listed(normalise(image) or image, _text(row["text"]), location, _page(row))


def _add_row(partition: PartitionWriter, found: Listed | Problem | None, row_name: str) -> None:
    """Add what was found in a row of a table or data set; None: it has no image."""
    if isinstance(found, Problem):
        partition.problems.append(LeftOut(Kind.TEXT_NOT_READ, found.of(row_name)))
    elif found is None:
        partition.problems.append(LeftOut(Kind.ROW_WITHOUT_IMAGE, f"{row_name} names no image."))
    else:
        add(partition, found)
        if found.location is None and not normalise(found.name):
            message = f"{row_name}: there is no file {found.name}."
            partition.problems.append(LeftOut(Kind.IMAGE_NOT_READ, message))
            partition.is_finished = False  # the next run checks whether it is there by then


@one_record
def _row(row_name: str, folder: str, image: Any, text: Any) -> Listed:
    """A row of a table at a URL; an image whose bytes it holds is named by the row."""
    _raise_problems((image, text))
    if isinstance(image, bytes):
        return Listed(row_name, _text(text), InlineLocation.of(image))
    found = _url_of_image(folder, image)
    if linked := normalise(found):
        return Listed(linked, _text(text), None)
    # It is not checked whether it is there: a request per row takes as long as fetching its image.
    return Listed(found, _text(text), UrlLocation(found))


def add(partition: PartitionWriter, listed: Listed) -> None:
    """Add a listed image with its text."""
    partition.add_tag([listed.name], listed.text, listed.page)
    if listed.location is not None:
        partition.add_stored(listed.name, listed.location)


def _raise_problems(values: Iterable[Any]) -> None:
    for value in values:
        if isinstance(value, Problem):
            raise RecordError(value.reason)


def _url_of_image(folder: str, image: str) -> str:
    """The URL of the image of a row.

    A table may only name URLs of its own scheme, because fsspec would open any. http(s) URLs are left to `fetch`, which
    refuses private addresses.
    """
    if normalise(image) or image.startswith(f"{folder.partition('://')[0]}://"):
        return image
    return f"{folder}/{local_path(image).removeprefix('./')}"


def _text(text: str | None) -> str | None:
    return None if text is None else clean_text(text)


def read_part(partition: PartitionWriter, layout: str, name: str, part: PathOrUrl, options: ReadOptions) -> None:
    """Add the pairs of one part of a data set in `layout`; `name` is that of the data set.

    An image in a file is named by its path, one at a URL by the URL, any other by the part and its name or row there.
    """
    pairs = without_markers(layout_called(layout).read(name, [part], options))
    if options.split != ALL_SPLITS:
        try:
            pairs, _, _ = of_split(pairs, options.split, mixing=False)
        except OpenAlignError as error:
            raise RunError(str(error)) from None
    partition.problems += pairs.problems
    partition.columns = dict(pairs.columns)
    base = part if isinstance(part, Path) and part.is_dir() else Path(part).parent
    for row, text in enumerate(values_of(pairs.table["text"])):
        partition.records += 1
        row_name = pairs.row_name(row).removesuffix(f" ({pairs.table['image'][row].as_py()})")
        _add_row(partition, _listed(pairs, row, text, part, base), row_name)


@one_record
def _listed(pairs: Pairs, row: int, text: Any, part: PathOrUrl, base: Path) -> Listed | None:
    """The image and the text of a row; None if it has no image."""
    if isinstance(text, Problem):
        raise RecordError(text.reason)
    words = _text(text)
    written = pairs.images.location(row)
    image = pairs.table["image"][row].as_py()
    location: ImageLocation | None
    if written:
        location = parse_location(written)
    elif image:
        location = InlineLocation.of(pairs.image_bytes(row))
    else:
        return None
    if isinstance(location, UrlLocation):
        return Listed(normalise(str(location.file)) or str(location.file), words, None)
    if isinstance(location, FileLocation):
        path = Path(location.file)
        name = str(base / path.relative_to(base.absolute())) if path.is_relative_to(base.absolute()) else str(path)
        return Listed(name, words, location if path.is_file() else None)
    return Listed(f"{part}/{image}", words, location)
