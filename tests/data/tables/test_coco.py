"""Captions of COCO and of Karpathy's splits are read from their JSON."""

import json
from pathlib import Path
from typing import Any

import pytest

from openalign.data.left_out import counted
from openalign.data.pairs.open import open_pairs
from openalign.errors import OpenAlignError, UsageError
from tests.data.tables.datasets import JPEGS

COCO: dict[str, Any] = {
    "info": {"year": 2017},
    "licenses": [{"id": 1}],
    "images": [
        {"id": 7, "file_name": "000007.jpg", "height": 8},
        {"id": 3, "file_name": "000003.jpg", "height": 8},
        {"id": 5, "file_name": "000005.jpg", "height": 8},
    ],
    "annotations": [
        {"id": 1, "image_id": 3, "caption": "a cat\n"},
        {"id": 2, "image_id": 7, "caption": "a dog"},
        {"id": 3, "image_id": 3, "caption": "a grey cat"},
        {"id": 4, "image_id": 99, "caption": "nothing"},
    ],
}


def karpathy(*splits: str) -> dict[str, Any]:
    images = [
        {
            "filepath": "val2014",
            "filename": f"{number}.jpg",
            "split": split,
            "imgid": number,
            "sentids": [2 * number, 2 * number + 1],
            "sentences": [
                {"raw": f"image {number}", "tokens": ["image"]},
                {"raw": f"picture {number}"},
            ],
        }
        for number, split in enumerate(splits)
    ]
    return {"dataset": "coco", "images": images}


def write(path: Path, content: Any, *images: str) -> Path:
    for name, data in zip(images, JPEGS, strict=False):
        (path.parent.parent / name).parent.mkdir(parents=True, exist_ok=True)
        (path.parent.parent / name).write_bytes(data)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def test_coco_captions_make_a_pair_of_each_and_what_is_alone_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "annotations" / "captions_val2017.json"
    pairs = open_pairs(write(path, COCO, "val2017/000007.jpg", "val2017/000003.jpg"))
    assert pairs.table.select(["image", "text", "image_id"]).to_pylist() == [
        {"image": "000007.jpg", "text": "a dog", "image_id": 7},
        {"image": "000003.jpg", "text": "a cat", "image_id": 3},
        {"image": "000003.jpg", "text": "a grey cat", "image_id": 3},
    ]
    assert [pairs.image_bytes(row) for row in range(3)] == [JPEGS[0], JPEGS[1], JPEGS[1]]
    assert counted(pairs.problems) == {"captions of images that are not there": 1, "rows without a text": 1}


def test_karpathy_s_splits_are_chosen_by_name(tmp_path: Path) -> None:
    path = write(
        tmp_path / "annotations" / "dataset_coco.json", karpathy("test", "restval", "train", "train"), "val2014/0.jpg"
    )
    with pytest.raises(OpenAlignError, match=r"several splits \(test, restval, train\): choose one with --split"):
        open_pairs(path)
    pairs = open_pairs(path, split="test")
    assert pairs.texts() == ["image 0", "picture 0"]
    assert pairs.table["image"].to_pylist() == ["val2014/0.jpg"] * 2
    assert pairs.image_bytes(1) == JPEGS[0]
    assert pairs.row_name(1).endswith("row 1 (val2014/0.jpg)")
    assert open_pairs(path, split="train").texts() == ["image 2", "picture 2", "image 3", "picture 3"]
    assert len(open_pairs(path, split="all")) == 8
    assert len(open_pairs(path, need_text=False)) == 8
    with pytest.raises(UsageError, match=r"no split 'val': its splits are test, restval, train"):
        open_pairs(path, split="val")


def test_karpathy_s_files_of_flickr_name_images_without_a_folder(tmp_path: Path) -> None:
    content = karpathy("val")
    del content["images"][0]["filepath"]
    pairs = open_pairs(write(tmp_path / "annotations" / "dataset_flickr30k.json", content, "images/0.jpg"))
    assert pairs.texts() == ["image 0", "picture 0"]
    assert pairs.image_bytes(0) == JPEGS[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"images": [], "annotations": []}, "lists no images"),
        ({"images": COCO["images"], "annotations": [{"image_id": 3, "bbox": [1]}]}, "annotations without captions"),
        ({"images": [{"id": 1}, 5, None], "annotations": []}, "lists no images"),
    ],
)
def test_a_file_without_captions_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(OpenAlignError, match=message):
        open_pairs(write(tmp_path / "a" / "instances.json", content))


def test_odd_entries_are_counted(tmp_path: Path) -> None:
    content = {
        "images": [*COCO["images"], {"id": [1], "file_name": "x.jpg"}, "y.jpg"],
        "annotations": [*COCO["annotations"], 5, {"image_id": {}, "caption": "c"}, {"image_id": 5, "caption": 12}],
    }
    pairs = open_pairs(write(tmp_path / "a" / "captions.json", content))
    assert counted(pairs.problems) == {
        "captions of images that are not there": 3,
        "rows without an image": 2,
        "rows without a text": 1,
    }


@pytest.mark.parametrize("first", [7, "7"])
def test_captions_of_an_id_that_two_images_have_belong_to_neither(tmp_path: Path, first: object) -> None:
    images = [{"id": first, "file_name": "other.jpg"}, *COCO["images"], {"id": 3, "file_name": "000003.jpg"}]
    pairs = open_pairs(write(tmp_path / "a" / "captions.json", {**COCO, "images": images}))
    assert pairs.texts() == ["a cat", "a grey cat"]
    assert counted(pairs.problems) == {"captions of images that are not there": 2, "rows without a text": 3}
    assert any("annotation 2 is of the image id 7, which several images have" in each for each in pairs.problems)


def test_ids_may_be_texts_in_one_place_and_captions_lists_or_objects(tmp_path: Path) -> None:
    annotations = [{"image_id": "3", "caption": ["a cat", "a pet"]}, {"image_id": "7", "caption": {"raw": "a dog"}}]
    pairs = open_pairs(write(tmp_path / "a" / "captions.json", {**COCO, "annotations": annotations}))
    assert sorted(pairs.texts()) == ["a cat", "a dog", "a pet"]
