"""What an index can be filtered by, and all images in order."""

import json

import numpy as np
import pytest
from PIL import Image

from openalign.errors import UsageError
from openalign.search import Index
from openalign.search.facets import MOST_VALUES, Count, Range, facets_of

TAKEN = ["2021:05:03 10:00:00", "2021:05:04 10:00:00", "2023:12:31 23:59:59", None]
COLOURS = ["red", "green", "blue", "red"]


@pytest.fixture
def index(tmp_path, paint_encoder):
    """Four photos in two folders, three with a date, one with a place, in a table with columns of all kinds."""
    rows = [
        {"file": f"{'rome' if number % 2 else 'home/garden'}/{number}.jpg", "text": COLOURS[number],
         "shop": "ab"[number % 2], "width": f"w{number % 2}", "stars": number % 2, "price": 10.5 * number,
         "same": "x", "on": bool(number % 2),
         "odd": " blank ", "sku": f"s{number}"}
        for number in range(4)
    ]  # fmt: skip
    for number, row in enumerate(rows):
        exif = Image.Exif()
        if TAKEN[number]:
            exif.get_ifd(0x8769)[0x9003] = TAKEN[number]
        if number == 2:
            exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 0.0, 0.0), 3: "E", 4: (2.0, 0.0, 0.0)})
        path = tmp_path / "photos" / row["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40 + 10 * number, 60), COLOURS[number]).save(path, exif=exif)
    (tmp_path / "photos" / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Index.build([tmp_path / "photos"], model=paint_encoder, to=tmp_path / "i.index")


def values_of(index) -> dict[str, list[tuple[str, int]]]:
    return {
        each.column: [(count.value, count.images) for count in each.values] for each in facets_of(index.store).columns
    }


def test_months_folders_and_columns_are_counted(index):
    facets = facets_of(index.store)
    assert facets.months == [Count("2021-05", 2), Count("2023-12", 1)]
    assert (facets.images, facets.counted, facets.dated, facets.placed) == (4, 4, 3, 1)
    values = values_of(index)
    assert values["folder"] == [("home/garden", 2), ("rome", 2)]
    assert values["shop"] == [("a", 2), ("b", 2)]
    assert values["stars"] == [("0", 2), ("1", 2)]
    assert values["on"] == [("False", 2), ("True", 2)]
    assert "same" not in values and "odd" not in values  # one value tells nothing apart; blanks cannot be asked for


def test_a_column_named_like_ours_is_named_as_conditions_name_it(index):
    assert values_of(index)["fields.width"] == [("w0", 2), ("w1", 2)]
    assert Range("width", 40, 70) in facets_of(index.store).numbers


def test_every_value_can_be_asked_for_and_finds_as_many_as_were_counted(index):
    for column, values in values_of(index).items():
        for value, images in values:
            assert len(index.store.matching([f"{column}={value}"])) == images, (column, value)


def test_many_values_are_cut_and_many_numbers_are_a_range(tmp_path, paint, paint_encoder):
    lines = ["file,text,place,number"]
    for number in range(MOST_VALUES + 20):
        paint(tmp_path / "p" / f"{number}.png", "red", (40 + number, 40))
        lines.append(f"{number}.png,red,place {number // 2 if number < 60 else number},{number * 3}")
    (tmp_path / "p" / "pairs.csv").write_text("\n".join(lines) + "\n")
    index = Index.build([tmp_path / "p"], model=paint_encoder, to=tmp_path / "i.index")
    facets = facets_of(index.store)
    assert [each.column for each in facets.columns] == ["place"]
    assert len(facets.columns[0].values) == 40 and not facets.columns[0].more
    assert Range("number", 0, 207) in facets.numbers


def test_a_ranking_has_all_images_in_the_order_of_search(index):
    found = index.listing("red")
    hits = index.search("red", top=10)
    assert found.rows.tolist() == [hit.row for hit in hits]
    assert found.scores is not None
    assert np.allclose(found.scores, [hit.score for hit in hits], atol=1e-3)
    assert found.within == sum(hit.within for hit in hits)
    shapes = [index.row(row) for row in found.rows.tolist()]
    assert np.allclose(found.ratios, [row.width / row.height for row in shapes])


def test_matches_come_first_in_the_order_that_is_asked_for(index):
    found = index.listing("red", sort="-date")
    assert found.within == 2
    assert found.rows.tolist()[:2] == sorted(
        found.rows.tolist()[:2], key=lambda row: index.row(row).date or "", reverse=True
    )
    assert set(found.rows.tolist()[:2]) == set(index.listing("red").rows.tolist()[:2])


def test_a_listing_that_is_cut_says_so(index, monkeypatch):
    monkeypatch.setattr("openalign.search.results.listing.MOST", 3)
    for query in ("red", None):
        found = index.listing(query)
        assert len(found.rows) == 3 and "At most 3 images are listed" in found.note
    assert index.listing(where=["shop=a"]).note is None


@pytest.mark.parametrize(("order", "last"), [("date", None), ("-date", None), ("name", "rome/3.jpg")])
def test_without_a_query_all_are_in_order_and_those_without_a_date_last(index, order, last):
    rows = [index.row(row) for row in index.listing(sort=order).rows.tolist()]
    assert len(rows) == 4
    dates = [row.date for row in rows[:3]]
    if order == "name":
        assert rows[-1].name == last
    else:
        assert rows[-1].date is None
        assert dates == sorted(dates, reverse=order == "-date")


def test_conditions_hold_in_a_ranking_and_a_wrong_one_is_refused(index):
    assert len(index.listing("red", where=["shop=a"]).rows) == 2
    assert len(index.listing(where=["folder=nowhere"]).rows) == 0
    assert index.listing("red", where=["folder=nowhere"]).within == 0
    with pytest.raises(UsageError, match="shop"):
        index.listing(where=["shap=a"])
