"""Labels that are numbers, named by a file beside the table; numbers themselves are no texts to learn."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from openalign.data.left_out import Kind, LeftOut
from openalign.data.pairs.class_names import by_number, in_words, names_of_ids, names_of_numbers
from openalign.data.pairs.options import ReadOptions
from openalign.data.tables.columns import LABEL_NAMES, TEXT_NAMES, is_text, usual_name
from openalign.errors import OpenAlignError
from openalign.options import option

_SAMPLE = 200
_NUMBER = r"^\s*(?:\d+(?:\.0+)?|-1(?:\.0+)?)?\s*$"
"""A number of a class, also as pandas writes it in a column that lacks some; -1 stands for none, as nothing does."""
_WORDNET_ID = r"^\s*n\d{8}\s*$"
_MOST_SHOWN = 3


def with_named_labels(table: pa.Table, path: Path, options: ReadOptions, problems: list[str], where: str) -> pa.Table:
    """The table with names in its column of labels where these are numbers or WordNet ids, and a file names them.

    The file is beside the table or in the folder above. The ids stay, as `label.id`. Raises `OpenAlignError` if the
    labels would be the texts and nothing names them, or the file could count them from 0 as well as from 1.
    """
    label = usual_name(table.column_names, LABEL_NAMES)
    if label is None or table.column_names.count(label) > 1 or (found := _ids_of_classes(table[label])) is None:
        return table
    ids, what = found
    distinct: list[str] = pc.unique(ids).drop_null().to_pylist()
    names, file, why = _names_of(distinct, what, path)
    would_be_text = options.text_column is None and usual_name(table.column_names, TEXT_NAMES) is None
    if file is None:
        if options.need_text and would_be_text:
            raise OpenAlignError(_refusal(where, label, what, sorted(distinct, key=by_number), why))
        return table
    problems.append(f"{where}: the {what} in `{label}` are named by {file}{why}")
    places = pc.index_in(ids, pa.array(list(names), pa.string()))
    named = pa.chunked_array([pa.array(list(names.values()), pa.string()).take(places.combine_chunks())])
    if lost := len(ids.drop_null()) - len(named.drop_null()):
        message = f"{where}: {lost:,} {what} in `{label}` have no name in {file}"
        problems.append(LeftOut(Kind.LABEL_WITHOUT_NAME, message, lost))
    if f"{label}.id" not in table.column_names:
        table = table.append_column(f"{label}.id", ids)
    if would_be_text or options.text_column == label:
        named = pa.chunked_array([pa.array([each and in_words(each) for each in named.to_pylist()], pa.string())])
    return table.set_column(table.column_names.index(label), label, named)


def _ids_of_classes(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, str] | None:
    """The ids in a column of numbers or of WordNet ids, as texts, and what they are; None for anything else."""
    if (numbers := _numbers(column)) is not None:
        return numbers.cast(pa.string()), "numbers"
    if not is_text(column.type):
        return None
    texts = column.cast(pa.string())
    for some in (texts.slice(0, _SAMPLE), texts):
        if not pc.all(pc.match_substring_regex(some, _WORDNET_ID)).as_py() or not len(some.drop_null()):
            return None
    return pc.utf8_trim_whitespace(texts), "WordNet ids"


def _names_of(ids: Sequence[str], what: str, table: Path) -> tuple[dict[str, str], Path | None, str]:
    """The names of ids, the file that gives them, and what to say of it."""
    folders = [table.absolute().parent, table.absolute().parent.parent]
    if what != "numbers":
        return *names_of_ids(ids, folders), ""
    numbered, file, why = names_of_numbers([int(each) for each in ids if int(each) >= 0], folders, table)
    return {str(number): name for number, name in numbered.items()}, file, why


def are_ids_of_classes(values: list[str | None]) -> bool:
    """Whether values are numbers of classes, or their WordNet ids."""
    return _ids_of_classes(pa.chunked_array([pa.array(values, pa.string())])) is not None


def _numbers(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """The numbers of a column of them, null for none; None if it holds anything else."""
    try:
        if is_text(column.type):
            numbers = _written_numbers(column.cast(pa.string()))
        elif pa.types.is_floating(column.type):  # as pandas writes numbers of a column that lacks some
            values = column.cast(pa.float64())
            numbers = pc.if_else(pc.is_finite(values), values, None).cast(pa.int64())
        else:
            numbers = column.cast(pa.int64()) if pa.types.is_integer(column.type) else None
    except pa.ArrowException:  # fractions, and what 64 bits do not hold
        return None
    return None if numbers is None or numbers.null_count == len(numbers) or pc.min(numbers).as_py() < -1 else numbers


def _written_numbers(texts: pa.ChunkedArray) -> pa.ChunkedArray | None:
    for some in (texts.slice(0, _SAMPLE), texts):
        if not pc.all(pc.fill_null(pc.match_substring_regex(some, _NUMBER), True)).as_py():
            return None
    digits = pc.replace_substring_regex(pc.utf8_trim_whitespace(texts), r"\.0+$", "")
    return pc.if_else(pc.equal(digits, ""), None, digits).cast(pa.int64())


def _refusal(where: str, label: str, what: str, ids: Sequence[str], why: str) -> str:
    shown = ", ".join(ids[:_MOST_SHOWN]) + (", ..." if len(ids) > _MOST_SHOWN else "")
    what, each = ("numbers of classes", "a number") if what == "numbers" else (what, "an id")
    return (
        f"{where}: its only texts are the {what} in `{label}` ({shown}), which say nothing of the images"
        f"{why}. To name them, put classes.csv beside the table, with {each} and a name in each row, or "
        f"classnames.txt with a name a line from 0; {option(text_column=label)} learns the {what.split(' of ')[0]}"
    )
