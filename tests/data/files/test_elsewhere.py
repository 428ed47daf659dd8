"""Texts in folders of their own, and names in another spelling."""

import unicodedata
from pathlib import Path

import pytest

from openalign.data.files.elsewhere import called_as, in_other_folders, spelled_otherwise
from openalign.data.left_out import Kind, counted
from openalign.data.pairs.open import open_pairs
from tests.data.pairs.folders import JPEG
from tests.data.shards.tars import jpeg, tar_of

NFD = unicodedata.normalize("NFD", "Café")


@pytest.mark.parametrize(
    ("image", "text"), [("Red.jpg", "red.txt"), (f"{NFD}.jpg", "café.txt"), ("x/A.jpg", "x/a.cap")]
)
def test_names_in_another_spelling_are_the_same(image: str, text: str) -> None:
    assert spelled_otherwise([image, "other.jpg"], [text]) == {text: image}
    assert spelled_otherwise([image, image.upper()], [text]) == {}


@pytest.mark.parametrize(
    ("images", "texts"),
    [
        (["pics/a/1.jpg", "pics/b/1.jpg"], ["words/a/1.txt", "words/b/1.txt"]),
        (["jpg/image_1.jpg", "jpg/image_2.jpg"], ["text_c10/class_1/image_1.txt", "text_c10/class_9/image_2.txt"]),
        (["1.png", "2.png"], ["descriptions/1.cap", "descriptions/2.cap"]),
    ],
)
def test_texts_in_folders_of_their_own_are_found(tmp_path: Path, images: list[str], texts: list[str]) -> None:
    assert in_other_folders(images, texts, images, texts) == dict(zip(texts, images, strict=True))
    contents = {text: f"this is {image} here".encode() for text, image in zip(texts, images, strict=True)}
    for name in (*images, *texts):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(contents.get(name, JPEG))
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == [f"this is {image} here" for image in images]
    assert pairs.table["image"].to_pylist() == images
    assert not pairs.problems
    tar = tar_of(tmp_path / "0.tar", contents | dict.fromkeys(images, jpeg(0)))
    pairs = open_pairs(tar)
    assert pairs.texts() == [f"this is {image[6:]} here" for image in pairs.table["image"].to_pylist()]
    assert len(pairs) == 2


def test_an_image_and_a_text_that_lost_the_other_are_no_pair(tmp_path: Path) -> None:
    names = ["a/1.jpg", "a/1.txt", "a/2.jpg", "b/1.jpg", "b/1.txt", "b/2.txt"]
    for name in names:
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(JPEG if name.endswith("jpg") else b"text")
    tar = tar_of(tmp_path / "0.tar", {name: jpeg(0) if name.endswith("jpg") else b"text" for name in names})
    for data, kind in ((tmp_path / "folder", Kind.CAPTION_WITHOUT_IMAGE), (tar, Kind.SAMPLE_WITHOUT_IMAGE)):
        pairs = open_pairs(data)
        assert len(pairs) == 2
        assert counted(pairs.problems) == {kind: 1, Kind.ROW_WITHOUT_TEXT: 1}


def test_a_text_that_may_be_of_two_images_is_told(tmp_path: Path) -> None:
    for name in ("pics/a/1.jpg", "pics/b/1.jpg", "words/1.txt", "notes/2.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(JPEG)
    pairs = open_pairs(tmp_path, need_text=False)
    assert counted(pairs.problems) == {Kind.CAPTION_WITHOUT_IMAGE: 2}


@pytest.mark.parametrize(
    ("images", "texts"),
    [
        (["a.jpg", "b.jpg"], ["a_caption.txt", "b_caption.txt"]),
        (["x/a_img.png", "x/b_img.png"], ["x/a_txt.txt", "x/b_txt.txt"]),
        (["A-photo.jpg", "c.jpg"], ["a-prompt.cap", "c-prompt.cap"]),
    ],
)
def test_names_that_say_what_a_file_is_are_left_out_of_account(images: list[str], texts: list[str]) -> None:
    assert called_as(images, texts) == dict(zip(texts, images, strict=True))
    assert called_as([*images, *(f"{image.rpartition('.')[0]}.webp" for image in images)], texts) == {}
