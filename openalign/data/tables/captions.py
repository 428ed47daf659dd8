"""Several captions of an image in one field: lists, objects with a text each, lists that are written as text."""

import ast
import json
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from openalign.data.tables.columns import TEXT_FIELDS, field_of, is_list, is_text

_ITEM = re.compile(r"""[uU]?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|None""", re.DOTALL)
_OPENING = {"[": "]", "(": ")"}
_BETWEEN = re.compile(r"\s*,\s*|\s+")


def captions_as_rows(
    table: pa.Table, column: str, need_text: bool, problems: list[str] | None = None, where: str = "the table"
) -> tuple[pa.Table, NDArray[np.int64]]:
    """One row per caption if `column` holds several for an image, and the row of `table` that each came from.

    They are lists of texts, objects with a field `raw`, `text` or `caption`, or lists of these; or texts of which most
    are lists as JSON or Python writes them, which is noted in `problems`. `column` may be a field of a column of
    objects: `sentences.raw`. Without `need_text` each image stays one row, with its first caption that is not blank.
    Rows without captions are kept, in order.
    """
    every_row = np.arange(len(table))
    if column not in table.column_names and column.partition(".")[0] not in table.column_names:
        return table, every_row
    captions = _texts_of_objects(field_of(table, column))
    if is_text(captions.type) and (lists := written_lists(captions)) is not None:
        captions, single = lists
        if problems is not None:
            as_they_are = f"; {single:,} that are no lists are captions as they are" if single else ""
            problems.append(
                f"{where}: the texts in `{column}` are lists, and each caption in them is read by itself{as_they_are}"
            )
    others = table.drop_columns([column]) if column in table.column_names else table
    if not is_list(captions.type):
        changed = captions.type != field_of(table, column).type or column not in table.column_names
        return (others.append_column(column, captions), every_row) if changed else (table, every_row)
    flat = _texts_of_objects(pa.chunked_array([pc.list_flatten(captions.combine_chunks())]))
    if not is_text(flat.type):
        return table, every_row
    parents = pc.list_parent_indices(captions.combine_chunks()).to_numpy().astype(np.int64)
    without = np.setdiff1d(every_row, parents)
    texts = pa.chunked_array([*flat.cast(pa.string()).chunks, pa.nulls(len(without), pa.string())])
    rows = np.concatenate([parents, without])
    order = np.argsort(rows, kind="stable")
    if not need_text:
        order = _first_of_each(rows, texts)
    return others.take(pa.array(rows[order])).append_column(column, texts.take(pa.array(order))), rows[order]


def _first_of_each(rows: NDArray[np.int64], texts: pa.ChunkedArray) -> NDArray[np.int64]:
    """The place of the first text of each row that is not blank; of its first text if all are."""
    is_blank = pc.fill_null(pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(texts)), 0), True).to_numpy()
    order = np.lexsort((is_blank, rows))
    return order[np.unique(rows[order], return_index=True)[1]]


def _texts_of_objects(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The texts in a column of objects that have one in a usual field; any other column as it is."""
    if not pa.types.is_struct(column.type):
        return column
    field = next((name for name in TEXT_FIELDS if column.type.get_field_index(name) >= 0), None)
    return column if field is None else pc.struct_field(column, field)


def written_lists(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, int] | None:
    """Lists of texts, if most texts that are not blank are lists as JSON, Python or numpy writes them; else None.

    A text that is no list becomes a list of itself; how many there are is the second value.
    """
    if not _most_begin_as_lists(column.slice(0, 100).cast(pa.string())):
        return None  # found at once in most tables, which may have millions of rows
    texts = pc.utf8_trim_whitespace(column.cast(pa.string()))
    if not _most_begin_as_lists(texts):
        return None
    found = [_list_in(text) if text and text[0] in _OPENING else None for text in texts.to_pylist()]
    filled = len(texts) - texts.null_count - pc.sum(pc.equal(texts, "")).as_py()
    single = filled - sum(captions is not None for captions in found)
    if 2 * single >= filled:
        return None
    for at, text in enumerate(column.to_pylist()):
        if found[at] is None and text is not None and text.strip():
            found[at] = [text]
    return pa.chunked_array([pa.array(found, pa.list_(pa.string()))]), single


def _most_begin_as_lists(texts: pa.ChunkedArray) -> bool:
    """Whether more than half of the texts that are not blank begin with a bracket."""
    filled = texts.filter(pc.fill_null(pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(texts)), 0), False))
    return 2 * (pc.sum(pc.match_substring_regex(filled, r"^\s*[\[(]")).as_py() or 0) > len(filled)


def _list_in(text: str) -> list[str | None] | None:
    """The texts of a written list, or of a tuple of Python; None if it is not one of texts."""
    if text[-1] != _OPENING[text[0]] or (text[0] == "(" and "," not in text):
        return None
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        found = _python_list(text[1:-1].strip())
    is_list_of_texts = isinstance(found, list) and all(item is None or isinstance(item, str) for item in found)
    return found if is_list_of_texts else None


def _python_list(inner: str) -> list[Any] | None:
    """The texts between the brackets of a list as `repr` or numpy (without commas) writes it."""
    found: list[Any] = []
    place = 0
    while place < len(inner):
        item = _ITEM.match(inner, place)
        if item is None:
            return None
        try:
            found.append(ast.literal_eval(item[0]))
        except (ValueError, SyntaxError):
            return None
        between = _BETWEEN.match(inner, item.end())
        if between is None and item.end() < len(inner):
            return None
        place = between.end() if between else item.end()
    return found
