"""The splits of data whose rows tell them in a column `split`, as Karpathy's splits of COCO do."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from openalign.data.left_out import Kind, LeftOut
from openalign.data.pairs.layouts.splits import ALL_SPLITS, UNNAMED, chosen_parts
from openalign.data.pairs.pairs import Pairs
from openalign.data.split_names import split_of, standard_word
from openalign.data.tables.columns import is_text, usual_name
from openalign.data.tables.suffixes import JSON, table_suffix
from openalign.options import option

SPLIT_COLUMN = "split"
_OF_KARPATHY = ("restval",)
"""Images of COCO's validation set that Karpathy's splits add to the training set."""
_NO_VALUE = ("nan", "none", "null", "na", "n/a", "<na>", "\\n", "-")
_MOST_SPLITS = 50
"""More values than this tell something else."""


def rows_of_splits(table: pa.Table) -> dict[str, NDArray[np.int64]]:
    """The rows of each split that a column `split` tells; none if there is no such column, or no word of it is usual.

    Values are told apart whatever their case and the blanks around them, and `val`, `valid`, `validation` and `dev` are
    one split. Rows without a value are the split `unnamed`.
    """
    column = split_column(table.column_names)
    if column is None or table.column_names.count(column) > 1 or not is_text(table.schema.field(column).type):
        return {}
    encoded = table[column].cast(pa.string()).combine_chunks().dictionary_encode(null_encoding="encode")
    names = names_of_splits(encoded.dictionary.to_pylist())
    places = sorted(dict.fromkeys(names), key=lambda name: name == UNNAMED)  # the last, as that of files without one
    if not places:
        return {}
    split_N = np.array([places.index(name) for name in names])[encoded.indices.to_numpy()]
    return {name: np.flatnonzero(split_N == place) for place, name in enumerate(places)}


def names_of_splits(values: Sequence[str | None]) -> list[str]:
    """The name of the split that each value means: the standard one where several words for it occur.

    `unnamed` for no value; an empty list if no value is a usual word, or there are too many for splits.
    """
    written = [_clean(value) for value in values]
    if len(set(written)) > _MOST_SPLITS or not any(map(_is_usual, written)):
        return []
    words: dict[str, set[str]] = {}
    for each in written:
        words.setdefault(standard_word(each), set()).add(each)
    return [standard_word(each) if len(words[standard_word(each)]) > 1 else each or UNNAMED for each in written]


def _clean(value: str | None) -> str:
    written = " ".join((value or "").split()).lower()
    return "" if written in _NO_VALUE else written


def _is_usual(written: str) -> bool:
    return written in _OF_KARPATHY or bool(split_of(written))


def split_column(names: Sequence[str]) -> str | None:
    """The name of the column of splits, in any case; None if there is none."""
    return usual_name(names, (SPLIT_COLUMN,))


def of_split(pairs: Pairs, chosen: str | None, *, mixing: bool) -> tuple[Pairs, str, Sequence[str]]:
    """The pairs of the chosen split, its name, and the names of all; errors are those of `chosen_parts`.

    Without a choice, all rows of a table are read, with a note; but a file of captions (JSON) that is published with
    its splits is refused, unless `mixing`.
    """
    rows = rows_of_splits(pairs.table)
    pairs = replace(pairs, problems=(*pairs.problems, *_notes(pairs, rows, chosen)))
    if not mixing and table_suffix(pairs.name, named=True) != JSON:
        mixing = True
        if chosen is None and len(rows) > 1:
            note = f"{pairs.name}: all of its splits are read ({', '.join(rows)}): choose one with {option('split')}"
            pairs = replace(pairs, problems=(*pairs.problems, note))
    split, names = chosen_parts(pairs.name, {name: [name] for name in rows} or {"": [""]}, chosen, mixing=mixing)
    if not rows or len(names) == len(rows):
        return pairs, split, tuple(rows)
    return pairs.select(np.sort(np.concatenate([rows[name] for name in names]))), split, tuple(rows)


def _notes(pairs: Pairs, rows: Mapping[str, NDArray[np.int64]], chosen: str | None) -> list[str]:
    """What the user should know of rows whose split is no usual word, or which have none and so are not read."""
    odd = ", ".join(f"`{name}` {len(rows[name]):,} rows" for name in rows if name != UNNAMED and not _is_usual(name))
    notes = [f"{pairs.name}: values of its column `split` that are no usual names of splits: {odd}"] if odd else []
    if UNNAMED in rows and chosen not in (None, ALL_SPLITS, UNNAMED):
        number = len(rows[UNNAMED])
        message = (
            f"{pairs.name}: {number:,} rows have no value in the column `split` and are not read, the first: "
            f"{pairs.row_name(int(rows[UNNAMED][0]))}; {option(split=UNNAMED)} reads them"
        )
        notes.append(LeftOut(Kind.ROW_WITHOUT_SPLIT, message, number))
    return notes
