"""Pairs of tables that name their images or hold them: CSV, TSV, JSON Lines, Parquet, saved Hugging Face datasets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from openalign.data.files.image_folder import folder_of_images
from openalign.data.files.image_value import Form, existing_file, form_of
from openalign.data.files.recorded import check_recorded
from openalign.data.left_out import Kind, LeftOut, counted
from openalign.data.pairs.combine import combined
from openalign.data.pairs.evidence.joined import Partner
from openalign.data.pairs.evidence.labels import with_named_labels
from openalign.data.pairs.evidence.one_hot import with_texts_of_classes
from openalign.data.pairs.file_images import FileImages, normalised_paths
from openalign.data.pairs.named_images import NamedImages
from openalign.data.pairs.named_rows import image_column_of, other_image_columns, rows_with_images
from openalign.data.pairs.options import ReadOptions
from openalign.data.pairs.pairs import ImageStore, Pairs, is_filled
from openalign.data.tables.captions import captions_as_rows
from openalign.data.tables.columns import (
    IMAGE_NAMES,
    Columns,
    choose_columns,
    field_of,
    is_text,
    usual_name,
    with_named_columns,
)
from openalign.data.tables.datasets import in_memory, read_arrow
from openalign.data.tables.image_columns import separate_images, stored_images, with_first_images
from openalign.data.tables.read import read_raw_table
from openalign.errors import OpenAlignError

_SAMPLE = 1000
"""Rows by which is told in which folder the images are."""
_FILES_TRIED = 20


def pairs_of_table(
    name: str,
    path: Path,
    options: ReadOptions,
    named: NamedImages | None = None,
    only: Callable[[pa.Table], pa.Table] | None = None,
    beside: Callable[[], NamedImages] | None = None,
) -> Pairs:
    """The rows of one table. Raises `OpenAlignError` if it differs from its recorded checksum or cannot be read.

    Rows of which `named`, the images beside the table, does not hold the image are left out and counted; without it,
    that is found out when an image is read. `only` gives the rows to take; `beside` the images that are
    taken for `named` where the table neither holds images nor says where they are.
    """
    problems: list[str] = []
    check_recorded([path], "make or fetch it again; if you changed it yourself, delete checksums.json")
    beside = None if beside is None else cache(beside)

    def are_images(values: Sequence[str]) -> Sequence[bool]:
        images = named if named is not None or beside is None else beside()
        return images.are_ids_of(values, path) if images is not None else []

    table = read_raw_table(path, options.image_column, options.text_column, problems, are_images)
    table = table if only is None else only(table)
    is_asked = options.image_column is not None
    for column in [name for name in table.column_names if usual_name([name], IMAGE_NAMES)]:
        table = with_first_images(table, column, problems, str(path))
    if named is None and beside is not None and not _has_images(table, path, options):
        named = beside()
        named = named if named.images and image_column_of(table, named, path, options) else None
    if named is not None:
        options = replace(options, image_column=image_column_of(table, named, path, options))
        table = _with_texts_in(table, options.image_column)
    return _pairs_of_rows(name, table, [path], options, problems, named=named, is_asked=is_asked)


def _has_images(table: pa.Table, path: Path, options: ReadOptions) -> bool:
    """Whether a table holds images, their addresses, or names by which some of the first are found."""
    try:
        chosen = choose_columns(table.schema, options.image_column, options.text_column, need_text=False)
        values = field_of(table, chosen.image).slice(0, _FILES_TRIED)
    except OpenAlignError:
        return False
    if not is_text(values.type):
        return not pa.types.is_integer(values.type)
    names = [value for value in values.to_pylist() if value]
    if any(form_of(name) not in (Form.PATH, Form.FILE_URL) for name in names):
        return True
    folder = folder_of_images(path, names)
    return not names or any(_is_file(folder, name) for name in names)


def _is_file(folder: Path, name: str) -> bool:
    try:
        return existing_file(folder, name).is_file()
    except (OSError, ValueError):  # too long for a name, or with a zero byte
        return False


def _with_texts_in(table: pa.Table, column: str | None) -> pa.Table:
    """The table with texts in a column of whole numbers, which are names of images."""
    if column not in table.column_names or not pa.types.is_integer(table.schema.field(column).type):
        return table
    return table.set_column(table.column_names.index(column), column, table[column].cast(pa.string()))


def pairs_of_tables(name: str, files: Sequence[Path], options: ReadOptions, named: NamedImages | None = None) -> Pairs:
    """The rows of several tables; those that cannot be read are problems. Raises `OpenAlignError` if all are.

    Images are named relative to the folder that holds all of the tables, or to that of `named`.
    """
    if len(files) == 1:
        return pairs_of_table(name, files[0], options, named)
    return combined(name, *pairs_of_each(files, options, named))


def pairs_of_each(
    files: Sequence[Path],
    options: ReadOptions,
    named: NamedImages | None = None,
    partners: Mapping[Path, Partner] | None = None,
) -> tuple[list[Pairs], list[str]]:
    """The rows of each table that can be read, and a problem for each of the others; raises if there is none.

    `partners` are tables with the texts for some of the others.
    """
    read: list[Pairs] = []
    problems: list[str] = []
    for file in files:
        try:
            partner = (partners or {}).get(file)
            if partner is None:
                read.append(pairs_of_table(str(file), file, options, named))
            else:
                read.append(_of_two_tables(file, partner, options, named))
        except OpenAlignError as error:
            problems.append(LeftOut(Kind.FILE_NOT_READ, str(error)))
    if not read:
        raise OpenAlignError(problems[0])
    return read, problems


def _of_two_tables(file: Path, partner: Partner, options: ReadOptions, named: NamedImages | None) -> Pairs:
    """The rows of a table of images, with the texts in another one."""
    told: list[str] = []
    pairs = pairs_of_table(str(file), file, options, named, partial(partner.joined, problems=told))
    columns = dict(pairs.columns)
    for role in ("text", "label"):
        if columns.get(role) in partner.table.column_names:
            columns[role] = f"{columns[role]} in {partner.shown}"
    return replace(pairs, problems=(*pairs.problems, *told), columns=columns)


def pairs_of_arrow(name: str, files: Sequence[Path], options: ReadOptions, problems: Sequence[str] = ()) -> Pairs:
    """The rows of a dataset that was written with `save_to_disk`; `problems` are those of finding its files."""
    told = list(problems)
    table, files, maps = read_arrow(files, told)
    return _pairs_of_rows(name, table, files, options, told, maps)


def _pairs_of_rows(
    name: str,
    table: pa.Table,
    files: Sequence[Path],
    options: ReadOptions,
    problems: list[str],
    maps: Sequence[pa.Buffer] = (),
    named: NamedImages | None = None,
    is_asked: bool = False,
) -> Pairs:
    """A pair per row, or per caption if the text column holds lists.

    `maps` are the memory maps of `files` that the table lies in, if any: all but its images is copied out of them.
    `is_asked`: the user named the column of the images.
    """
    shown = str(files[0]) if len(files) == 1 else name
    told = list(problems)
    table, chosen = _with_chosen(table, files[0], options, told, shown)
    if not is_asked:
        told += other_image_columns(table, chosen.image, shown)
    table, stored = separate_images(table, chosen.image, told, shown)
    table = in_memory(table) if maps else table
    table, rows = captions_as_rows(table, chosen.text or "", True, told, shown)
    table = with_named_columns(table, shown, chosen.image, chosen.text, options.need_text)
    if named is not None and stored is None:
        table, kept = rows_with_images(table, rows, named, files[0], told)
        rows, folder = rows[kept], named.folder
    else:
        folder = _folder(files[0], table["image"], told)
        table = table.set_column(0, "image", normalised_paths(table["image"], folder))
    table, rows = _with_images(table, rows, shown, told)
    in_files = FileImages(folder, table["image"])
    images: ImageStore = in_files
    if stored is not None:
        images = stored_images(stored, rows, files, maps, chosen.image, in_files)
    pairs = replace(Pairs.of(name, table, images, told, rows), columns=_taken(chosen))
    # Nobody promises that the paths stored beside images differ where these do.
    return pairs if stored is None else replace(pairs, image_key="")


def _with_chosen(
    table: pa.Table, file: Path, options: ReadOptions, problems: list[str], shown: str
) -> tuple[pa.Table, Columns]:
    """The columns that are taken, and the table with the names of classes where it has their numbers or marks."""
    table = with_named_labels(table, file, options, problems, shown)
    table = table if options.text_column else with_texts_of_classes(table, problems, shown)
    chosen = choose_columns(
        table.schema, options.image_column, options.text_column, need_text=options.need_text, where=shown
    )
    problems += chosen.notes
    return table, chosen


def _with_images(
    table: pa.Table, rows: NDArray[np.int64], shown: str, problems: list[str]
) -> tuple[pa.Table, NDArray[np.int64]]:
    """The rows that hold or name an image; the others are counted."""
    has_image = is_filled(table["image"])
    if has_image.all():
        return table, rows
    without = rows[~has_image]
    # An image that cannot be decoded out of its text is counted already.
    if (lost := len(np.unique(without)) - counted(problems).get(Kind.IMAGE_NOT_READ, 0)) > 0:
        message = f"{shown}: {lost:,} rows have no image and are left out, the first: row {without[0] + 1}"
        problems.append(LeftOut(Kind.ROW_WITHOUT_IMAGE, message, lost))
    return table.filter(pa.array(has_image)), rows[has_image]


def _folder(table: Path, images: pa.ChunkedArray, problems: list[str]) -> Path:
    """The folder of the images of a table, with a note if it is not the table's own."""
    names = images.slice(0, _SAMPLE).to_pylist()
    folder = folder_of_images(table, names)
    if folder != table.parent:
        problems.append(f"{table}: its images are found in {folder}")
    return folder


def _taken(chosen: Columns) -> dict[str, str]:
    taken = {"image": chosen.image, "text": chosen.text, "label": chosen.label}
    return {role: column for role, column in taken.items() if column}
