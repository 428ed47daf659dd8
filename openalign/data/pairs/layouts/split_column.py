"""The splits of data whose rows tell them in a column `split`, as Karpathy's splits of COCO do."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from openalign.data.pairs.layouts.splits import chosen_parts, split_of
from openalign.data.pairs.pairs import Pairs
from openalign.data.tables.columns import is_text, usual_name
from openalign.data.tables.suffixes import JSON, table_suffix
from openalign.options import option

SPLIT_COLUMN = "split"
_OF_KARPATHY = ("restval",)
"""Images of COCO's validation set that Karpathy's splits add to the training set."""


def rows_of_splits(table: pa.Table) -> dict[str, NDArray[np.int64]]:
    """The rows of each split that a column `split` tells; none if there is no such column, or it holds other words.

    A row without a value is in no split.
    """
    column = split_column(table.column_names)
    if column is None or table.column_names.count(column) > 1 or not is_text(table.schema.field(column).type):
        return {}
    told = table[column]
    names: list[str] = [name for name in pc.drop_null(pc.unique(told)).to_pylist() if name.strip()]
    if not names or not all(name in _OF_KARPATHY or split_of(name) for name in names):
        return {}
    return {name: np.flatnonzero(pc.fill_null(pc.equal(told, name), False).to_numpy()) for name in names}


def split_column(names: Sequence[str]) -> str | None:
    """The name of the column of splits, in any case; None if there is none."""
    return usual_name(names, (SPLIT_COLUMN,))


def of_split(pairs: Pairs, chosen: str | None, *, mixing: bool) -> tuple[Pairs, str, Sequence[str]]:
    """The pairs of the chosen split, its name, and the names of all; errors are those of `chosen_parts`.

    Without a choice, all rows of a table are read, with a note; but a file of captions (JSON) that is published with
    its splits is refused, unless `mixing`.
    """
    rows = rows_of_splits(pairs.table)
    if not mixing and table_suffix(pairs.name, named=True) != JSON:
        mixing = True
        if chosen is None and len(rows) > 1:
            note = f"{pairs.name}: all of its splits are read ({', '.join(rows)}): choose one with {option('split')}"
            pairs = replace(pairs, problems=(*pairs.problems, note))
    split, names = chosen_parts(pairs.name, {name: [name] for name in rows} or {"": [""]}, chosen, mixing=mixing)
    if not rows or len(names) == len(rows):
        return pairs, split, tuple(rows)
    return pairs.select(np.sort(np.concatenate([rows[name] for name in names]))), split, tuple(rows)
