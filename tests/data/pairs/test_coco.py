"""Captions in one JSON file: COCO's, whose splits are files, and Karpathy's, whose splits are fields."""

import json
from pathlib import Path

import pytest

from openalign.data.left_out import Kind, counted
from openalign.data.pairs.open import open_pairs
from openalign.errors import OpenAlignError
from tests.data.pairs.folders import JPEG


def images(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(JPEG)


def coco(path: Path, captions: dict[str, list[str]], **more: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    listed = [{"id": number, "file_name": name} for number, name in enumerate(captions)]
    every = [
        {"id": 10 * number + place, "image_id": number, "caption": caption}
        for number, some in enumerate(captions.values())
        for place, caption in enumerate(some)
    ]
    path.write_text(json.dumps({"info": {}, "images": listed, "annotations": every, **more}))


def karpathy(path: Path, rows: list[tuple[str, str, list[str]]]) -> None:
    images = [
        {
            "filepath": "val2014",
            "filename": name,
            "split": split,
            "sentences": [{"raw": each, "tokens": []} for each in some],
        }
        for name, split, some in rows
    ]
    path.write_text(json.dumps({"images": images, "dataset": "coco"}))


def test_files_of_two_splits_with_their_image_folders(tmp_path: Path) -> None:
    images(tmp_path, "train2017/1.jpg", "val2017/1.jpg", "val2017/2.jpg")
    coco(tmp_path / "annotations" / "captions_train2017.json", {"1.jpg": ["one"]})
    coco(tmp_path / "annotations" / "captions_val2017.json", {"1.jpg": ["two", "three"], "2.jpg": ["four"]})
    with pytest.raises(OpenAlignError, match=r"several splits \(train, val\)"):
        open_pairs(tmp_path)
    pairs = open_pairs(tmp_path, split="val")
    assert pairs.texts() == ["two", "three", "four"]
    assert pairs.table["image"].to_pylist() == ["val2017/1.jpg", "val2017/1.jpg", "val2017/2.jpg"]
    assert pairs.image_bytes(2) == JPEG
    assert len(open_pairs(tmp_path / "annotations" / "captions_train2017.json")) == 1
    assert len(open_pairs(tmp_path, split="all").one_per_image()[0]) == 3


def test_splits_of_karpathy_are_read_apart(tmp_path: Path) -> None:
    images(tmp_path, *(f"val2014/{number}.jpg" for number in range(4)))
    rows = [
        ("0.jpg", "train", ["a", "b"]),
        ("1.jpg", "restval", ["c"]),
        ("2.jpg", "test", ["d"]),
        ("3.jpg", "test", []),
    ]
    karpathy(tmp_path / "dataset_coco.json", rows)
    for source in (tmp_path, tmp_path / "dataset_coco.json"):
        with pytest.raises(OpenAlignError, match=r"several splits \(train, restval, test\)"):
            open_pairs(source)
        assert open_pairs(source, split="train").texts() == ["a", "b"]
        test = open_pairs(source, split="test")
        assert test.texts() == ["d"] and test.image_bytes(0) == JPEG
        assert counted(test.problems) == {Kind.ROW_WITHOUT_TEXT: 1}
        assert len(open_pairs(source, split="all")) == 4


def test_what_has_no_partner_is_counted(tmp_path: Path) -> None:
    images(tmp_path, "images/1.jpg", "images/unnamed.jpg", "images/mute.jpg")
    coco(tmp_path / "captions.json", {"1.jpg": ["one"], "gone.jpg": ["two"], "mute.jpg": []})
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == ["one"]
    assert counted(pairs.problems) == {Kind.FILE_MISSING: 1, Kind.IMAGE_NOT_NAMED: 1, Kind.ROW_WITHOUT_TEXT: 1}


def test_captions_without_any_images_can_be_read_as_texts(tmp_path: Path) -> None:
    coco(tmp_path / "captions_val2017.json", {"1.jpg": ["one"]})
    assert open_pairs(tmp_path).texts() == ["one"]


def test_annotations_of_objects_are_no_captions(tmp_path: Path) -> None:
    images(tmp_path, "1.jpg")
    coco(tmp_path / "instances.json", {"1.jpg": []}, annotations=[{"image_id": 0, "bbox": [0, 0, 1, 1]}])
    with pytest.raises(OpenAlignError, match="but no texts"):
        open_pairs(tmp_path)


def test_two_files_of_one_split_are_refused_by_their_paths(tmp_path: Path) -> None:
    images(tmp_path, "1.jpg")
    for name in ("dataset_a.json", "dataset_b.json"):
        karpathy(tmp_path / name, [("1.jpg", "val", ["one"])])
    with pytest.raises(OpenAlignError, match=r"give one of them, as \S*dataset_a\.json$"):
        open_pairs(tmp_path, split="val")


@pytest.mark.parametrize("words", [("train", "Train ", "TRAIN"), ("val", "Validation", "dev")])
def test_spellings_of_a_split_are_one_and_no_value_is_another(tmp_path: Path, words: tuple[str, ...]) -> None:
    given: list[dict[str, str]] = [*({"split": word} for word in words), {"split": "test"}, {}, {"split": ""}]
    images = [
        {"filename": f"{number}.jpg", "sentences": [{"raw": f"text {number}"}], **each}
        for number, each in enumerate(given)
    ]
    (tmp_path / "dataset.json").write_text(json.dumps({"images": images, "dataset": "own"}))
    path = tmp_path / "dataset.json"
    assert open_pairs(path, split=words[0]).texts() == ["text 0", "text 1", "text 2"]
    assert open_pairs(path, split="unnamed").texts() == ["text 4", "text 5"]
    with pytest.raises(OpenAlignError, match=r"several splits \(\w+, test, unnamed\)"):
        open_pairs(path)
