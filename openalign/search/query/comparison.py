"""The parts of a condition (`date>=2024-05`): a column, a comparison and a value; see `query.conditions`."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches

from openalign.errors import UsageError
from openalign.options import option
from openalign.search.query.matching import Number, folded, number_of, within_int64
from openalign.settings import NEAR

MOST_CONDITIONS = 100
LONGEST_CONDITION = 1000
"""Characters."""

NUMBERS = ("width", "height", "bytes", "latitude", "longitude")
TEXTS = {"image": "path", "text": "lines", "page": "whole", "folder": "folder", "label": "whole"}
"""How `openalign_matches` compares each."""
GROUPS = ("alike", "duplicates")
"""What is known of near-duplicates."""
COLUMNS = ("date", "near", *TEXTS, *NUMBERS, *GROUPS)
"""The columns that every index has."""
_MOST_NAMED = 40
"""Columns that a message lists."""
OWN = "fields."
"""Before the name of a column of the user's table, where it could be one of `COLUMNS`."""
_OPERATOR = re.compile(r"<=|>=|!=|==|=<|=>|=|<|>")
_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_KM = {"m": 0.001, "km": 1.0, "mi": 1.609344}


@dataclass(frozen=True)
class Comparison:
    """A condition that has been read, but for its value."""

    given: str
    """The condition as messages show it."""
    column: str
    """One of `COLUMNS`, or `OWN` and the name of a column of the user's table."""
    operator: str
    """`=` also for `!=`, which is the negation of the whole."""
    value: str
    negated: bool = False

    @property
    def asks_presence(self) -> bool:
        """Whether any value will do."""
        return self.value == "*" and self.operator == "="

    def wrong(self, why: str) -> UsageError:
        return UsageError(f"{self.given}: {why}")


def parse_comparisons(conditions: Sequence[str], fields: Collection[str] = ()) -> list[Comparison]:
    """The same conditions for an engine other than SQLite; raises what `parse_conditions` does, but for values."""
    if len(conditions) > MOST_CONDITIONS:
        raise UsageError(f"{len(conditions)} conditions are more than the {MOST_CONDITIONS} that a search can have.")
    return [_parse(condition, fields) for condition in conditions]


def _parse(condition: str, fields: Collection[str]) -> Comparison:
    if len(condition) > LONGEST_CONDITION:
        raise UsageError(f"A condition has {len(condition)} characters; the most is {LONGEST_CONDITION}.")
    given = option(where=condition)
    if any("\ud800" <= character <= "\udfff" for character in condition):
        raise UsageError("A condition has characters that are not valid Unicode.")
    name, operator, value = _split(condition, given, fields)
    column = _column(name, given, fields)
    if operator in ("=<", "=>"):
        raise UsageError(f"{given}: write {operator[::-1]} for {operator}.")
    if not value:
        raise UsageError(f"{given}: the value is missing; `{name}!=*` finds what has no {name}.")
    return Comparison(given, column, "=" if operator in ("!=", "==") else operator, value, operator == "!=")


def _split(condition: str, given: str, fields: Collection[str]) -> tuple[str, str, str]:
    """Name, operator and value. A name of the user's table is looked for first: it may hold an operator."""
    stripped = condition.strip()
    known = [*COLUMNS, *fields, *(f"{OWN}{field}" for field in fields)]
    for name in sorted(known, key=len, reverse=True):
        rest = stripped[len(name) :].lstrip() if stripped.startswith(name) else ""
        if operator := _OPERATOR.match(rest):
            return name, operator[0], rest[operator.end() :].strip()
    operator = _OPERATOR.search(stripped)
    if operator is None:
        raise UsageError(f"{given}: there is no comparison in it; write one such as `date>=2024-05` or `label=cat`.")
    return stripped[: operator.start()].strip(), operator[0], stripped[operator.end() :].strip()


def _column(name: str, given: str, fields: Collection[str]) -> str:
    """The column of a name in any case; one of the user's table begins with `OWN`."""
    known = {each: f"{OWN}{each}" for each in fields} | {f"{OWN}{each}": f"{OWN}{each}" for each in fields}
    known |= {each: each for each in COLUMNS}
    alike = {column for each, column in known.items() if folded(each) == folded(name)}
    if name in known or len(alike) == 1:
        return known.get(name) or alike.pop()
    if not name:
        raise UsageError(f"{given}: the name of a column is missing before the comparison.")
    near = get_close_matches(folded(name), {folded(each): each for each in known}, 1, NEAR)
    if near:
        nearest = next(each for each in known if folded(each) == near[0])
        raise UsageError(f"{given}: there is no column `{name}`; the nearest is `{nearest}`.")
    names = [*COLUMNS, *fields]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    raise UsageError(f"{given}: there is no column `{name}`; there are {', '.join(names[:_MOST_NAMED])}{more}.")


def number_in(comparison: Comparison) -> Number:
    """The number that a column of numbers is compared with; raises UsageError if it is none."""
    column = comparison.column
    form = re.fullmatch(r"(.*?)\s*([a-z]*)", comparison.value.lower(), re.DOTALL)
    unit = _UNITS.get(form[2]) if form and (column == "bytes" or not form[2]) else None
    value = number_of(form[1]) if form else None
    if value is None or unit is None:
        example = {"bytes": "<1MB", "width": ">=1000", "height": ">=1000"}.get(column, ">=48")
        raise comparison.wrong(f"`{column}` is compared with a number, such as `{column}{example}`.")
    return within_int64(value * unit)


def date_in(comparison: Comparison) -> str:
    """The year, month, day or time that a date is compared with; raises UsageError if it is none."""
    value = comparison.value.replace(" ", "T").upper()
    form = "%Y-%m-%dT%H:%M:%S"[: {4: 2, 7: 5, 10: 8, 13: 11, 16: 14, 19: 17}.get(len(value), 0)]
    try:
        datetime.strptime(value if value.isascii() else "", form or "none")
    except ValueError:
        raise comparison.wrong(
            "`date` is compared with a year, a month, a day or a time without an offset, such as `date=2024`, "
            "`date>=2024-05`, `date<2024-05-17`, `date<2024-05-17T12:30`."
        ) from None
    return value


def circle_in(comparison: Comparison) -> tuple[float, float, float]:
    """Latitude and longitude in degrees and a distance in kilometres; raises UsageError if they are none."""
    latitude, longitude, distance = (part.strip() for part in f"{comparison.value},,".split(",")[:3])
    form = re.fullmatch(r"(.*?)\s*([a-z]+)", distance.lower(), re.DOTALL)
    numbers = [number_of(latitude), number_of(longitude), number_of(form[1]) if form else None]
    north, east, size = (float("nan") if each is None else each for each in numbers)
    if comparison.operator != "=" or comparison.value.count(",") != 2 or not (form and form[2] in _KM and size > 0):
        raise comparison.wrong(
            "a place is given by its latitude, its longitude and a distance, as in `near=48.85,2.35,10km` (m, km, mi)."
        )
    if not abs(north) <= 90 or not abs(east) <= 180:
        raise comparison.wrong("a latitude lies between -90 and 90 degrees, a longitude between -180 and 180.")
    return north, east, size * _KM[form[2]]


def check_text(comparison: Comparison) -> None:
    """Raise UsageError if a text is compared in another way than a text can be."""
    if comparison.operator != "=":
        column = comparison.column
        raise comparison.wrong(f"`{column}` is a text, which is compared with = or !=, as in `{column}=*a?c*`.")
