"""Texts beside images: in which files, in which encodings, one or several, and where they contradict."""

import json
from pathlib import Path

import pytest

from openalign.data.left_out import Kind, counted
from openalign.data.pairs.open import open_pairs
from openalign.errors import OpenAlignError
from tests.data.pairs.folders import JPEG, put


def files(folder: Path, **texts: str | bytes) -> Path:
    """Files by path, with `__` for a slash and `_DOT_` for a dot; a name that ends with jpg is an image."""
    for name, text in texts.items():
        path = folder / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


@pytest.mark.parametrize("suffix", ["txt", "caption", "cap", "CAPTION"])
def test_texts_are_found_by_suffix_in_folders_in_folders(tmp_path: Path, suffix: str) -> None:
    put(tmp_path / "10_subject", a=None)
    put(tmp_path / "5_other" / "deep", b=None)
    (tmp_path / "10_subject" / f"a.{suffix}").write_text("a crimson apple")
    (tmp_path / "5_other" / "deep" / f"b.{suffix}").write_text("1girl, solo,\nlong hair")
    pairs = open_pairs(tmp_path)
    assert (
        dict(zip(pairs.table["image"].to_pylist(), pairs.texts(), strict=True))["10_subject/a.jpg"] == "a crimson apple"
    )
    assert pairs.reading is not None and pairs.reading.layout == "caption-files"
    assert "label" not in pairs.table.column_names


def test_texts_lie_in_a_folder_beside_that_of_the_images(tmp_path: Path) -> None:
    for name in ("images/train/a", "images/train/b", "captions/train/a", "captions/train/b"):
        path = tmp_path / f"{name}.{'jpg' if name.startswith('images') else 'txt'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(JPEG if path.suffix == ".jpg" else f"the {path.stem}".encode())
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == ["the a", "the b"]
    assert pairs.image_bytes(0) == JPEG
    assert counted(pairs.problems) == {}


def test_the_output_of_img2dataset_in_files_has_its_fields_as_columns(tmp_path: Path) -> None:
    put(tmp_path / "00000", **{"000000000": "a boat", "000000001": "a house"})
    for number, caption in enumerate(("a boat", "a house")):
        fields = {"caption": caption, "url": "http://a.test/p", "key": f"00000000{number}", "similarity": 0.5}
        (tmp_path / "00000" / f"00000000{number}.json").write_text(json.dumps(fields))
    (tmp_path / "00000_stats.json").write_text("{}")
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == ["a boat", "a house"]
    assert pairs.table["similarity"].to_pylist() == [0.5, 0.5]
    assert len(pairs.one_per_image()[1]) == 2


def test_captions_in_json_alone_are_read_and_may_be_named(tmp_path: Path) -> None:
    put(tmp_path, a=None, b=None)
    (tmp_path / "a.json").write_text('{"caption": "one", "de": "eins"}')
    (tmp_path / "b.json").write_text('{"caption": ["two", "zwo"], "de": "zwei \\ud800"}')
    assert open_pairs(tmp_path).texts() == ["one", "two", "zwo"]
    assert open_pairs(tmp_path, text_column="de").texts() == ["eins", "zwei \ufffd"]
    with pytest.raises(OpenAlignError, match=r"no field 'fr'.*they have caption, de"):
        open_pairs(tmp_path, text_column="fr")


def test_files_that_hold_other_things_are_no_captions(tmp_path: Path) -> None:
    put(tmp_path / "yolo", a="0 0.5 0.5 0.25 0.3\n1 0.1 0.2 0.3 0.4\n", b="12 0.5 0.5 0.1 0.1")
    put(tmp_path / "shapes", a=None)
    (tmp_path / "shapes" / "a.json").write_text('{"version": "5.0", "shapes": [], "imagePath": "a.jpg"}')
    for folder in ("yolo", "shapes"):
        with pytest.raises(OpenAlignError, match="but no texts"):
            open_pairs(tmp_path / folder)


def test_lines_are_captions_where_most_files_have_several(tmp_path: Path) -> None:
    pairs = open_pairs(put(tmp_path / "lines", a="a red apple\nan apple\n", b="a boat\n\nthe boat on water"))
    assert pairs.texts() == ["a red apple", "an apple", "a boat", "the boat on water"]
    assert any("each line" in problem for problem in pairs.problems)
    pairs, texts = pairs.one_per_image()
    assert [len(each) for each in texts] == [2, 2] and len(pairs) == 2
    assert open_pairs(put(tmp_path / "one", a="a red\napple", b="a boat", c="a cat")).texts()[0] == "a red apple"


def test_two_texts_of_an_image_must_be_chosen_from(tmp_path: Path) -> None:
    put(tmp_path, a="1girl, solo", b="the same")
    (tmp_path / "a.caption").write_text("a woman alone")
    (tmp_path / "b.caption").write_text("the same")
    with pytest.raises(OpenAlignError, match=r"a\.jpg has two texts.*--text-column caption"):
        open_pairs(tmp_path)
    assert open_pairs(tmp_path, text_column="caption").texts() == ["a woman alone", "the same"]
    assert open_pairs(tmp_path, text_column="txt").texts() == ["1girl, solo", "the same"]
    assert len(open_pairs(tmp_path, need_text=False)) == 2


def test_texts_and_images_without_each_other_are_counted(tmp_path: Path) -> None:
    put(tmp_path, a="one", b=None, c=None, a_mask=None)
    for name in ("gone.txt", "lost.caption", "README.txt", "c.jxl.txt"):
        (tmp_path / name).write_text("text")
    (tmp_path / "c.jxl").write_bytes(b"\xff\x0a\xfa\x7f")
    (tmp_path / "film.mp4").write_bytes(b"x")
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == ["one"]
    assert counted(pairs.problems) == {
        Kind.ROW_WITHOUT_TEXT: 2,
        Kind.EXTRA_IMAGE: 1,
        Kind.CAPTION_WITHOUT_IMAGE: 2,
        Kind.IMAGE_FORMAT: 1,
        Kind.FILE_NOT_USED: 1,
    }


def test_texts_in_other_encodings_are_recoded_together(tmp_path: Path) -> None:
    put(tmp_path, a=None, b=None, c=None)
    (tmp_path / "a.txt").write_bytes("ein Käse und grüne Äpfel".encode("latin-1"))
    (tmp_path / "b.txt").write_bytes("ein Café".encode("utf-16"))
    (tmp_path / "c.txt").write_bytes("\ufeffgrün".encode())
    assert open_pairs(tmp_path).texts() == ["ein Käse und grüne Äpfel", "ein Café", "grün"]


def test_splits_are_told_by_folders_unless_a_folder_is_a_class(tmp_path: Path) -> None:
    put(tmp_path / "s" / "train", a="one")
    put(tmp_path / "s" / "val2017", b="two")
    with pytest.raises(OpenAlignError, match=r"several splits \(train, val\)"):
        open_pairs(tmp_path / "s")
    assert open_pairs(tmp_path / "s", split="val").texts() == ["two"]
    assert open_pairs(tmp_path / "s", split="all").table["image"].to_pylist() == ["train/a.jpg", "val2017/b.jpg"]
    put(tmp_path / "c" / "train", a="a long train")
    put(tmp_path / "c" / "boat", b="a boat")
    assert open_pairs(tmp_path / "c").texts() == ["a boat", "a long train"]


@pytest.mark.parametrize(("texts", "numbers"), [("captions", "labels"), ("texts", "labels")])
def test_of_two_folders_of_texts_that_of_numbers_is_passed_over(tmp_path: Path, texts: str, numbers: str) -> None:
    put(tmp_path / "images", a=None, b=None)
    for folder, content in ((texts, "a boat"), (numbers, "0 0.5 0.5 0.1 0.1")):
        (tmp_path / folder).mkdir()
        for name in "ab":
            (tmp_path / folder / f"{name}.txt").write_text(content)
    assert open_pairs(tmp_path).texts() == ["a boat", "a boat"]
    (tmp_path / numbers / "a.txt").write_text("a ship")
    with pytest.raises(OpenAlignError, match=r"a\.jpg has two texts, in .* and in"):
        open_pairs(tmp_path)


def test_an_image_beside_the_splits_is_counted(tmp_path: Path) -> None:
    put(tmp_path / "train", a="one")
    put(tmp_path / "test", a="two")
    put(tmp_path, preview=None)
    pairs = open_pairs(tmp_path, split="train")
    assert pairs.texts() == ["one"] and counted(pairs.problems) == {Kind.IMAGE_OUTSIDE: 1}


@pytest.mark.parametrize(
    ("names", "texts"),
    [
        (["a.jpg", "a.0.txt", "a.1.txt", "a.10.txt", "b.jpg", "b.0.txt"], ["a.0", "a.1", "a.10", "b.0"]),
        (["a.jpg", "a.0.txt", "a.1.txt", "b.jpg", "b.txt"], ["a.0", "a.1", "b"]),
        (["a.jpg", "a.txt", "a.1.txt", "a.2.txt"], ["a", "a.1", "a.2"]),
        (["a.jpg", "a_1.txt", "a_2.txt", "b_x.png", "b_x_0.txt", "b_x_1.txt"], ["a_1", "a_2", "b_x_0", "b_x_1"]),
        (["images/a.jpg", "captions/a-1.caption", "captions/a-2.caption"], ["a-1", "a-2"]),
        (["a.jpg", *(f"a.{number}.cap" for number in range(11))], [f"a.{number}" for number in range(11)]),
    ],
)
def test_numbered_texts_of_an_image_are_its_captions(tmp_path: Path, names: list[str], texts: list[str]) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(JPEG if name.endswith(("jpg", "png")) else f"the {Path(name).stem}".encode())
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == [f"the {text}" for text in texts] and counted(pairs.problems) == {}


@pytest.mark.parametrize(
    "lost", [["a.txt", "a_2.txt"], ["a.txt", "a-1.txt"], ["a.txt", "a_1.txt", "a_2.txt"], ["a.txt", "a.7.txt"]]
)
def test_texts_of_numbered_images_that_are_missing_go_to_no_other_image(tmp_path: Path, lost: list[str]) -> None:
    (tmp_path / "a.jpg").write_bytes(JPEG)
    for name in lost:
        (tmp_path / name).write_text(f"the {name}")
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == ["the a.txt"]
    assert counted(pairs.problems) == {Kind.CAPTION_WITHOUT_IMAGE: len(lost) - 1}


def test_numbers_that_images_have_too_tell_no_texts_apart(tmp_path: Path) -> None:
    put(tmp_path, **{"a": "the first", "a.1": "the second"})
    (tmp_path / "a.2.txt").write_text("the third, whose image is missing")
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == ["the second", "the first"]
    assert counted(pairs.problems) == {Kind.CAPTION_WITHOUT_IMAGE: 1}


def test_one_of_several_texts_that_cannot_be_read_is_counted(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(JPEG)
    for number, content in enumerate((b"one", b"\x00\x01\x02\xff", b"three")):
        (tmp_path / f"a.{number}.txt").write_bytes(content)
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == ["one", "three"] and counted(pairs.problems) == {Kind.TEXT_NOT_READ: 1}


def test_captions_in_objects_of_the_json_may_be_named(tmp_path: Path) -> None:
    for name in "ab":
        put(tmp_path, **{name: None})
        (tmp_path / f"{name}.json").write_text(json.dumps({"meta": {"caption": f"the {name}"}, "size": 3}))
    (tmp_path / "a.txt").write_text("another")
    pairs = open_pairs(tmp_path, text_column="meta.caption")
    assert pairs.texts() == ["the a", "the b"]
    with pytest.raises(OpenAlignError, match=r"no field 'meta\.x'.*they have size, meta\.caption"):
        open_pairs(tmp_path, text_column="meta.x")
