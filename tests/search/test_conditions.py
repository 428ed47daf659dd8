"""Conditions on hits: what each finds, and what is refused."""

import re
from typing import Any

import pytest

from openalign.errors import UsageError
from openalign.options import typed_options
from openalign.search.query.comparison import LONGEST_CONDITION, MOST_CONDITIONS
from openalign.search.query.conditions import parse_conditions
from tests.search.images_table import FIELDS, found


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
