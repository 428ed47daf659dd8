"""Pairs of tables that name their images or hold them: CSV, TSV, JSON Lines, Parquet, saved Hugging Face datasets."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from openalign.data.files.recorded import check_recorded
from openalign.data.left_out import Kind, LeftOut
from openalign.data.pairs.combine import combined
from openalign.data.pairs.file_images import FileImages
from openalign.data.pairs.options import ReadOptions
from openalign.data.pairs.pairs import Pairs
from openalign.data.tables.columns import find_columns, with_named_columns
from openalign.data.tables.datasets import captions_as_rows, in_memory, read_arrow
from openalign.data.tables.image_columns import separate_images, stored_images
from openalign.data.tables.read import read_raw_table
from openalign.errors import OpenAlignError


def pairs_of_table(name: str, path: Path, options: ReadOptions) -> Pairs:
    """The rows of one table. Raises `OpenAlignError` if it differs from its recorded checksum or cannot be read."""
    problems: list[str] = []
    check_recorded([path], "make or fetch it again; if you changed it yourself, delete checksums.json")
    table = read_raw_table(path, options.image_column, options.text_column, problems)
    return _pairs_of_rows(name, table, [path], options, problems)


def pairs_of_tables(name: str, files: Sequence[Path], options: ReadOptions) -> Pairs:
    """The rows of several tables; those that cannot be read are problems. Raises `OpenAlignError` if all are.

    Images are named relative to the folder that holds all of the tables.
    """
    if len(files) == 1:
        return pairs_of_table(name, files[0], options)
    read: list[Pairs] = []
    problems: list[str] = []
    for file in files:
        try:
            read.append(pairs_of_table(str(file), file, options))
        except OpenAlignError as error:
            problems.append(LeftOut(Kind.FILE_NOT_READ, str(error)))
    if not read:
        raise OpenAlignError(problems[0])
    return combined(name, read, problems)


def pairs_of_arrow(name: str, files: Sequence[Path], options: ReadOptions) -> Pairs:
    """The rows of a dataset that was written with `save_to_disk`."""
    problems: list[str] = []
    table, files, maps = read_arrow(files, problems)
    return _pairs_of_rows(name, table, files, options, problems, maps)


def _pairs_of_rows(
    name: str,
    table: pa.Table,
    files: Sequence[Path],
    options: ReadOptions,
    problems: Sequence[str],
    maps: Sequence[pa.Buffer] = (),
) -> Pairs:
    """A pair per row, or per caption if the text column holds lists.

    `maps` are the memory maps of `files` that the table lies in, if any: all but its images is copied out of them.
    """
    shown = str(files[0]) if len(files) == 1 else name
    image, text = find_columns(
        table.column_names, options.image_column, options.text_column, need_text=options.need_text, where=shown
    )
    table, stored = separate_images(table, image)
    table = in_memory(table) if maps else table
    table, rows = captions_as_rows(table, text or "", options.need_text)
    table = with_named_columns(table, shown, image, text, options.need_text)
    images = FileImages(files[0].parent, table["image"]) if stored is None else stored_images(stored, rows, files, maps)
    pairs = replace(Pairs.of(name, table, images, problems), source_rows=rows, columns=_taken(image, text))
    # Nobody promises that the paths stored beside images differ where these do.
    return pairs if stored is None else replace(pairs, image_key="")


def _taken(image: str, text: str | None) -> dict[str, str]:
    return {"image": image} | ({"text": text} if text else {})
