"""Why a table beside images is not read as one that says something of them."""

import csv
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from openalign.data.files.damage import reason_of
from openalign.data.pairs.class_names import tables_of_names
from openalign.data.pairs.evidence.joined import could_be_texts
from openalign.data.pairs.evidence.labels import are_ids_of_classes
from openalign.data.pairs.evidence.one_hot import classes_in
from openalign.data.pairs.evidence.peek import UNNAMED_COLUMN, Columns, first_columns, is_image_file
from openalign.data.pairs.named_images import NamedImages
from openalign.data.tables.columns import LABEL_NAMES, usual_name
from openalign.errors import OpenAlignError

NAMES_NONE = "names no image that is there"
NAMES_IMAGES = "names images that are there"
"""How reasons begin."""
_MOST_SHOWN = 3
_LONGEST_SHOWN = 40


def why_not_read(table: Path, named: NamedImages) -> str:
    """ "" if a table has a column that names images which are there, and one that may be a text; else why not."""
    try:
        columns = first_columns(table, lambda values: named.are_named_by(values, table))
    except (OSError, ValueError, pa.ArrowException, OpenAlignError, csv.Error, RecursionError) as error:
        return f"cannot be read as a table ({reason_of(error)})"
    naming = [name for name, values in columns.items() if named.are_named_by(values, table)]
    if not naming:
        shown = _shown(columns) or "it has no columns"
        return f"{NAMES_NONE}: {shown}; images are called {_some(sorted(named.images))}"
    files = [name for name in naming if any(map(is_image_file, columns[name]))]
    # `apple` may be the name of apple.jpg and its text; the column that has the names of files names the images.
    taken = files or [max(naming, key=lambda name: named.number_named(columns[name], table))]
    others = {name: values for name, values in columns.items() if name and name not in taken}
    if "" in naming or any(
        map(could_be_texts, others.values())
    ):  # "": anywhere in JSON, of whose form nothing is known
        return ""
    if classes_in(list(columns), list(columns.values())) or _are_named_labels(others, table):
        return ""
    if (label := _column_of_ids(others)) is not None:
        some = _some([each for each in others[label] if each])
        return (
            f"{NAMES_IMAGES}, but has only ids of classes, in `{label}` ({some}), and no file names them; "
            "classes.csv beside it or in the folder above, with an id and a name in each row, would"
        )
    return f"{NAMES_IMAGES}, but has no texts: {_shown(others) or 'it has no other columns'}"


def _are_named_labels(columns: Columns, table: Path) -> bool:
    """Whether there is a column of ids of classes, and a file beside the table that may name them."""
    around = [table.absolute().parent, table.absolute().parent.parent]
    return _column_of_ids(columns) is not None and bool(tables_of_names(around))


def _column_of_ids(columns: Columns) -> str | None:
    """The column of ids of classes: of a usual name, or the first where there is no header; None if there is none."""
    label = usual_name(list(columns), LABEL_NAMES)
    if label is None and (first := next(iter(columns), "")).startswith(UNNAMED_COLUMN):
        label = first
    return label if label is not None and are_ids_of_classes(columns[label]) else None


def _shown(columns: Columns) -> str:
    """The columns in a message, the first ones with values."""
    columns = {name: values for name, values in columns.items() if name}
    first = [f"`{name}` holds {_some([each for each in values if each])}" for name, values in columns.items()]
    return f"{', '.join(first[:_MOST_SHOWN])}{', ...' if len(first) > _MOST_SHOWN else ''}"


def _some(values: Sequence[str]) -> str:
    shown = [value if len(value) <= _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]}..." for value in values[:2]]
    return ", ".join(map(repr, shown)) if shown else "nothing"
