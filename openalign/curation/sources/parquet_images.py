"""Parquet files that hold the images themselves, as Hugging Face datasets do."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from openalign.curation.html.urls import normalise
from openalign.curation.html.whitespace import clean_text
from openalign.curation.isolation.columns import values_of
from openalign.curation.isolation.records import Problem, RecordError, one_record
from openalign.curation.sources.locations import ParquetLocation, location_of
from openalign.curation.sources.occurrences import PartitionWriter
from openalign.curation.sources.settings import TableSettings
from openalign.curation.sources.storage import PathOrUrl, open_parquet
from openalign.data.files.image_value import existing_file
from openalign.data.left_out import Kind, LeftOut
from openalign.data.tables.captions import captions_as_rows
from openalign.data.tables.columns import choose_columns, with_named_columns
from openalign.data.tables.image_columns import separate_images
from openalign.data.tables.parquet import with_texts_of_bytes
from openalign.errors import OpenAlignError


def holds_images(file: PathOrUrl, image_column: str | None) -> bool:
    """Whether the image column of a Parquet file holds bytes, alone or beside a `path`."""
    try:
        schema = open_parquet(file).schema_arrow
        image = choose_columns(schema, image_column, need_text=False, where=str(file)).image
    except (pa.ArrowException, OSError, OpenAlignError):
        return False  # reading it as a table reports the error
    return image in schema.names and _bytes_column(schema, image) is not None


def read_parquet_images(partition: PartitionWriter, file: PathOrUrl, settings: TableSettings) -> None:
    """Add every row, one row group at a time; a list of captions gives an image several texts.

    An image is named by the file and its `path` if those are unique, else by the file and its row. One that a row names
    and does not hold is read from its file, or fetched from its address.
    """
    parquet = open_parquet(file)
    chosen = choose_columns(parquet.schema_arrow, settings.image_column, settings.text_column, where=str(file))
    image, text = chosen.image, chosen.text
    partition.problems += chosen.notes
    partition.columns = {"image": image} | ({"text": text} if text else {})
    leaf = _leaf(parquet, _bytes_column(parquet.schema_arrow, image) or image)
    names = _names(parquet, image)
    if isinstance(names, Problem):
        partition.problems.append(names.of(f"{file} column {image}"))
        names = None
    first = 0
    for group in range(parquet.num_row_groups):
        rows = _row_group(parquet, group, image, text, file)
        if isinstance(rows, Problem):
            number = parquet.metadata.row_group(group).num_rows
            message = rows.of(f"{file} row group {group + 1}, from row {first + 1} on")
            partition.problems.append(LeftOut(Kind.ROW_NOT_PARSED, message, number))
            rows = []
        for written, row, has_image, path in rows:
            partition.records += 1
            row_name = f"{file} row {first + row + 1}"
            words = _words(written)
            elsewhere = None if has_image or not path else _in_own_file(file, path)
            if not has_image and elsewhere is None:
                partition.problems.append(LeftOut(Kind.ROW_WITHOUT_IMAGE, f"{row_name} holds no image."))
            elif isinstance(words, Problem):
                partition.problems.append(LeftOut(Kind.TEXT_NOT_READ, words.of(row_name)))
            elif elsewhere is not None:
                _add_in_own_file(partition, elsewhere, words)
            else:
                name = f"{file}/{names[first + row]}" if names else f"{file}/row {first + row + 1}"
                partition.add_tag([name], words, None)
                partition.add_stored(name, ParquetLocation(file, leaf, group, row))
        first += parquet.metadata.row_group(group).num_rows


def _in_own_file(file: PathOrUrl, path: str) -> str | None:
    """The file or the address of an image that a row names and does not hold; None if there is no such file."""
    if linked := normalise(path):
        return linked
    found = existing_file(file.parent, path) if isinstance(file, Path) else None
    return str(found) if found is not None and found.is_file() else None


def _add_in_own_file(partition: PartitionWriter, name: str, words: str | None) -> None:
    """Add an image by its path, or by its address, from which it is fetched."""
    partition.add_tag([name], words, None)
    if not normalise(name):
        partition.add_stored(name, location_of(Path(name)))


@one_record
def _row_group(
    parquet: pq.ParquetFile, group: int, image: str, text: str | None, file: PathOrUrl
) -> list[tuple[Any, int, bool, str | None]]:
    """(text, row within the group, whether it holds an image, the path it names) of each row and each caption."""
    table, stored = separate_images(with_texts_of_bytes(parquet.read_row_group(group), [text or ""]), image)
    table, rows = captions_as_rows(table, text or "", need_text=True)
    named = with_named_columns(table, str(file), image, text, need_text=True)
    columns = (values_of(named[name]) for name in ("text", "image"))
    has_image = [False] * (max(rows.tolist(), default=0) + 1) if stored is None else stored.is_valid().to_pylist()
    return [
        (words, row, has_image[row], path if isinstance(path, str) else None)
        for words, path, row in zip(*columns, rows.tolist(), strict=True)
    ]


@one_record
def _words(text: Any) -> str | None:
    """The cleaned text of a row."""
    if isinstance(text, Problem):
        raise RecordError(text.reason)
    return None if text is None else clean_text(text)


@one_record
def _names(file: pq.ParquetFile, image: str) -> list[str] | None:
    """The `path` of every row; None if some have none, or two share one."""
    kind = file.schema_arrow.field(image).type
    if not pa.types.is_struct(kind) or kind.get_field_index("path") < 0:
        return None
    paths = pc.struct_field(file.read(columns=[f"{image}.path"]).column(0), "path").cast(pa.string())
    if paths.null_count or pc.count_distinct(paths).as_py() < len(paths):
        return None
    names: list[str] = paths.to_pylist()
    return names


def _bytes_column(schema: pa.Schema, image: str) -> str | None:
    """The path of the column of bytes; None if the file does not hold the images."""
    kind = schema.field(image).type
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        return f"{image}.bytes"
    return image if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) else None


def _leaf(file: pq.ParquetFile, path: str) -> int:
    return next(number for number in range(len(file.schema)) if file.schema.column(number).path == path)
