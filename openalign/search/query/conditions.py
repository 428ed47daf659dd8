"""Conditions that hits must meet, such as `date>=2024-05` and `folder=holiday*`, as SQL over the rows of an index.

A condition is a column, a comparison (`=`, `!=`, `<`, `<=`, `>`, `>=`) and a value:

    date=2024, date>=2024-05            EXIF's date, local time where the photo was taken
    near=48.85,2.35,10km                latitude, longitude and a distance (m, km, mi)
    folder=holiday*, folder=2024/rome   a part of the folder's path, or parts that follow each other; the folders below
                                        are included; /photos begins at the first part
    image=*.png, image=rome/*.jpg       the path of the image, or its end after a slash
    text=*dog*                          one of the texts of the image
    width>=1000, bytes<1MB              pixels; bytes with or without a unit (kB, MB, GB, KiB, MiB, GiB)
    label=cat, page=*wiki*              a label, the address of the page
    price<20, shop=*books               a column of the user's table; fields.date if it is called like one of ours
    region=3, region=0,0,8,0,4,9        cluster 3 of the map; inside the polygon with these corners (x1,y1,x2,y2,...)
    date=*, date!=*                     has a date, has none; likewise for every column

Texts match whatever their case, and `*` and `?` are wildcards in them. `!=` holds wherever `=` does not, so also where
there is no value.
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches

from openalign.errors import UsageError
from openalign.options import option
from openalign.search.query.matching import AFTER_ALL, Number, date_of, folded, number_of, within_int64
from openalign.settings import NEAR

MOST_CONDITIONS = 100
LONGEST_CONDITION = 1000
"""Characters."""

_NUMBERS = ("width", "height", "bytes", "latitude", "longitude")
_TEXTS = {"image": "path", "text": "lines", "page": "whole", "folder": "folder", "label": "whole"}
"""How `openalign_matches` compares each."""
COLUMNS = ("date", "near", *_TEXTS, *_NUMBERS)
"""The columns that every index has."""
_MOST_NAMED = 40
"""Columns that a message lists."""
_OWN = "fields."
"""Before the name of a column of the user's table, where it could be one of `COLUMNS`."""
_OPERATOR = re.compile(r"<=|>=|!=|==|=<|=>|=|<|>")
_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_KM = {"m": 0.001, "km": 1.0, "mi": 1.609344}
_SHORTEST_DEGREE_KM = 111.0
"""A little less than a degree of latitude on the sphere, so that the band of latitudes holds the whole circle."""


@dataclass(frozen=True)
class Condition:
    """A condition on a row of the table `images`; a connection that evaluates it needs `matching.add_functions`."""

    sql: str
    """An expression with a `?` for each of `parameters`; it holds where it is true, and may be NULL elsewhere."""
    parameters: tuple[str | Number, ...] = ()


@dataclass(frozen=True)
class _Comparison:
    given: str
    """The condition as messages show it."""
    column: str
    operator: str
    """`=` also for `!=`, which is the negation of the whole."""
    value: str

    def wrong(self, why: str) -> UsageError:
        return UsageError(f"{self.given}: {why}")


def parse_conditions(conditions: Sequence[str], fields: Collection[str] = ()) -> Condition:
    """The condition that all of `conditions` hold; without any it holds for every row.

    `fields` are the names of the columns of the user's table, which the index keeps as a JSON object in `fields`.

    Raises:
        UsageError: a condition is malformed, or compares an unknown column or with a value of another kind.
    """
    if len(conditions) > MOST_CONDITIONS:
        raise UsageError(f"{len(conditions)} conditions are more than the {MOST_CONDITIONS} that a search can have.")
    parsed = [_parse(condition, fields) for condition in conditions]
    parameters = [parameter for each in parsed for parameter in each.parameters]
    return Condition(" AND ".join(each.sql for each in parsed) or "1", tuple(parameters))


def _parse(condition: str, fields: Collection[str]) -> Condition:
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
    comparison = _Comparison(given, column, "=" if operator in ("!=", "==") else operator, value)
    found = _has_value(column) if value == "*" and comparison.operator == "=" else _builder(column)(comparison)
    return Condition(f"(({found.sql}) IS NOT TRUE)" if operator == "!=" else f"({found.sql})", found.parameters)


def _split(condition: str, given: str, fields: Collection[str]) -> tuple[str, str, str]:
    """Name, operator and value. A name of the user's table is looked for first: it may hold an operator."""
    stripped = condition.strip()
    known = [*COLUMNS, *fields, *(f"{_OWN}{field}" for field in fields)]
    for name in sorted(known, key=len, reverse=True):
        rest = stripped[len(name) :].lstrip() if stripped.startswith(name) else ""
        if operator := _OPERATOR.match(rest):
            return name, operator[0], rest[operator.end() :].strip()
    operator = _OPERATOR.search(stripped)
    if operator is None:
        raise UsageError(f"{given}: there is no comparison in it; write one such as `date>=2024-05` or `label=cat`.")
    return stripped[: operator.start()].strip(), operator[0], stripped[operator.end() :].strip()


def _column(name: str, given: str, fields: Collection[str]) -> str:
    """The column of a name in any case; one of the user's table begins with `_OWN`."""
    known = {each: f"{_OWN}{each}" for each in fields} | {f"{_OWN}{each}": f"{_OWN}{each}" for each in fields}
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


def _builder(column: str) -> Callable[[_Comparison], Condition]:
    if column.startswith(_OWN):
        return _field
    if column in _TEXTS:
        return _text
    return {"date": _date, "near": _near}.get(column, _number)


def _has_value(column: str) -> Condition:
    if column.startswith(_OWN):
        return _any_field(column, "value <> ''")
    if column == "near":
        return Condition("latitude IS NOT NULL AND longitude IS NOT NULL")
    return Condition(f"{column} IS NOT NULL AND {column} <> ''")


def _number(comparison: _Comparison) -> Condition:
    column = comparison.column
    form = re.fullmatch(r"(.*?)\s*([a-z]*)", comparison.value.lower(), re.DOTALL)
    unit = _UNITS.get(form[2]) if form and (column == "bytes" or not form[2]) else None
    value = number_of(form[1]) if form else None
    if value is None or unit is None:
        example = {"bytes": "<1MB", "width": ">=1000", "height": ">=1000"}.get(column, ">=48")
        raise comparison.wrong(f"`{column}` is compared with a number, such as `{column}{example}`.")
    return Condition(f"{column} {comparison.operator} ?", (within_int64(value * unit),))


def _date(comparison: _Comparison) -> Condition:
    """Dates in ISO 8601 sort as texts, and all of a month begins with the month."""
    value = comparison.value.replace(" ", "T").upper()
    form = "%Y-%m-%dT%H:%M:%S"[: {4: 2, 7: 5, 10: 8, 13: 11, 16: 14, 19: 17}.get(len(value), 0)]
    try:
        datetime.strptime(value if value.isascii() else "", form or "none")
    except ValueError:
        raise comparison.wrong(
            "`date` is compared with a year, a month, a day or a time without an offset, such as `date=2024`, "
            "`date>=2024-05`, `date<2024-05-17`, `date<2024-05-17T12:30`."
        ) from None
    if comparison.operator == "=":
        return Condition("date >= ? AND date < ?", (value, value + AFTER_ALL))
    if comparison.operator in ("<=", ">"):
        return Condition(f"date {'<' if comparison.operator == '<=' else '>='} ?", (value + AFTER_ALL,))
    return Condition(f"date {comparison.operator} ?", (value,))


def _near(comparison: _Comparison) -> Condition:
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
    km = size * _KM[form[2]]
    band = km / _SHORTEST_DEGREE_KM
    return Condition(
        "latitude BETWEEN ? AND ? AND openalign_km(latitude, longitude, ?, ?) <= ?",
        (north - band, north + band, north, east, km),
    )


def _text(comparison: _Comparison) -> Condition:
    """SQLite's own LIKE finds out all about most patterns in ASCII, several times as fast as a function."""
    column, pattern = comparison.column, comparison.value
    kind = _TEXTS[column]
    if comparison.operator != "=":
        raise comparison.wrong(f"`{column}` is a text, which is compared with = or !=, as in `{column}=*a?c*`.")
    matches = f"openalign_matches('{kind}', ?, {column})"
    like = _like(pattern.strip("/") if kind == "folder" else pattern)
    if like is None:
        return Condition(f"CASE WHEN {_is_ascii(column)} THEN 0 ELSE {matches} END", (pattern,))
    before, subject, after = {
        "whole": ("", column, ""),
        "path": ("%/", f"'/' || {column}", ""),
        "lines": ("%\n", f"char(10) || {column} || char(10)", "\n%"),
        "folder": ("%/", f"'/' || trim({column}, '/') || '/'", "/%"),
    }[kind]
    test = f"{subject} LIKE ? ESCAPE '\\'"
    # In a line or a part, wildcards must not run on into the next one, which those at its ends do without harm.
    if kind in ("whole", "path") or not re.search(r"[*?/\n]", pattern.strip("*")):
        sql = f"CASE WHEN {_is_ascii(column)} THEN {test} ELSE {matches} END"
    else:
        sql = f"CASE WHEN {_is_ascii(column)} AND NOT {test} THEN 0 ELSE {matches} END"
    return Condition(sql, (before + like + after, pattern))


def _like(pattern: str) -> str | None:
    """A pattern for LIKE that finds in ASCII what `pattern` does; None if that is nothing."""
    plain = folded(pattern)
    if not plain.isascii() or "\0" in plain:
        return None
    return re.sub(r"([\\%_])", r"\\\1", plain).replace("*", "%").replace("?", "_")


def _is_ascii(column: str) -> str:
    """ASCII has as many characters as bytes. SQLite counts characters up to a NUL, before which LIKE ends as well."""
    return f"length({column}) = length(CAST({column} AS BLOB))"


def _field(comparison: _Comparison) -> Condition:
    """Numbers and most texts are compared by SQLite, others and dates by a function."""
    operator, value = comparison.operator, comparison.value
    compares = f"openalign_compares('{operator}', ?, type, value)"
    number, like = number_of(value), _like(value)
    if number is not None:
        test = f"CASE WHEN type IN ('integer', 'real') THEN value {operator} ? ELSE {compares} END"
        return _any_field(comparison.column, test, number, value)
    if operator == "=" and like is not None and date_of(value) is None:
        is_plain = f"type = 'text' AND {_is_ascii('value')}"
        test = f"CASE WHEN {is_plain} THEN value LIKE ? ESCAPE '\\' ELSE {compares} END"
        return _any_field(comparison.column, test, like, value)
    return _any_field(comparison.column, compares, value)


def _any_field(column: str, test: str, *parameters: str | Number) -> Condition:
    sql = f"EXISTS (SELECT 1 FROM json_each(fields) WHERE key = ? AND type <> 'null' AND {test})"
    return Condition(sql, (column.removeprefix(_OWN), *parameters))
