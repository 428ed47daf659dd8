"""Sources of a curation in the layouts that training reads."""

import base64
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from openalign.curation.sources.locations import parse_location
from openalign.curation.sources.settings import TableSettings
from openalign.errors import OpenAlignError
from tests.curation.extracted import Extracted, extracted


def jpeg(colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(file, "JPEG")
    return file.getvalue()


RED, BLUE = jpeg("red"), jpeg("blue")


def pairs_of(found: Extracted) -> list[tuple[str | None, bytes]]:
    """The texts with the bytes that their images have where they are stored."""
    bytes_of = {row["image"]: parse_location(row["location"]).read() for row in found.images}
    return [(row["text"], bytes_of[row["image"]]) for row in found.occurrences]


def test_lists_of_captions_give_several_pairs_of_one_image(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(RED)
    (tmp_path / "b.jpg").write_bytes(BLUE)
    rows = [{"image": "a.jpg", "caption": ["a red field", "red"]}, {"image": "./b.jpg", "caption": ["a blue field"]}]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = extracted([tmp_path / "t.jsonl"], tmp_path / "work")
    assert pairs_of(found) == [("a red field", RED), ("red", RED), ("a blue field", BLUE)]
    assert len(found.images) == 2


def test_file_and_data_addresses_are_read_in_place(tmp_path: Path) -> None:
    (tmp_path / "my picture.jpg").write_bytes(RED)
    address = f"file://{tmp_path}/my%20picture.jpg"
    inline = f"data:image/jpeg;base64,{base64.b64encode(BLUE).decode()}"
    (tmp_path / "t.csv").write_text(f'image,text\n{address},a red field\n"{inline}",a blue field\n')
    found = extracted([tmp_path / "t.csv"], tmp_path / "work")
    assert pairs_of(found) == [("a red field", RED), ("a blue field", BLUE)]
    assert len({row["image"] for row in found.occurrences}) == 2


def test_pictures_in_a_column_come_before_addresses(tmp_path: Path) -> None:
    table = pa.table(
        {"url": ["http://a.org/1", "http://a.org/1"], "caption": ["a red field", "blue"], "jpg": [RED, BLUE]}
    )
    pq.write_table(table, tmp_path / "0.parquet")
    assert pairs_of(extracted([tmp_path / "0.parquet"], tmp_path / "work")) == [("a red field", RED), ("blue", BLUE)]


@pytest.fixture
def splits(tmp_path: Path) -> Path:
    for split, data in (("train", RED), ("test", BLUE)):
        folder = tmp_path / "data" / split
        folder.mkdir(parents=True)
        (folder / "a.jpg").write_bytes(data)
        (folder / "metadata.jsonl").write_text(json.dumps({"file_name": "a.jpg", "text": f"of {split}"}) + "\n")
    return tmp_path / "data"


def test_several_splits_are_refused_until_one_is_chosen(splits: Path, tmp_path: Path) -> None:
    with pytest.raises(OpenAlignError, match=r"several splits \(.*choose one with --split"):
        extracted([splits], tmp_path / "a")
    one = extracted([splits], tmp_path / "b", tables=TableSettings(split="train"))
    assert pairs_of(one) == [("of train", RED)]
    both = extracted([splits], tmp_path / "c", tables=TableSettings(split="all"))
    assert sorted(pairs_of(both)) == sorted([("of train", RED), ("of test", BLUE)])


def test_images_with_caption_files_and_coco_captions_are_read(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, data, text in (("a", RED, "a red field"), ("b", BLUE, "a blue field")):
        (photos / f"{name}.jpg").write_bytes(data)
        (photos / f"{name}.caption").write_text(text)
    assert pairs_of(extracted([photos], tmp_path / "a")) == [("a red field", RED), ("a blue field", BLUE)]
    coco = tmp_path / "coco"
    (coco / "val2017").mkdir(parents=True)
    (coco / "val2017" / "1.jpg").write_bytes(RED)
    annotations = [{"image_id": 1, "id": 1, "caption": "a red field"}, {"image_id": 1, "id": 2, "caption": "red"}]
    content = {"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": annotations}
    (coco / "captions_val2017.json").write_text(json.dumps(content))
    assert pairs_of(extracted([coco / "captions_val2017.json"], tmp_path / "b")) == [
        ("a red field", RED),
        ("red", RED),
    ]


def test_a_saved_dataset_is_read_where_its_images_lie(tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    folder.mkdir()
    table = pa.table({"image": [{"bytes": RED, "path": "a"}, {"bytes": BLUE, "path": "b"}], "text": ["red", "blue"]})
    with pa.ipc.new_stream(str(folder / "data-00000-of-00001.arrow"), table.schema) as stream:
        stream.write_table(table)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))
    (folder / "dataset_info.json").write_text("{}")
    assert pairs_of(extracted([folder], tmp_path / "work")) == [("red", RED), ("blue", BLUE)]


def test_losses_have_a_kind_and_a_strict_curation_ends(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(RED)
    (tmp_path / "t.csv").write_text("image,text\na.jpg,red\nlost.jpg,lost\n,nothing\n")
    with pytest.raises(OpenAlignError, match=r"strict`? forbids"):
        extracted([tmp_path / "t.csv"], tmp_path / "a", tables=TableSettings(strict=True))
    found = extracted([tmp_path / "t.csv"], tmp_path / "b")
    kinds = {getattr(problem, "kind", None) for problem in found.problems}
    assert kinds == {"rows without an image", "images that cannot be read"}


def test_a_layout_can_be_named(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for name in ("cat", "dog"):
        (photos / name).mkdir(parents=True)
        (photos / name / "1.jpg").write_bytes(RED)
    (photos / "index.html").write_text('<img src="cat/1.jpg" alt="the cat of the page">')
    assert [row["text"] for row in extracted([photos], tmp_path / "a").occurrences] == ["the cat of the page"]
    named = extracted([photos], tmp_path / "b", tables=TableSettings(layout="class-folders"))
    assert [row["text"] for row in named.occurrences] == ["cat", "dog"]
