"""Conditions on hits: what each finds, compared with plain Python, and what is refused."""

import json
import math
import re
import sqlite3
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openalign.errors import UsageError
from openalign.options import typed_options
from openalign.search.query.comparison import LONGEST_CONDITION, MOST_CONDITIONS
from openalign.search.query.conditions import parse_conditions
from openalign.search.query.matching import add_functions
from openalign.search.query.remembered import Latest, RowsOfConditions

TABLE = """
CREATE TABLE images (
    row INTEGER PRIMARY KEY, image TEXT, text TEXT, page TEXT, width INTEGER, height INTEGER, source INTEGER,
    digest BLOB, date TEXT, latitude REAL, longitude REAL, folder TEXT, bytes INTEGER, label TEXT, fields TEXT
)
"""
FIELDS = ("price", "shop", "bought", "Größe", "on sale", "label", 'a"b', "x<y")
Row = Mapping[str, Any]


def connected() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    add_functions(connection)
    connection.execute(TABLE)
    return connection


CONNECTION = connected()


def found(rows: Sequence[Row], *conditions: str) -> list[int]:
    """The numbers of the rows that meet the conditions."""
    CONNECTION.execute("DELETE FROM images")
    for number, row in enumerate(rows):
        values = {"row": number, **row}
        if "fields" in values:
            values["fields"] = json.dumps(values["fields"])
        marks = ", ".join("?" * len(values))
        CONNECTION.execute(f"INSERT INTO images ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))
    condition = parse_conditions(conditions, FIELDS)
    sql = f"SELECT row FROM images WHERE {condition.sql} ORDER BY row"
    return [row for (row,) in CONNECTION.execute(sql, condition.parameters)]


def test_without_conditions_every_row_is_found():
    assert found([{}, {"label": "cat"}]) == [0, 1]


DATES = [None, "2023-12-31T23:59:59", "2024-05-17T08:00:00+02:00", "2024-05-31T23:59:59", "2024-06-01T00:00:00"]


@pytest.mark.parametrize(
    ("condition", "rows"),
    [
        ("date=2024", [2, 3, 4]),
        ("date != 2024", [0, 1]),
        ("date>=2024-05", [2, 3, 4]),
        ("date>2024-05", [4]),
        ("date<=2024-05", [1, 2, 3]),
        ("date<2024-05", [1]),
        ("date=2024-05-17", [2]),
        ("date=2024-05-17T08", [2]),
        ("date=2024-05-17 08:00", [2]),
        ("date<=2024-05-17t08:00:00", [1, 2]),
        ("date=*", [1, 2, 3, 4]),
        ("date!=*", [0]),
        ("Date=2024-05-17", [2]),
    ],
)
def test_a_date_stands_for_all_the_time_it_names(condition, rows):
    assert found([{"date": date} for date in DATES], condition) == rows


FOLDERS = [None, "", "holiday", "photos/Holiday 2024/rome", "photos/my holiday", "rome/photos", "/photos/rome/forum"]


@pytest.mark.parametrize(
    ("condition", "rows"),
    [
        ("folder=holiday*", [2, 3]),
        ("folder=*holiday*", [2, 3, 4]),
        ("folder=rome", [3, 5, 6]),
        ("folder=photos/*/rome", [3]),
        ("folder=holiday*/rome/", [3]),
        ("folder=photos/rome", [6]),
        ("folder=/rome", [5]),
        ("folder=/photos/*", [3, 4, 6]),
        ("folder=h*e", []),
        ("folder=r?m?", [3, 5, 6]),
        ("folder!=photos", [0, 1, 2]),
        ("folder!=*", [0, 1]),
    ],
)
def test_a_folder_is_found_by_its_parts(condition, rows):
    assert found([{"folder": folder} for folder in FOLDERS], condition) == rows


def test_an_image_is_found_by_its_path_or_by_the_end_of_it():
    rows = [{"image": name} for name in ("a/beach.PNG", "a/b/beach.png", "beach.png", "beach.png.jpg", "a/100%.png")]
    assert found(rows, "image=*.png") == [0, 1, 2, 4]
    assert found(rows, "image=beach.png") == [0, 1, 2]
    assert found(rows, "image=b/*.png") == [1]
    assert found(rows, "image=100%.png") == [4]
    assert found(rows, "image=%") == []


def test_a_text_is_found_by_one_of_its_lines():
    rows = [{"text": text} for text in ("a dog", "a cat\nA DOG", "un chien\nune fe\u0302te", None)]
    assert found(rows, "text=a dog") == [0, 1]
    assert found(rows, "text=*dog*") == [0, 1]
    assert found(rows, "text=une f\u00cate") == [2]
    assert found(rows, "text=*cat*dog") == [1]
    assert found(rows, "text!=*") == [3]


def test_case_and_encoding_of_accents_make_no_difference():
    rows = [{"label": label} for label in ("Café", "CAFE\u0301", "cafe", "Straße", "STRASSE", "\u212alein", "klein")]
    assert found(rows, "label=caf\u00e9") == found(rows, "label=cafe\u0301") == [0, 1]
    assert found(rows, "label=strasse") == found(rows, "label=Straße") == [3, 4]
    assert found(rows, "label=klein") == found(rows, "label=\u212aLEIN") == [5, 6]
    assert found(rows, "label=[ck]*") == []


def test_sizes_have_units():
    rows = [{"bytes": size, "width": size} for size in (999, 1_000, 1_024, 1_000_000)]
    assert found(rows, "bytes<1kB") == [0]
    assert found(rows, "bytes<=1 KiB") == [0, 1, 2]
    assert found(rows, "bytes=1MB") == [3]
    assert found(rows, "bytes>=0.001mb") == [1, 2, 3]
    assert found(rows, "width>1e3") == [2, 3]
    assert found(rows, f"bytes<{9 * 10**18}GB") == [0, 1, 2, 3]


def test_places_within_a_distance_are_found_across_the_date_line_and_the_pole():
    places = [(48.8584, 2.2945), (48.8606, 2.3376), (None, None), (0.0, 179.95), (0.0, -179.95), (89.99, 10), (90, 0)]
    rows = [{"latitude": latitude, "longitude": longitude} for latitude, longitude in places]
    assert found(rows, "near=48.8584,2.2945,3km") == [0]
    assert found(rows, "near=48.8584, 2.2945, 3200 m") == [0, 1]
    assert found(rows, "near=48.8584,2.2945,2mi") == [0, 1]
    assert found(rows, "near=0,180,6km") == [3, 4]
    assert found(rows, "near=89.99,-170,3km") == [5, 6]
    assert found(rows, "near!=*") == [2]
    assert found(rows, "near!=0,180,6km") == [0, 1, 2, 5, 6]
    assert found(rows, "latitude<48.86", "longitude>0") == [0, 3]


def test_columns_of_the_table_compare_numbers_dates_and_texts_each_with_their_kind():
    prices: list[Any] = [5, "5.0", 12.5, "12", "twelve", None, True, "2024-05-17", [5], {"a": 1}]
    rows = [{"fields": {"price": price}} for price in prices] + [{"fields": {}}, {}]
    assert found(rows, "price=5") == [0, 1]
    assert found(rows, "price>=5.0") == [0, 1, 2, 3]
    assert found(rows, "price=12*") == [2, 3]
    assert found(rows, "price>2024-04") == found(rows, "price=2024") == [7]
    assert found(rows, "price=true") == [6]
    assert found(rows, "price=*5*") == [0, 1, 2, 7, 8]
    assert found(rows, "price=*") == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert found(rows, "price!=*") == [5, 10, 11]
    assert found(rows, "price>=tw") == [4]


def test_numbers_and_dates_of_any_form_are_compared_as_what_they_are():
    prices = [
        "007",
        "7",
        "+7",
        "7.0",
        "-7",
        "7e0",
        "7" * 16,
        "７",
        "7\u0301",
        "2024-05-17 08:30:00",
        "2024-05-17T08",
        "2024",
    ]
    rows = [{"fields": {"price": price, 'a"b': price}} for price in prices]
    for column in ("price", 'a"b'):
        assert found(rows, f"{column}=7") == found(rows, f"{column}<=7", f"{column}>=7") == [0, 1, 2, 3, 5]
        assert found(rows, f"{column}<0") == [4]
        assert found(rows, f"{column}>{'7' * 16}") == []
        assert found(rows, f"{column}>={'7' * 16}") == [6]
        assert found(rows, f"{column}<=2024-05-17T08:30") == found(rows, f"{column}=2024-05-17T08") == [9, 10]
        assert found(rows, f"{column}>2024-05-17T08:29") == [9]
        assert found(rows, f"{column}>z") == [7]


def test_columns_of_any_name_are_found():
    rows = [{"label": "mine", "fields": {"Größe": 3, "on sale": "yes", "label": "theirs", 'a"b': "q", "x<y": "z"}}]
    conditions = ["GRO\u0308SSE>2", "on sale = Yes", "label=mine", "fields.label=theirs", 'a"b=q', "x<y=z"]
    assert found(rows, *conditions) == [0]
    assert found(rows, "label=theirs") == found(rows, "x<y!=z") == []


@pytest.mark.parametrize(
    "hostile", ["' OR 1=1 --", '"; DROP TABLE images; --', "a\0b", "%", "_", "\\", "é" * 900, "*" * 900]
)
@pytest.mark.parametrize("column", ["label", "text", "image", "folder", "shop"])
def test_hostile_values_are_only_values(column, hostile):
    stored = [hostile, "other", "aXb", "a", None]
    if column == "shop" and "\0" in hostile:
        return  # SQLite ends texts of JSON at a NUL
    rows = [{"fields": {"shop": value}} if column == "shop" else {column: value} for value in stored]
    assert found(rows, f"{column}={hostile}") == ([0, 1, 2, 3] if hostile.startswith("*") else [0])


@pytest.mark.parametrize("column", ["label", "text", "image", "folder", "shop"])
def test_many_wildcards_do_not_take_for_ever(column):
    long = "a" * 20_000
    rows = [
        {"fields": {"shop": long}} if column == "shop" else {column: long},
        {column: "é" + long} if column != "shop" else {},
    ]
    assert found(rows, f"{column}={'*a' * 400}*b") == []


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("dat>=2024", "there is no column `dat`; the nearest is `date`."),
        ("shpo=x", "the nearest is `shop`."),
        ("qqqq=1", "there is no column `qqqq`; there are date, near, image,"),
        ("date", "there is no comparison in it"),
        ("", "there is no comparison in it"),
        ("=3", "the name of a column is missing"),
        ("label=", "the value is missing; `label!=*` finds"),
        ("date=>2024", "write >= for =>."),
        ("date=2024-13", "`date` is compared with a year"),
        ("date=2023-02-29", "`date` is compared with a year"),
        ("date=yesterday", "`date` is compared with a year"),
        ("date=２０２４", "`date` is compared with a year"),
        ("date>=2024-05-17T10:00+02:00", "without an offset"),
        ("date>*", "`date` is compared with a year"),
        ("width>=wide", "`width` is compared with a number, such as `width>=1000`."),
        ("width>=1MB", "`width` is compared with a number"),
        ("bytes<1TBx", "`bytes` is compared with a number, such as `bytes<1MB`."),
        ("width>nan", "`width` is compared with a number"),
        ("width>1e999", "`width` is compared with a number"),
        ("width>" + "9" * 500, "`width` is compared with a number"),
        ("near=paris", "a place is given by its latitude"),
        ("near=1,2", "a place is given by its latitude"),
        ("near=1,2,3", "a place is given by its latitude"),
        ("near=1,2,-3km", "a place is given by its latitude"),
        ("near=1,2,3km,4", "a place is given by its latitude"),
        ("near<1,2,3km", "a place is given by its latitude"),
        ("near=91,2,3km", "a latitude lies between"),
        ("near=x,2,3km", "a latitude lies between"),
        ("label>=cat", "`label` is a text, which is compared with = or !="),
        ("label=\ud800", "not valid Unicode"),
        ("label=" + "x" * LONGEST_CONDITION, f"the most is {LONGEST_CONDITION}"),
        ("width<<20", "<< is no comparison"),
        ("date>=>2024", ">=> is no comparison"),
        ("label<>cat", "<> is no comparison; there are =, !=, <, <=, > and >="),
    ],
)
def test_a_mistyped_condition_is_a_usage_error_that_names_it(condition, message):
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        parse_conditions(["width>1", condition], FIELDS)
    if len(condition) < 100 and "\ud800" not in condition:
        assert condition in str(caught.value)


def test_a_table_of_many_columns_is_not_listed_as_a_whole():
    with pytest.raises(UsageError, match=r"column-25 and 974 more\.$"):
        parse_conditions(["zzz=1"], [f"column-{number}" for number in range(1000)])


def test_errors_name_the_option_as_it_was_typed():
    with typed_options(), pytest.raises(UsageError, match=r"^--where dat=1: "):
        parse_conditions(["dat=1"])


def test_too_many_conditions_are_refused():
    assert parse_conditions(["width>1"] * MOST_CONDITIONS).parameters == (1,) * MOST_CONDITIONS
    with pytest.raises(UsageError, match="more than the 100"):
        parse_conditions(["width>1"] * (MOST_CONDITIONS + 1))


# What the conditions mean, in plain Python: each takes a row and says whether it meets `column operator value`.


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


@given(st.integers(1, 300), st.data())
def test_remembered_rows_are_those_that_were_put(count, data):
    remembered = RowsOfConditions(count)
    put = {name: sorted(data.draw(st.sets(st.integers(0, count - 1)))) for name in ("a", "b")}
    for name, rows in put.items():
        remembered.put([name], np.array(rows, np.int64))
    for name, rows in put.items():
        found = remembered.get([name])
        assert found is not None and found.dtype == np.int64 and found.tolist() == rows
    assert remembered.get(["a", "b"]) is None


def test_what_is_remembered_is_bounded_and_forgets_what_was_asked_for_longest_ago():
    latest = Latest(100)
    for key in "abc":
        latest.put(key, (np.zeros(40, np.uint8),))
        assert latest.get("a") is not None
    assert latest.get("b") is None and latest.get("c") is not None
    latest.put("d", (np.zeros(1000, np.uint8),))
    assert latest.get("a") is latest.get("c") is None and latest.get("d") is not None
    latest.put("d", (np.zeros(50, np.uint8),))
    latest.put("e", (np.zeros(50, np.uint8),))
    assert latest.get("d") is not None and latest.get("e") is not None
