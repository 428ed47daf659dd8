"""An index as a table: every image with its thumbnail, texts, columns and place."""

import io

import pyarrow.parquet as pq
import pytest
from PIL import Image

from openalign.errors import OpenAlignError
from openalign.search import Index


@pytest.fixture
def index(tmp_path, paint, paint_encoder) -> Index:
    rows = ["file,text,price,x"]
    for number in range(12):
        paint(tmp_path / "shop" / f"{number}.png", "red" if number % 2 else "blue", (80 + number, 60))
        rows.append(f"{number}.png,colour {number},{number / 2},word{number}")
    (tmp_path / "shop" / "pairs.csv").write_text("\n".join(rows) + "\n")
    return Index.build(tmp_path / "shop", model=paint_encoder, to=tmp_path / "shop.index")


def test_a_table_has_every_image_with_its_place(index, tmp_path):
    assert index.write_table(tmp_path / "shop.parquet") == 12
    table = pq.read_table(tmp_path / "shop.parquet").to_pylist()
    assert [each["row"] for each in table] == list(range(12))
    for each, (x, y) in zip(table, index.map.at_N2.tolist(), strict=True):
        assert (each["x"], each["y"]) == (x, y)
        assert Image.open(io.BytesIO(each["image"]["bytes"])).size == (each["width"], each["height"])
        assert each["path"].endswith(each["image"]["path"])
        assert each["text"] == f"colour {each['row']}"
        assert each["fields.x"] == f"word{each['row']}", "a column of the user's is not overwritten"
    assert {type(each["price"]) for each in table} <= {str, float}


def test_without_a_map_there_are_no_places(index, tmp_path, paint_encoder):
    other = Index.build(tmp_path / "shop", model=paint_encoder, to=tmp_path / "other.index", map_=False)
    other.write_table(tmp_path / "shop.parquet")
    assert "y" not in pq.read_schema(tmp_path / "shop.parquet").names


def test_what_is_not_on_the_map_is_told_and_has_no_place(index, tmp_path, paint, paint_encoder, caplog):
    paint(tmp_path / "shop" / "new.png", "red", (99, 60))
    with (tmp_path / "shop" / "pairs.csv").open("a") as table:
        table.write("new.png,new,1,word\n")
    grown = Index.build(tmp_path / "shop", model=paint_encoder, to=tmp_path / "shop.index", map_=False)
    grown.write_table(tmp_path / "shop.parquet")
    assert "1 images are not on the map yet" in caplog.text
    assert [each for each in pq.read_table(tmp_path / "shop.parquet")["x"].to_pylist() if each is None] == [None]


@pytest.mark.parametrize("name", ["table.csv", "table"])
def test_another_ending_is_refused_and_nothing_written(index, tmp_path, name):
    with pytest.raises(OpenAlignError, match=r"let it end in \.parquet"):
        index.write_table(tmp_path / name)
    assert not (tmp_path / name).exists()
