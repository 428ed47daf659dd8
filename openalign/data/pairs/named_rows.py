"""The rows of a table whose images lie beside it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from openalign.data.images.formats import is_image_name
from openalign.data.left_out import Kind, listed
from openalign.data.pairs.named_images import NamedImages
from openalign.data.pairs.options import ReadOptions
from openalign.data.tables.columns import IMAGE_NAMES
from openalign.options import option

_SAMPLE = 500
"""Rows by which is told which column names the images."""
_FILE_NAME = "file_name"
"""The column of `imagefolder` datasets, also as `left_file_name`."""


def image_column_of(table: pa.Table, named: NamedImages, path: Path, options: ReadOptions) -> str | None:
    """The column that names the images: as the user says, else by usual name, else by the images that are there.

    A column with a usual name whose values name no image there is passed over for one whose values do. None if there
    is none: the usual names are looked for.
    """
    if options.image_column is not None:
        return options.image_column
    columns = dict(_texts_in(table))
    found = [column for column, values in columns.items() if named.are_named_by(values, path)]
    # `apple` may be the name of apple.jpg and its text; names of files are no texts.
    found = [column for column in found if any(value and is_image_name(value) for value in columns[column])] or found
    if not found:
        return next((column for column in columns if column.endswith(_FILE_NAME)), None)
    return min(found, key=lambda column: (_rank(column), -named.number_named(columns[column], path)))


def other_image_columns(table: pa.Table, taken: str, where: str) -> list[str]:
    """A note on columns besides `taken` that name image files, other ones than it does, such as masks; else nothing."""
    columns = dict(_texts_in(table))
    own = columns.pop(taken, [])
    if not any(own):
        return []  # pictures, not names
    others = [f"`{column}`" for column, values in columns.items() if _name_other_images(own, values)]
    if not others:
        return []
    advice = f"{', '.join(others)} could be taken with {option('image_column')}"
    return [f"{where}: images are taken from `{taken}`; {advice}"]


def _name_other_images(own: Sequence[str | None], values: Sequence[str | None]) -> bool:
    """Whether all values are names of image files, and not, row by row, those of `own` with or without a folder."""
    filled = [(one or "", value) for one, value in zip(own, values, strict=True) if value and value.strip()]
    if not filled or not all(is_image_name(value) and "://" not in value for _, value in filled):
        return False
    return any(not f"/{one}".endswith(f"/{value}") and not f"/{value}".endswith(f"/{one}") for one, value in filled)


def _rank(column: str) -> int:
    lower = column.strip().lower()
    if lower.endswith(_FILE_NAME):
        return 0
    return 1 + IMAGE_NAMES.index(lower) if lower in IMAGE_NAMES else 1 + len(IMAGE_NAMES)


def _texts_in(table: pa.Table) -> Iterator[tuple[str, list[str | None]]]:
    """The first values of each column of texts or whole numbers, also of those in columns of objects, as `alt.en`."""
    times = Counter(table.column_names)
    for name in [
        each for each, count in times.items() if count == 1
    ]:  # one that is needed twice is refused where taken
        column = table[name].slice(0, _SAMPLE)
        inner = (
            # by its number, since a name that begins with a dot would be read as a path
            {f"{name}.{field.name}": pc.struct_field(column, number) for number, field in enumerate(column.type)}
            if pa.types.is_struct(column.type)
            else {name: column}
        )
        for full, values in inner.items():
            kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
            if pa.types.is_string(kind) or pa.types.is_large_string(kind):
                yield full, values.to_pylist()
            elif pa.types.is_integer(kind):
                yield full, values.cast(pa.string()).to_pylist()


def rows_with_images(
    table: pa.Table, rows: NDArray[np.int64], named: NamedImages, path: Path, problems: list[str]
) -> tuple[pa.Table, NDArray[np.int64]]:
    """The rows whose image is among `named` or a URL, their `image` relative to its folder; and their numbers.

    The others are told in `problems`. `rows` are the numbers of the rows in the file at `path`.
    """
    values: list[str | None] = table["image"].to_pylist()
    named.check_sure(values, path)
    kept: list[int] = []
    images: list[str | None] = []
    without: list[str] = []
    missing: list[str] = []
    for number, (value, file) in enumerate(zip(values, named.files_of(values, path), strict=True)):
        if not (value or "").strip():
            without.append(f"{path} row {rows[number] + 1} names no image")
        elif file is None or file in named.images:
            kept.append(number)
            images.append(value if file is None else file)
            named.used.add(file or "")
        elif (
            file.startswith(named.below) and file not in named.files
        ):  # images of formats that are not read are counted already
            missing.append(f"{path} row {rows[number] + 1} names {value}, {named.absence(value or '', path)}")
    problems += listed(Kind.ROW_WITHOUT_IMAGE, without, path) + listed(Kind.FILE_MISSING, missing, path)
    numbers = np.array(kept, np.int64)
    table = table.take(pa.array(numbers)).set_column(0, "image", pa.array(images, pa.string()))
    return table, numbers
