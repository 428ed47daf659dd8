"""Sources that are lists of images: tables, folders of images with texts, shards of this and other tools."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from openalign.curation.html.urls import normalise
from openalign.curation.html.whitespace import clean_text
from openalign.curation.isolation.columns import values_of
from openalign.curation.isolation.records import Problem, RecordError, one_record
from openalign.curation.sources.locations import ImageLocation, TarLocation, location_of
from openalign.curation.sources.occurrences import PartitionWriter
from openalign.curation.sources.parquet_images import holds_images, read_parquet_images
from openalign.curation.sources.settings import TableSettings
from openalign.curation.sources.storage import PathOrUrl, sibling
from openalign.data.pairs.open import open_pairs
from openalign.data.shards.index import read_index
from openalign.data.shards.rows import SampleOptions, image_names
from openalign.data.shards.sidecar import DIGEST
from openalign.data.tables.read import read_table
from openalign.data.tables.suffixes import table_suffix


def read_listing(partition: PartitionWriter, file: PathOrUrl, settings: TableSettings) -> None:
    """Add the rows of a table, which holds the images themselves, or URLs, or paths relative to its folder."""
    if table_suffix(file) == ".parquet" and holds_images(file, settings.image_column):
        read_parquet_images(partition, file, settings)
        return
    table = read_table(file, settings.image_column, settings.text_column, problems=partition.problems)
    _add_rows(partition, table, file, f"{file} row")


def read_image_folder(partition: PartitionWriter, folder: Path) -> None:
    """Add the images of a folder, with the texts of same-named .txt files or the names of class folders."""
    pairs = open_pairs(folder, need_text=False)
    partition.problems += pairs.problems
    _add_rows(partition, pairs.table, folder / "any", f"{folder} image")


def read_shard(partition: PartitionWriter, tar: PathOrUrl, settings: TableSettings = TableSettings()) -> None:  # noqa: B008 - frozen
    """Add the samples of one tar, a row for each text.

    Images of curated shards keep the name that they were curated under; others are named by the tar and the member that
    holds them, because nobody promises that a URL in a `.json` is that of one image. It is the page if none is named.
    """
    index = read_index(tar, partition.problems, SampleOptions(settings.image_column, settings.text_column))
    columns = {name: values_of(index[name]) for name in index.column_names}
    names = image_names(index, str(tar))
    if names is not None:
        columns["image"] = values_of(names)
    origin = "image" if "image" in columns else None
    for number, values in enumerate(zip(*columns.values(), strict=True), 1):
        partition.records += 1
        found = _sample(dict(zip(columns, values, strict=True)), tar, origin)
        if isinstance(found, Problem):
            partition.problems.append(found.of(f"{tar} sample {number}"))
        else:
            _add(partition, found)


def _page(row: dict[str, Any]) -> str | None:
    """The page that shows the image, or where it was found, if the row tells."""
    found = next((row[name] for name in ("page", "url") if isinstance(row.get(name), str)), None)
    return normalise(found) if found else None


@dataclass(frozen=True)
class _Listed:
    """A listed image with its text; `location` is None if it has to be fetched, or does not exist."""

    name: str
    text: str | None
    location: ImageLocation | None
    page: str | None = None


@one_record
def _sample(row: dict[str, Any], tar: PathOrUrl, origin: str | None) -> _Listed:
    _raise_problems(row.values())
    image = str((row[origin] if origin else None) or f"{tar}/{row['key']}")
    digest = row[DIGEST].hex() if row.get(DIGEST) else ""
    location = TarLocation(tar, row["image_offset"], row["image_size"], digest)
    return _Listed(normalise(image) or image, _text(row["text"]), location, _page(row))


def _add_rows(partition: PartitionWriter, table: pa.Table, file: PathOrUrl, row_name: str) -> None:
    """Add rows whose image paths are relative to the folder of `file`."""
    rows = zip(values_of(table["image"]), values_of(table["text"]), strict=True)
    for number, (image, text) in enumerate(rows, 1):
        partition.records += 1
        if not image:
            partition.problems.append(f"{row_name} {number} names no image.")
            continue
        found = _row(file, image, text)
        if isinstance(found, Problem):
            partition.problems.append(found.of(f"{row_name} {number}"))
            continue
        _add(partition, found)
        if found.location is None and not normalise(found.name):
            partition.problems.append(f"{row_name} {number}: there is no file {found.name}.")
            partition.is_finished = False  # the next run looks whether it is there by then


@one_record
def _row(file: PathOrUrl, image: Any, text: Any) -> _Listed:
    _raise_problems((image, text))
    found = _file_of_image(file, image)
    if linked := normalise(str(found)):
        return _Listed(linked, _text(text), None)
    # A URL is not checked before it is read: a request per row takes as long as fetching its image.
    exists = isinstance(found, str) or found.is_file()
    return _Listed(str(found), _text(text), location_of(found) if exists else None)


def _add(partition: PartitionWriter, listed: _Listed) -> None:
    partition.add_tag([listed.name], listed.text, listed.page)
    if listed.location is not None:
        partition.add_stored(listed.name, listed.location)


def _raise_problems(values: Iterable[Any]) -> None:
    for value in values:
        if isinstance(value, Problem):
            raise RecordError(value.reason)


def _file_of_image(table: PathOrUrl, image: str) -> PathOrUrl:
    """The file or URL of the image of a row.

    A table may only name URLs of its own scheme, because fsspec would open any. http(s) URLs are left to `fetch`, which
    refuses private addresses.
    """
    if normalise(image):
        return image
    if isinstance(table, str) and image.startswith(f"{table.partition('://')[0]}://"):
        return image
    return sibling(table, image.removeprefix("file://"))


def _text(text: str | None) -> str | None:
    return None if text is None else clean_text(text)
