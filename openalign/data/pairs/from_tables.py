"""Pairs of tables that name their images or hold them: CSV, TSV, JSON Lines, Parquet, saved Hugging Face datasets."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from openalign.data.files.recorded import check_recorded
from openalign.data.pairs.file_images import FileImages
from openalign.data.pairs.pairs import Pairs
from openalign.data.tables.columns import find_columns, with_named_columns
from openalign.data.tables.combine import concatenated
from openalign.data.tables.datasets import captions_as_rows, in_memory, read_arrow
from openalign.data.tables.image_columns import separate_images, stored_images
from openalign.data.tables.read import read_raw_table
from openalign.errors import OpenAlignError


@dataclass(frozen=True)
class WantedColumns:
    """The image and text columns to take from a table; None takes the first with a usual name."""

    image: str | None
    text: str | None
    need_text: bool


def pairs_of_table(name: str, path: Path, columns: WantedColumns) -> Pairs:
    """The rows of one table. Raises `OpenAlignError` if it differs from its recorded checksum or cannot be read."""
    problems: list[str] = []
    check_recorded([path], "make or fetch it again; if you changed it yourself, delete checksums.json")
    table = read_raw_table(path, columns.image, columns.text, problems)
    return _pairs_of_rows(name, table, [path], columns, problems)


def pairs_of_parquet(name: str, files: Sequence[Path], columns: WantedColumns) -> Pairs:
    """The rows of several Parquet files; those that cannot be read are problems. Raises `OpenAlignError` if all are."""
    problems: list[str] = []
    tables, read, errors = [], [], []
    for file in files:
        try:
            tables.append(read_raw_table(file, columns.image, columns.text, problems))
            read.append(file)
        except OpenAlignError as error:
            errors.append(str(error))
            problems.append(str(error))
    if not read:
        raise OpenAlignError(errors[0])
    return _pairs_of_rows(name, concatenated(tables, name), read, columns, problems)


def pairs_of_arrow(name: str, files: Sequence[Path], columns: WantedColumns) -> Pairs:
    """The rows of a dataset that was written with `save_to_disk`."""
    problems: list[str] = []
    table, files, maps = read_arrow(files, problems)
    return _pairs_of_rows(name, table, files, columns, problems, maps)


def _pairs_of_rows(
    name: str,
    table: pa.Table,
    files: Sequence[Path],
    columns: WantedColumns,
    problems: Sequence[str],
    maps: Sequence[pa.Buffer] = (),
) -> Pairs:
    """A pair per row, or per caption if the text column holds lists.

    `maps` are the memory maps of `files` that the table lies in, if any: all but its images is copied out of them.
    """
    shown = str(files[0]) if len(files) == 1 else name
    image, text = find_columns(
        table.column_names, columns.image, columns.text, need_text=columns.need_text, where=shown
    )
    table, stored = separate_images(table, image)
    table = in_memory(table) if maps else table
    table, rows = captions_as_rows(table, text or "", columns.need_text)
    table = with_named_columns(table, shown, image, text, columns.need_text)
    images = FileImages(files[0].parent, table["image"]) if stored is None else stored_images(stored, rows, files, maps)
    return replace(Pairs.of(name, table, images, problems), source_rows=rows)
