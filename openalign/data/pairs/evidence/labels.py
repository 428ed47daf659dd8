"""Labels that are numbers, named by a file beside the table; numbers themselves are no texts to learn."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from openalign.data.left_out import Kind, LeftOut
from openalign.data.pairs.class_names import in_words, names_of_numbers
from openalign.data.pairs.options import ReadOptions
from openalign.data.tables.columns import LABEL_NAMES, TEXT_NAMES, is_text, usual_name
from openalign.errors import OpenAlignError
from openalign.options import option

_SAMPLE = 200
_NUMBER = r"^\s*(?:\d+(?:\.0+)?|-1(?:\.0+)?)?\s*$"
"""A number of a class, also as pandas writes it in a column that lacks some; -1 stands for none, as nothing does."""
_MOST_SHOWN = 3


def with_named_labels(table: pa.Table, path: Path, options: ReadOptions, problems: list[str], where: str) -> pa.Table:
    """The table with names in its column of labels where these are numbers and a file beside it names them.

    The numbers stay, as `label.id`. Raises `OpenAlignError` if the labels would be the texts and nothing names them,
    or the file could count them from 0 as well as from 1.
    """
    label = usual_name(table.column_names, LABEL_NAMES)
    if label is None or table.column_names.count(label) > 1 or (numbers := _numbers(table[label])) is None:
        return table
    distinct: list[int] = pc.unique(numbers).drop_null().to_pylist()
    folders = [path.absolute().parent, path.absolute().parent.parent]
    names, file, why = names_of_numbers([each for each in distinct if each >= 0], folders, path)
    would_be_text = options.text_column is None and usual_name(table.column_names, TEXT_NAMES) is None
    if file is None:
        if options.need_text and would_be_text:
            raise OpenAlignError(_refusal(where, label, sorted(distinct), why))
        return table
    problems.append(f"{where}: the numbers in `{label}` are named by {file}{why}")
    keys = list(names)
    places = pc.index_in(numbers, pa.array(keys, pa.int64()))
    named = pa.chunked_array([pa.array([names[key] for key in keys], pa.string()).take(places.combine_chunks())])
    if lost := len(numbers.drop_null()) - len(named.drop_null()):
        message = f"{where}: {lost:,} numbers in `{label}` have no name in {file}"
        problems.append(LeftOut(Kind.LABEL_WITHOUT_NAME, message, lost))
    if f"{label}.id" not in table.column_names:
        table = table.append_column(f"{label}.id", numbers.cast(pa.string()))
    if would_be_text or options.text_column == label:
        named = pa.chunked_array([pa.array([each and in_words(each) for each in named.to_pylist()], pa.string())])
    return table.set_column(table.column_names.index(label), label, named)


def are_numbers(values: list[str | None]) -> bool:
    """Whether values are numbers of classes."""
    return _numbers(pa.chunked_array([pa.array(values, pa.string())])) is not None


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


def _refusal(where: str, label: str, numbers: list[int], why: str) -> str:
    shown = ", ".join(map(str, numbers[:_MOST_SHOWN])) + (", ..." if len(numbers) > _MOST_SHOWN else "")
    return (
        f"{where}: its only texts are the numbers of classes in `{label}` ({shown}), which say nothing of the images"
        f"{why}. To name them, put classes.csv beside the table, with a number and a name in each row, or "
        f"classnames.txt with a name a line from 0; {option(text_column=label)} learns the numbers"
    )
