"""Sources that list their images themselves: tables, folders of images with texts, shards of this and other tools."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from openalign.curation.html.urls import normalise
from openalign.curation.html.whitespace import clean_text
from openalign.curation.isolation.records import Problem, RecordError, one_record
from openalign.curation.sources.columns import values_of
from openalign.curation.sources.occurrences import PartWriter
from openalign.curation.sources.parquet_images import holds_images, read_parquet_images
from openalign.curation.sources.settings import TableSettings
from openalign.curation.sources.storage import Place, beside, full_name, location_of
from openalign.data.pairs.open import open_pairs
from openalign.data.shards.index import read_index
from openalign.data.shards.sidecar import DIGEST
from openalign.data.tables.read import read_table
from openalign.data.tables.suffixes import table_suffix


def read_listing(part: PartWriter, path: Place, settings: TableSettings) -> None:
    """Add the rows of a table to `part`: its paths are relative to its folder, unless it holds the images itself."""
    if table_suffix(path) == ".parquet" and holds_images(path, settings.image_column):
        read_parquet_images(part, path, settings)
        return
    table = read_table(path, settings.image_column, settings.text_column, problems=part.problems)
    _add_rows(part, table, path, f"{path} row")


def read_image_folder(part: PartWriter, folder: Path) -> None:
    """Add the images of a folder, with the texts of same-named .txt files or the names of class folders."""
    pairs = open_pairs(folder, need_text=False)
    part.problems += pairs.problems
    _add_rows(part, pairs.table, folder / "any", f"{folder} image")


def read_shard(part: PartWriter, tar: Place) -> None:
    """Add the samples of one tar, named by the address or path they came from, else by the tar and their key."""
    index = read_index(tar, part.problems)
    origin = next((name for name in ("image", "url") if name in index.column_names), None)
    columns = {name: values_of(index[name]) for name in index.column_names}
    for number, values in enumerate(zip(*columns.values(), strict=True), 1):
        part.records += 1
        found = _sample(dict(zip(columns, values, strict=True)), tar, origin)
        if isinstance(found, Problem):
            part.problems.append(found.of(f"{tar} sample {number}"))
        else:
            _add(part, found)


@dataclass(frozen=True)
class _Listed:
    """An image of a list with its text; `location` is where its bytes lie, None: to be fetched, or not there."""

    name: str
    text: str | None
    location: str | None


@one_record
def _sample(row: dict[str, Any], tar: Place, origin: str | None) -> _Listed:
    _refuse_problems(row.values())
    image = str((row[origin] if origin else None) or f"{tar}/{row['key']}")
    location = f"tar://{full_name(tar)}#{row['image_offset']}+{row['image_size']}"
    if row.get(DIGEST):
        location += f"+{row[DIGEST].hex()}"
    return _Listed(normalise(image) or image, _text(row["text"]), location)


def _add_rows(part: PartWriter, table: pa.Table, path: Place, row_name: str) -> None:
    """Add rows whose images are named relative to where `path` lies."""
    rows = zip(values_of(table["image"]), values_of(table["text"]), strict=True)
    for number, (image, text) in enumerate(rows, 1):
        part.records += 1
        if not image:
            part.problems.append(f"{row_name} {number} names no image.")
            continue
        found = _row(path, image, text)
        if isinstance(found, Problem):
            part.problems.append(found.of(f"{row_name} {number}"))
            continue
        _add(part, found)
        if found.location is None and not normalise(found.name):
            part.problems.append(f"{row_name} {number}: there is no file {found.name}.")
            part.is_finished = False  # the next run looks whether it is there by then


@one_record
def _row(path: Place, image: Any, text: Any) -> _Listed:
    _refuse_problems((image, text))
    found = _place_of_image(path, image)
    if linked := normalise(str(found)):
        return _Listed(linked, _text(text), None)
    # At an address it is asked for when it is read: a question for each row takes as long as its image.
    at_hand = isinstance(found, str) or found.is_file()
    return _Listed(str(found), _text(text), location_of(found) if at_hand else None)


def _add(part: PartWriter, listed: _Listed) -> None:
    part.add_tag([listed.name], listed.text, None)
    if listed.location is not None:
        part.add_stored(listed.name, listed.location)


def _refuse_problems(values: Iterable[Any]) -> None:
    for value in values:
        if isinstance(value, Problem):
            raise RecordError(value.reason)


def _place_of_image(path: Place, image: str) -> Place:
    """Where the image of a row lies, the table being at `path`.

    What a stranger's table names is opened only in the kind of place where the user's own table lies, and never over
    http(s), where `download` sees to it that no private address is asked: fsspec would open anything for anyone.
    """
    if normalise(image):
        return image
    if isinstance(path, str) and image.startswith(f"{path.partition('://')[0]}://"):
        return image
    return beside(path, image.removeprefix("file://"))


def _text(text: str | None) -> str | None:
    return None if text is None else clean_text(text)
