"""Hugging Face datasets as Parquet: the images lie in the table."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openalign.curation.sources.locations import parse_location
from openalign.curation.sources.settings import TableSettings
from openalign.data.left_out import Kind, counted
from openalign.errors import OpenAlignError
from tests.curation.crawl import drawing, encoded
from tests.curation.extracted import Extracted, extracted

IMAGES = [encoded(drawing(seed, 60, 50)) for seed in range(5)]


Found = tuple[list[tuple[str, str | None]], dict[str, bytes], Extracted]


def found_in(source: Path, work: Path, **asked: Any) -> Found:
    """(image, text) in order, the bytes of each image, and what else there was."""
    found = extracted([source], work, workers=1, **asked)
    stored = {row["image"]: parse_location(row["location"]).read() for row in found.images}
    return [(row["image"], row["text"]) for row in found.occurrences], stored, found


def test_images_of_objects_are_named_by_their_path_and_read_in_place(tmp_path: Path) -> None:
    images = [{"bytes": data, "path": f"{row}.jpg"} for row, data in enumerate(IMAGES)]
    path = tmp_path / "train-00000-of-00001.parquet"
    texts = [f" a  drawing {row}" for row in range(5)]
    pq.write_table(pa.table({"image": images, "caption": texts}), path, row_group_size=2)
    pairs, stored, _ = found_in(tmp_path, tmp_path / "work")
    assert pairs == [(f"{path}/{row}.jpg", f"a drawing {row}") for row in range(5)]
    assert stored == {f"{path}/{row}.jpg": data for row, data in enumerate(IMAGES)}


def test_plain_bytes_are_named_by_their_row_and_lists_give_several_texts(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    texts = [["one", "two"], [], ["three"]]
    pq.write_table(pa.table({"png": IMAGES[:3], "captions": texts}), path, row_group_size=2)
    pairs, stored, _ = found_in(
        path, tmp_path / "work", tables=TableSettings(image_column="png", text_column="captions")
    )
    assert pairs == [(f"{path}/row {row}", text) for row, text in ((1, "one"), (1, "two"), (2, None), (3, "three"))]
    assert stored == {f"{path}/row {row + 1}": IMAGES[row] for row in range(3)}


def test_a_path_that_occurs_twice_names_no_image(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    images = [{"bytes": data, "path": f"{row % 2}.jpg"} for row, data in enumerate(IMAGES[:4])]
    pq.write_table(pa.table({"image": images, "text": ["a", "b", "c", "d"]}), path, row_group_size=2)
    _, stored, _ = found_in(path, tmp_path / "work")
    assert stored == {f"{path}/row {row + 1}": IMAGES[row] for row in range(4)}


def test_a_row_without_an_image_is_named_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": [IMAGES[0], None, IMAGES[1]], "text": ["a", "b", "c"]}), path)
    pairs, _, found = found_in(path, tmp_path / "work")
    assert pairs == [(f"{path}/row 1", "a"), (f"{path}/row 3", "c")]
    assert found.problems == [f"{path} row 2 holds no image."]


def test_a_file_that_is_missing_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(OpenAlignError, match="could not be read"):
        parse_location(f"parquet://{tmp_path}/none.parquet#0+0+0").read()


def test_a_row_that_names_its_image_instead_of_holding_it_is_read_from_there(tmp_path: Path) -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    stored = [(b"\xff\xd8\xff one", "a.jpg"), (None, "img/b.jpg"), (None, "gone.jpg"), (None, "http://a.test/c")]
    images = pa.array([{"bytes": data, "path": path} for data, path in [*stored, (None, None)]], kind)
    pq.write_table(
        pa.table({"image": images, "text": ["one", "two", "gone", "linked", "none"]}), tmp_path / "t.parquet"
    )
    (tmp_path / "img").mkdir()
    (tmp_path / "img" / "b.jpg").write_bytes(b"\xff\xd8\xff two")
    found = extracted([tmp_path / "t.parquet"], tmp_path / "work")
    assert [row["text"] for row in found.occurrences] == ["one", "two", "linked"]
    read = sorted(parse_location(row["location"]).read() for row in found.images)
    assert read == [b"\xff\xd8\xff one", b"\xff\xd8\xff two"]
    assert counted(found.problems) == {Kind.ROW_WITHOUT_IMAGE: 2}
