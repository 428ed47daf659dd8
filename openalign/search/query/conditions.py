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
    alike=17                            row 17 and its near-duplicates
    duplicates=*, duplicates>=2         has near-duplicates, so many of them
    price<20, shop=*books               a column of the user's table; fields.date if it is called like one of ours
    region=3, region=0,0,8,0,4,9        cluster 3 of the map; inside the polygon with these corners (x1,y1,x2,y2,...)
    date=*, date!=*                     has a date, has none; likewise for every column

Texts match whatever their case, and `*` and `?` are wildcards in them. `!=` holds wherever `=` does not, so also where
there is no value.
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from openalign.search.query.comparison import (
    OWN,
    TEXTS,
    Comparison,
    check_text,
    circle_in,
    date_in,
    number_in,
    parse_comparisons,
)
from openalign.search.query.matching import AFTER_ALL, Number, folded, number_of, wanted_of

SHORTEST_DEGREE_KM = 111.0
"""A little less than a degree of latitude on the sphere, so that the band of latitudes holds the whole circle."""
_PLAIN_NAME = re.compile(r"[ !#-\[\]-~]+")
"""A key that JSON writes as it is, so that a path can name it, which is faster than a look at all keys."""
_DIGIT = "[0-9.+-]*"
"""How each text begins that is a number or a date (GLOB)."""
_DATE_FORM = "-".join(("[0-9]" * 4, "[0-9]" * 2, "[0-9]" * 2))
_TIME_FORM = ":".join(("[0-9]" * 2,) * 3)
_IS_DATE = f"(value GLOB '{_DATE_FORM}' OR value GLOB '{_DATE_FORM}[T ]{_TIME_FORM}')"


@dataclass(frozen=True)
class Condition:
    """A condition on a row of the table `images`; a connection that evaluates it needs `matching.add_functions`."""

    sql: str
    """An expression with a `?` for each of `parameters`; it holds where it is true, and may be NULL elsewhere."""
    parameters: tuple[str | Number, ...] = ()


def parse_conditions(conditions: Sequence[str], fields: Collection[str] = ()) -> Condition:
    """The condition that all of `conditions` hold; without any it holds for every row.

    `fields` are the names of the columns of the user's table, which the index keeps as a JSON object in `fields`.

    Raises:
        UsageError: a condition is malformed, or compares an unknown column or with a value of another kind.
    """
    parsed = [_condition(each) for each in parse_comparisons(conditions, fields)]
    parameters = [parameter for each in parsed for parameter in each.parameters]
    return Condition(" AND ".join(each.sql for each in parsed) or "1", tuple(parameters))


def _condition(comparison: Comparison) -> Condition:
    column = comparison.column
    found = _has_value(column) if comparison.asks_presence else _builder(column)(comparison)
    return Condition(f"(({found.sql}) IS NOT TRUE)" if comparison.negated else f"({found.sql})", found.parameters)


def columns_of(conditions: Sequence[str], fields: Collection[str] = ()) -> set[str]:
    """The columns that conditions compare; raises UsageError if one cannot be read."""
    return {each.column for each in parse_comparisons(conditions, fields)}


def _builder(column: str) -> Callable[[Comparison], Condition]:
    if column.startswith(OWN):
        return _field
    if column in TEXTS:
        return _text
    return {"date": _date, "near": _near, "alike": _alike, "duplicates": _duplicates}.get(column, _number)


def _has_value(column: str) -> Condition:
    if column.startswith(OWN):
        return _any_field(column, "value <> ''")
    if column == "near":
        return Condition("latitude IS NOT NULL AND longitude IS NOT NULL")
    if column in ("alike", "duplicates"):
        return Condition("id IN (SELECT id FROM alike)")
    return Condition(f"{column} IS NOT NULL AND {column} <> ''")


def _number(comparison: Comparison) -> Condition:
    return Condition(f"{comparison.column} {comparison.operator} ?", (number_in(comparison),))


def _date(comparison: Comparison) -> Condition:
    return _in_time(comparison.operator, "date", date_in(comparison))


def _in_time(operator: str, date: str, wanted: str) -> Condition:
    """`matching.date_compares` in SQL: dates in ISO 8601 sort as texts, and all of a month begins with the month."""
    if operator == "=":
        return Condition(f"{date} >= ? AND {date} < ?", (wanted, wanted + AFTER_ALL))
    if operator in ("<=", ">"):
        return Condition(f"{date} {'<' if operator == '<=' else '>='} ?", (wanted + AFTER_ALL,))
    return Condition(f"{date} {operator} ?", (wanted,))


def _near(comparison: Comparison) -> Condition:
    north, east, km = circle_in(comparison)
    band = km / SHORTEST_DEGREE_KM
    return Condition(
        "latitude BETWEEN ? AND ? AND openalign_km(latitude, longitude, ?, ?) <= ?",
        (north - band, north + band, north, east, km),
    )


def _alike(comparison: Comparison) -> Condition:
    """The row itself is no near-duplicate where it has none, but it is the one that was asked for."""
    row = number_of(comparison.value)
    if comparison.operator != "=" or not isinstance(row, int) or row < 0:
        raise comparison.wrong("`alike` is followed by the number of a row, as in `alike=17`.")
    leader = "SELECT leader FROM alike WHERE id = (SELECT id FROM images WHERE row = ?)"
    return Condition(f"row = ? OR id IN (SELECT id FROM alike WHERE leader = ({leader}))", (row, row))


def _duplicates(comparison: Comparison) -> Condition:
    """Groups are few, so they are counted first; what is in none has 0."""
    count = number_of(comparison.value)
    if count is None:
        raise comparison.wrong("`duplicates` is compared with a number, such as `duplicates>=1`.")
    operator = comparison.operator
    leaders = f"SELECT leader FROM alike GROUP BY leader HAVING count(*) - 1 {operator} ?"
    single = f"0 {operator} ? AND id NOT IN (SELECT id FROM alike)"
    return Condition(f"id IN (SELECT id FROM alike WHERE leader IN ({leaders})) OR {single}", (count, count))


def _text(comparison: Comparison) -> Condition:
    """SQLite's own LIKE finds out all about most patterns in ASCII, several times as fast as a function."""
    column, pattern = comparison.column, comparison.value
    kind = TEXTS[column]
    check_text(comparison)
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


_IS_WHOLE = f"value NOT GLOB '*[^0-9]*' AND length(value) <= 15 AND {_is_ascii('value')}"
"""Digits only, of which SQLite makes the number that Python does."""


def _field(comparison: Comparison) -> Condition:
    """SQLite compares numbers, whole numbers among texts, dates and most texts; a function does what is left."""
    operator, value = comparison.operator, comparison.value
    compares = f"openalign_compares('{operator}', ?, type, value)"
    number, date, like = number_of(value), wanted_of(value).date, _like(value)
    if number is not None:
        whole = f"WHEN type <> 'text' OR value NOT GLOB '{_DIGIT}' THEN 0 WHEN {_IS_WHOLE} THEN CAST(value AS INTEGER)"
        test = f"CASE WHEN type IN ('integer', 'real') THEN value {operator} ? {whole} {operator} ? ELSE {compares} END"
        return _any_field(comparison.column, test, number, number, value)
    if date is not None:
        in_time = _in_time(operator, "replace(value, ' ', 'T')", date)
        test = f"WHEN {_IS_DATE} THEN {in_time.sql} ELSE {compares} END"
        test = f"CASE WHEN type <> 'text' OR value NOT GLOB '{_DIGIT}' THEN 0 {test}"
        return _any_field(comparison.column, test, *in_time.parameters, value)
    is_plain = f"type = 'text' AND {_is_ascii('value')}"
    if operator == "=" and like is not None:
        test = f"CASE WHEN {is_plain} THEN value LIKE ? ESCAPE '\\' ELSE {compares} END"
        return _any_field(comparison.column, test, like, value)
    if operator != "=":
        is_plain += f" AND value NOT GLOB '{_DIGIT}'"
        test = f"CASE WHEN {is_plain} THEN lower(value) {operator} ? ELSE {compares} END"
        return _any_field(comparison.column, test, folded(value), value)
    return _any_field(comparison.column, compares, value)


def _any_field(column: str, test: str, *parameters: str | Number) -> Condition:
    """A test of the `type` and the `value` that a column of the user's table has in a row, where it has one."""
    name = column.removeprefix(OWN)
    if _PLAIN_NAME.fullmatch(name):
        path = f'$."{name}"'
        # Otherwise SQLite takes the value out of the JSON wherever the test names it.
        one = "AS MATERIALIZED (SELECT json_type(fields, ?) AS type, json_extract(fields, ?) AS value)"
        sql = f"EXISTS (WITH one {one} SELECT 1 FROM one WHERE type <> 'null' AND {test})"
        return Condition(sql, (path, path, *parameters))
    sql = f"EXISTS (SELECT 1 FROM json_each(fields) WHERE key = ? AND type <> 'null' AND {test})"
    return Condition(sql, (name, *parameters))
