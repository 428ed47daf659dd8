"""Conditions as an expression of Milvus.

Where Milvus cannot say exactly what a condition says, the expression holds for more rows (`exact` is false), and the
rows that come back are compared once more. Every column has a value in every row, and keys of JSON are asked for with
`is null`, since what `not` makes of a null is not the same everywhere.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from openalign.search.milvus.columns import ABSENT
from openalign.search.milvus.compared import DATE, NUMBER, ORDERED, TEXT, key_of
from openalign.search.query.comparison import (
    GROUPS,
    OWN,
    TEXTS,
    Comparison,
    check_text,
    circle_in,
    date_in,
    number_in,
)
from openalign.search.query.conditions import SHORTEST_DEGREE_KM
from openalign.search.query.matching import AFTER_ALL, Number, folded, wanted_of

_WHOLE = ("width", "height", "bytes")
_BEYOND = 2.0**63
_ALL = "row >= 0"
_NONE = "row < 0"


@dataclass(frozen=True)
class Expression:
    """What Milvus is asked for."""

    text: str
    """"" for all rows."""
    exact: bool
    """Whether the conditions hold for all these rows."""


@dataclass(frozen=True)
class _Test:
    """One of several tests of which one must hold; `key` is what it asks of JSON, which may be missing."""

    text: str
    key: str | None = None

    @property
    def negated(self) -> str:
        return f"not ({self.text})" if self.key is None else f"({self.key} is null or not ({self.text}))"


def expression_of(comparisons: Sequence[Comparison]) -> Expression:
    """The expression for rows for which all comparisons hold; raises UsageError if a value is of a wrong kind."""
    texts, exact = [], True
    for comparison in comparisons:
        tests, is_exact = _tests(comparison)
        exact &= is_exact
        if not comparison.negated:
            texts.append(f"({' or '.join(test.text for test in tests) or _NONE})")
        elif is_exact:
            texts += [test.negated for test in tests]
        # The negation of what holds for too many rows would hold for too few.
    return Expression(" and ".join(texts), exact)


def _tests(comparison: Comparison) -> tuple[list[_Test], bool]:
    column = comparison.column
    if column in GROUPS:
        raise comparison.wrong("near-duplicates are not known in Milvus, only in an index folder.")
    if comparison.asks_presence:
        return [_has_value(column)], True
    if column.startswith(OWN):
        return _field(comparison)
    if column in TEXTS:
        return _text(comparison)
    if column == "near":
        return _near(comparison)
    if column == "date":
        return [_Test(_date_test("date", comparison.operator, date_in(comparison), ' and date != ""'))], True
    return [_Test(_number(column, comparison.operator, number_in(comparison)))], True


def _has_value(column: str) -> _Test:
    if column.startswith(OWN):
        key = _key(column, TEXT)
        return _Test(f'{key} != ""', key)
    if column in TEXTS:
        return _Test(f'find_{column} != ""')
    tests = {"date": 'date != ""', "near": f"latitude < {ABSENT - 1}", **dict.fromkeys(_WHOLE, _ALL)}
    return _Test(tests.get(column, f"{column} < {ABSENT - 1}"))


def _number(column: str, operator: str, value: Number) -> str:
    if column in _WHOLE and isinstance(value, float):
        if abs(value) >= _BEYOND:
            return _ALL if operator in (("<", "<=") if value > 0 else (">", ">=")) else _NONE
        if operator == "=" and not value.is_integer():
            return _NONE
        value = math.ceil(value) if operator in ("<", ">=") else math.floor(value)
    test = f"{column} {'==' if operator == '=' else operator} {value}"
    return test if column in _WHOLE else f"{test} and {column} < {ABSENT - 1}"


def _date_test(column: str, operator: str, value: str, present: str = "") -> str:
    """All of a month begins with the month, as in `conditions`."""
    first, last = _literal(value), _literal(value + AFTER_ALL)
    if operator == "=":
        return f"{column} >= {first} and {column} < {last}"
    if operator in ("<=", ">"):
        return f"{column} {'<' if operator == '<=' else '>='} {last}{present}"
    return f"{column} {operator} {first}{present}"


def _near(comparison: Comparison) -> tuple[list[_Test], bool]:
    """The band of latitudes that holds the circle."""
    north, _, km = circle_in(comparison)
    band = km / SHORTEST_DEGREE_KM
    low, high = max(north - band, -90.0), min(north + band, 90.0)
    return [_Test(f"latitude >= {low!r} and latitude <= {high!r}")], False


def _text(comparison: Comparison) -> tuple[list[_Test], bool]:
    check_text(comparison)
    column = comparison.column
    kind, value = TEXTS[column], comparison.value
    begins = kind == "folder" and value.startswith("/")
    stripped = value.strip("/") if kind == "folder" else value
    pattern, exact = _pattern(stripped)
    if not stripped.strip("*?"):  # it may be satisfied with nothing, where the column is empty
        return [_Test(_ALL)], False
    if kind in ("lines", "folder"):
        # A wildcard must not run on into the next line or part, which one at the ends does without harm.
        inner = stripped.strip("*")
        exact &= not (re.search(r"[*?\n]", inner) or (stripped != inner and ("/" in stripped or begins)))
    before, after = {"lines": ("%\n", "\n%"), "folder": ("/" if begins else "%/", "/%")}.get(kind, ("", ""))
    tests = [_Test(f"find_{column} like {_literal(before + pattern + after)}")]
    if kind == "path":
        tests.append(_Test(f"find_{column} like {_literal('%/' + pattern)}"))
    return tests, exact


def _field(comparison: Comparison) -> tuple[list[_Test], bool]:
    """Numbers with numbers, dates with dates, texts with texts."""
    column, operator, wanted = comparison.column, comparison.operator, wanted_of(comparison.value)
    tests, exact = [], True
    if operator == "=":
        pattern, exact = _pattern(comparison.value)
        tests.append(_keyed(column, TEXT, f"like {_literal(pattern)}"))
    if wanted.number is not None:
        tests.append(_keyed(column, NUMBER, f"{'==' if operator == '=' else operator} {_double(wanted.number)}"))
    if wanted.date is not None:
        key = _key(column, DATE)
        tests.append(_Test(_date_test(key, operator, wanted.date), key))
    if operator != "=" and wanted.number is None and wanted.date is None:
        tests.append(_keyed(column, ORDERED, f"{operator} {_literal(wanted.text)}"))
    return tests, exact


def _keyed(column: str, kind: str, test: str) -> _Test:
    key = _key(column, kind)
    return _Test(f"{key} {test}", key)


def _key(column: str, kind: str) -> str:
    return f'fields["{key_of(column.removeprefix(OWN))}"]["{kind}"]'


def _double(value: Number) -> str:
    try:
        return repr(float(value))
    except OverflowError:
        return "1.7976931348623157e+308" if value > 0 else "-1.7976931348623157e+308"


def _pattern(text: str) -> tuple[str, bool]:
    """The pattern of LIKE for one with `*` and `?`, and whether it finds exactly the same.

    Engines differ in whether `_` is a character or a byte, and in what a backslash at the end means. So what would need
    an escape, and characters that no literal can have, become wildcards.
    """
    plain = folded(text)
    made = re.sub(r"[?\\\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", "%", plain)
    return made.replace("*", "%"), made == plain and not re.search("[%_]", plain)


def _literal(text: str) -> str:
    for plain, code in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        text = text.replace(plain, code)
    return f'"{text}"'
