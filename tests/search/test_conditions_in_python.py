"""What conditions mean, in plain Python: each takes a row and says whether it meets `column operator value`."""

import math
import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from functools import cache
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from openalign.errors import UsageError
from openalign.search.query.conditions import parse_conditions
from tests.search.images_table import CONNECTION, FIELDS, Row, found


def fold(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def glob(pattern: str, text: str) -> bool:
    pattern, text = fold(pattern), fold(text)

    @cache
    def rest(p: int, t: int) -> bool:
        if p == len(pattern):
            return t == len(text)
        if pattern[p] == "*":
            return rest(p + 1, t) or (t < len(text) and rest(p, t + 1))
        return t < len(text) and pattern[p] in ("?", text[t]) and rest(p + 1, t + 1)

    return rest(0, 0)


def in_folder(pattern: str, folder: str) -> bool:
    parts, wanted = folder.strip("/").split("/"), pattern.strip("/").split("/")
    runs = [parts[start : start + len(wanted)] for start in range(len(parts))]
    runs = [run for run in (runs[:1] if pattern.startswith("/") else runs) if len(run) == len(wanted)]
    return any(all(map(glob, wanted, run)) for run in runs)


def in_path(pattern: str, path: str) -> bool:
    return any(glob(pattern, path[start:]) for start in [0, *(at + 1 for at, each in enumerate(path) if each == "/")])


def in_text(pattern: str, text: str) -> bool:
    return any(glob(pattern, each) for each in [text, *text.split("\n")])


TEXT_TESTS = {"label": glob, "page": glob, "folder": in_folder, "image": in_path, "text": in_text}


def ordered(operator: str, one: Any, other: Any) -> bool:
    return {"=": one == other, "<": one < other, "<=": one <= other, ">": one > other, ">=": one >= other}[operator]


def span(text: str) -> tuple[datetime, datetime]:
    """First and last second of a year, a month, a day or a second."""
    start = datetime.fromisoformat((text + "0000-01-01T00:00:00"[len(text) :])[:19])
    ends = {4: start.replace(month=12, day=31, hour=23, minute=59, second=59)}
    ends[7] = (start + timedelta(days=31)).replace(day=1) - timedelta(seconds=1)
    ends[10] = start + timedelta(days=1, seconds=-1)
    return start, ends.get(len(text), start)


def in_time(operator: str, date: str, wanted: str) -> bool:
    first, last = span(wanted)
    moment = datetime.fromisoformat(date[:19])
    if operator == "=":
        return first <= moment <= last
    return ordered(operator, moment, first if operator in ("<", ">=") else last)


def expected(row: Row, column: str, operator: str, value: str) -> bool:
    if operator == "!=":
        return not expected(row, column, "=", value)
    stored = row.get(column) if column in COLUMN_VALUES else (row.get("fields") or {}).get(column)
    if stored is None:
        return False
    if value == "*" and operator == "=":
        return stored != ""
    if column in TEXT_TESTS:
        return TEXT_TESTS[column](value, stored)
    if column == "date":
        return in_time(operator, stored, value)
    if column in ("width", "bytes"):
        return ordered(operator, Fraction(stored), Fraction(value))
    return expected_field(stored, operator, value)


def is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", text, re.ASCII) is not None


def is_date(text: str) -> bool:
    return re.fullmatch(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d)?", text, re.ASCII) is not None


def expected_field(stored: Any, operator: str, value: str) -> bool:
    text = str(stored).lower() if isinstance(stored, bool) else str(stored)
    if operator == "=" and glob(value, text):
        return True
    if is_number(text):
        return is_number(value) and ordered(operator, Fraction(text), Fraction(value))
    if is_date(text):
        is_time = is_date(value) or re.fullmatch(r"\d{4}(-\d\d)?", value, re.ASCII)
        return bool(is_time) and in_time(operator, text, value)
    plain = (
        isinstance(stored, str)
        and not is_number(value)
        and not is_date(value)
        and not re.fullmatch(r"\d{4}-\d\d", value, re.ASCII)
    )
    return plain and operator != "=" and ordered(operator, fold(text), fold(value))


letters = st.text("aAbé\u0301ßs%_'\\[]\"x.-\0K\u212a ", max_size=5)
texts = letters.map(str.strip)
patterns = st.text("aA/\nbé\u0301ß*?%_'\\[x.\0k", min_size=1, max_size=4).map(str.strip).filter(bool)
paths = st.lists(texts.filter(bool), max_size=3).map("/".join)
path_patterns = st.lists(patterns, min_size=1, max_size=2).map("/".join) | patterns.map("/{}".format)
moments = st.datetimes(datetime(2023, 12, 1), datetime(2024, 3, 2)).map(lambda each: each.isoformat()[:19])
times = st.builds(lambda moment, size: moment[:size], moments, st.sampled_from([4, 7, 10, 19]))
numbers = st.integers(-3, 3).map(str) | st.sampled_from(["1.5", "-0.5", "2024", "9007199254740993"])
own_values = (
    *(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([1.5, -0.5, 2.0, 9007199254740993, 2024])),
    *(texts, numbers, moments, moments.map(lambda each: each[:10])),
)
COLUMN_VALUES = {
    "date": moments | moments.map("{}+02:00".format),
    "width": st.integers(0, 4) | st.just(9007199254740993),
    "bytes": st.integers(-3, 3),
    "folder": paths,
    "image": paths.filter(bool),
    "text": st.lists(texts.filter(bool), max_size=3).map("\n".join),
    "label": texts,
    "page": texts,
}
VALUES = {
    **dict.fromkeys(("text", "label", "page"), patterns),
    "folder": path_patterns,
    "image": path_patterns,
    "date": times,
    "width": numbers,
    "bytes": numbers,
    **{column: st.one_of(patterns, numbers, times) for column in ("price", "shop")},
}
rows_of_table = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            **COLUMN_VALUES,
            "fields": st.dictionaries(st.sampled_from(["price", "shop"]), st.one_of(own_values), max_size=2),
        },
    ),
    max_size=6,
)


@st.composite
def conditions_of_table(draw: st.DrawFn) -> tuple[str, str, str]:
    column = draw(st.sampled_from(sorted(VALUES)))
    operators = ["=", "!="] if column in TEXT_TESTS else ["=", "!=", "<", "<=", ">", ">="]
    value = draw(VALUES[column] | st.just("*") if column in TEXT_TESTS else VALUES[column])
    return column, draw(st.sampled_from(operators)), value


@given(rows_of_table, st.lists(conditions_of_table(), max_size=3))
def test_conditions_find_what_plain_python_finds(rows, conditions):
    wanted = [number for number, row in enumerate(rows) if all(expected(row, *each) for each in conditions)]
    assert found(rows, *("".join(condition) for condition in conditions)) == wanted


@given(st.text(max_size=40))
def test_any_text_is_a_condition_or_a_usage_error(text):
    try:
        condition = parse_conditions([text], FIELDS)
    except UsageError:
        return
    assert len(CONNECTION.execute(f"SELECT count({condition.sql}) FROM images", condition.parameters).fetchall()) == 1


@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(-90, 90), st.floats(-180, 180), st.integers(1, 20_000))
def test_a_place_is_near_by_the_great_circle(latitude, longitude, other_latitude, other_longitude, km):
    row = {"latitude": latitude, "longitude": longitude}
    is_near = found([row], f"near={other_latitude:.6f},{other_longitude:.6f},{km}km") == [0]
    one, other = (direction(*each) for each in ((latitude, longitude), (other_latitude, other_longitude)))
    distance = 6371.0088 * math.atan2(math.dist((0, 0, 0), cross(one, other)), sum(map(float.__mul__, one, other)))
    if abs(distance - km) > 0.01:
        assert is_near == (distance < km)


def direction(latitude: float, longitude: float) -> tuple[float, float, float]:
    phi, theta = math.radians(latitude), math.radians(longitude)
    return math.cos(phi) * math.cos(theta), math.cos(phi) * math.sin(theta), math.sin(phi)


def cross(one: Sequence[float], other: Sequence[float]) -> tuple[float, float, float]:
    (a, b, c), (d, e, f) = one, other
    return b * f - c * e, c * d - a * f, a * e - b * d
