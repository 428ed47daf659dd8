"""Parquet files that hold the images themselves, as Hugging Face datasets are kept on the hub."""

from functools import lru_cache
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from openalign.curation.html.whitespace import clean_text
from openalign.curation.isolation.records import Problem, RecordError, one_record
from openalign.curation.sources.columns import values_of
from openalign.curation.sources.occurrences import PartWriter
from openalign.curation.sources.settings import TableSettings
from openalign.curation.sources.storage import Place, full_name, place_of
from openalign.data.tables.columns import find_columns, with_named_columns
from openalign.data.tables.datasets import captions_as_rows
from openalign.data.tables.image_columns import separate_images
from openalign.errors import OpenAlignError

SCHEME = "parquet"


def holds_images(path: Place, image_column: str | None) -> bool:
    """Tell whether the image column of a Parquet file has bytes in it, alone or beside a `path`."""
    try:
        schema = _opened(path).schema_arrow
        image, _ = find_columns(schema.names, image_column, need_text=False, where=str(path))
    except (pa.ArrowException, OSError, OpenAlignError):
        return False  # whoever reads it as a table says what is wrong
    return image in schema.names and _bytes_column(schema, image) is not None


def read_parquet_images(part: PartWriter, path: Place, settings: TableSettings) -> None:
    """Add every row to `part`, a row group at a time; a list of captions gives the image as many texts.

    An image is named by the file and its own `path` where those tell all rows apart, else by the file and its row.
    """
    file = _opened(path)
    image, text = find_columns(file.schema_arrow.names, settings.image_column, settings.text_column, where=str(path))
    leaf = _leaf(file, _bytes_column(file.schema_arrow, image) or image)
    names = _names(file, image)
    if isinstance(names, Problem):
        part.problems.append(names.of(f"{path} column {image}"))
        names = None
    first = 0
    for group in range(file.num_row_groups):
        found = _row_group(file, group, image, text, path)
        if isinstance(found, Problem):
            part.problems.append(found.of(f"{path} row group {group + 1}, from row {first + 1} on"))
            found = []
        for written, row, at_hand in found:
            part.records += 1
            row_name = f"{path} row {first + row + 1}"
            if not at_hand:
                part.problems.append(f"{row_name} holds no image.")
                continue
            words = _words(written)
            if isinstance(words, Problem):
                part.problems.append(words.of(row_name))
                continue
            name = f"{path}/{names[first + row]}" if names else f"{path}/row {first + row + 1}"
            part.add_tag([name], words, None)
            part.add_stored(name, f"{SCHEME}://{full_name(path)}#{leaf}+{group}+{row}")
        first += file.metadata.row_group(group).num_rows


@one_record
def _row_group(
    file: pq.ParquetFile, group: int, image: str, text: str | None, path: Place
) -> list[tuple[Any, int, bool]]:
    """The text, the row within the group, and whether its image is there, of each row and each of its captions."""
    table, stored = separate_images(file.read_row_group(group), image)
    table, rows = captions_as_rows(table, text or "", need_text=True)
    texts = values_of(with_named_columns(table, str(path), image, text, need_text=True)["text"])
    at_hand = [False] * (max(rows.tolist(), default=0) + 1) if stored is None else stored.is_valid().to_pylist()
    return [(words, row, at_hand[row]) for words, row in zip(texts, rows.tolist(), strict=True)]


@one_record
def _words(text: Any) -> str | None:
    """The text of a row."""
    if isinstance(text, Problem):
        raise RecordError(text.reason)
    return None if text is None else clean_text(text)


@one_record
def _names(file: pq.ParquetFile, image: str) -> list[str] | None:
    """The `path` of every row; None where there is none, or one stands twice."""
    kind = file.schema_arrow.field(image).type
    if not pa.types.is_struct(kind) or kind.get_field_index("path") < 0:
        return None
    paths = pc.struct_field(file.read(columns=[f"{image}.path"]).column(0), "path").cast(pa.string())
    if paths.null_count or pc.count_distinct(paths).as_py() < len(paths):
        return None
    names: list[str] = paths.to_pylist()
    return names


def read_parquet_image(place: str) -> bytes:
    """The bytes at `FILE#COLUMN+GROUP+ROW`, a location without its scheme. Raises OSError or pa.ArrowException."""
    file, _, numbers = place.rpartition("#")
    leaf, group, row = map(int, numbers.split("+"))
    data: bytes = _column(file, leaf, group)[row].as_py()
    return data


@lru_cache(maxsize=1)  # images are asked for in the order in which they lie
def _column(file: str, leaf: int, group: int) -> pa.ChunkedArray:
    opened = _opened(place_of(file))
    name = opened.schema.column(leaf).path
    column = opened.read_row_group(group, columns=[name]).column(0)
    return pc.struct_field(column, "bytes") if pa.types.is_struct(column.type) else column


def _opened(place: Place) -> pq.ParquetFile:
    if isinstance(place, str):
        files, path = fsspec.core.url_to_fs(place)
        return pq.ParquetFile(path, filesystem=files)
    return pq.ParquetFile(place)


def _bytes_column(schema: pa.Schema, image: str) -> str | None:
    """The path of the column of bytes; None where the images are not in the file."""
    kind = schema.field(image).type
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        return f"{image}.bytes"
    return image if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) else None


def _leaf(file: pq.ParquetFile, path: str) -> int:
    return next(number for number in range(len(file.schema)) if file.schema.column(number).path == path)
