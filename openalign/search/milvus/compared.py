"""Columns of the user's table in the form in which Milvus compares them as conditions do.

Values of one column may be numbers, dates and texts, which are compared each with its like (`matching._compares`). So
each is stored under what it can be compared as: `{"price": {"n": 9.5, "t": "9.5"}}`.
"""

import json
import re
from typing import Any

from openalign.search.query.matching import date_of, folded, number_of

_PLAIN = re.compile(r"[A-Za-z]\w*", re.ASCII)
NUMBER, DATE, ORDERED, TEXT = "n", "d", "o", "t"
"""Compared as a number; as a date; as a text that is greater or less; as a text that is equal."""


def key_of(column: str) -> str:
    """The key of a column: its name, or a code where an expression could not have it."""
    return column if _PLAIN.fullmatch(column) else f"_{column.encode('utf-8', 'surrogatepass').hex()}"


def compared_fields(fields: str | None) -> dict[str, dict[str, Any]]:
    """`Listed.fields` by key; a value that is null has none."""
    given = json.loads(fields) if fields else {}
    return {key_of(column): _compared(value) for column, value in given.items() if value is not None}


def _compared(value: Any) -> dict[str, Any]:
    is_text = isinstance(value, str)
    text = value if is_text else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    number = value if is_number else number_of(text)
    made: dict[str, Any] = {TEXT: folded(text)}
    if number is not None:
        return made | {NUMBER: float(number)}
    if is_text and (date := date_of(text)) is not None:
        return made | {DATE: date}
    return made | {ORDERED: folded(text)} if is_text else made
