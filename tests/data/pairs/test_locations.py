"""An image is found again by its location, whatever it is stored in; rows of one image are one."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openalign.curation.sources.locations import parse_location
from openalign.data.pairs.open import open_pairs
from openalign.data.shards.writer import ShardWriter
from tests.data.pairs.folders import JPEG, put

IMAGES = [JPEG + bytes([number]) for number in range(5)]


def folder(to: Path) -> Path:
    to.mkdir()
    for number, image in enumerate(IMAGES):
        (to / f"{number}.jpg").write_bytes(image)
        (to / f"{number}.txt").write_text(f"text {number}")
    return to


def shards(to: Path) -> Path:
    with ShardWriter(to, 2) as writer:
        for number, image in enumerate(IMAGES):
            writer.write(str(number), image, f"text {number}", {"image": f"http://a.test/{number}"})
    return to


def parquet(to: Path) -> Path:
    to.mkdir()
    for name, rows in (("part-0", range(3)), ("part-1", range(3, 5))):
        objects = [{"bytes": IMAGES[row], "path": None} for row in rows]
        table = pa.table({"text": [f"text {row}" for row in rows], "image": objects})
        pq.write_table(table, to / f"{name}.parquet", row_group_size=2)
    return to


def saved(to: Path) -> Path:
    to.mkdir()
    table = pa.table({"image": IMAGES, "text": [f"text {row}" for row in range(5)]})
    with pa.OSFile(str(to / "data-00000-of-00001.arrow"), "wb") as file, pa.ipc.new_stream(file, table.schema) as out:
        out.write_table(table)
    (to / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))
    return to


@pytest.mark.parametrize("write", [folder, shards, parquet, saved])
def test_an_image_is_read_again_from_its_location(tmp_path: Path, write) -> None:
    pairs = open_pairs(write(tmp_path / "data")).select([4, 0, 3, 1])
    locations = [pairs.images.location(row) for row in range(4)]
    assert [parse_location(each).read() for each in locations] == [IMAGES[row] for row in (4, 0, 3, 1)]


def test_an_image_at_a_url_has_its_url_for_a_location(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,text\nhttp://a.test/1.jpg,x\n")
    assert open_pairs(tmp_path / "t.csv").images.location(0) == "at://http://a.test/1.jpg"


def test_the_rows_of_an_image_are_one_with_all_of_its_texts(tmp_path: Path) -> None:
    put(tmp_path, b=None, a=None)
    rows = ("b.jpg,one", "a.jpg,two", "./b.jpg,three", "b.jpg,one", "a.jpg,")
    (tmp_path / "t.csv").write_text("\n".join(["image,text", *rows]))
    pairs, texts = open_pairs(tmp_path / "t.csv", need_text=False).one_per_image()
    assert pairs.table["image"].to_pylist() == ["b.jpg", "a.jpg"]
    assert texts == [["one", "three"], ["two"]]


@pytest.mark.parametrize(
    "written",
    ["./a b.jpg", "x/../a b.jpg", "{folder}/a b.jpg", "file://{folder}/a%20b.jpg", ".//a b.jpg"],
)
def test_ways_to_write_a_path_name_one_image(tmp_path: Path, written: str) -> None:
    (tmp_path / "a b.jpg").write_bytes(JPEG)
    row = written.format(folder=tmp_path)
    (tmp_path / "t.csv").write_text(f"image,text\na b.jpg,one\n{row},two\n")
    pairs, texts = open_pairs(tmp_path / "t.csv").one_per_image()
    assert (pairs.table["image"].to_pylist(), texts) == (["a b.jpg"], [["one", "two"]])
    assert open_pairs(tmp_path / "t.csv").image_bytes(1) == JPEG
