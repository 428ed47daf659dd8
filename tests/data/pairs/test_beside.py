"""JSON files, shared texts and conversations beside images: read as captions, or told."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from openalign.data.left_out import Kind, counted
from openalign.data.pairs.open import open_pairs
from openalign.data.pairs.pairs import Pairs
from openalign.errors import OpenAlignError
from tests.data.pairs.folders import JPEG, put
from tests.data.shards.tars import fields, jpeg, tar_of


def as_json(folder: Path, **contents: Any) -> Path:
    """JSON files in a folder, by name without suffix, of which `__` is a dot."""
    for name, content in contents.items():
        (folder / f"{name.replace('__', '.')}.json").write_text(json.dumps(content))
    return folder


def texts_of(pairs: Pairs) -> dict[str, str]:
    return dict(zip(pairs.table["image"].to_pylist(), pairs.texts(), strict=True))


def photo(description: str = "", title: str = "a.jpg") -> dict[str, Any]:
    """The metadata of a photo in an archive of Google Takeout."""
    return {"title": title, "description": description, "photoTakenTime": {"timestamp": "1"}, "imageViews": "2"}


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        ("a.jpg", "a.jpg.supplemental-metadata"),
        ("a.jpg", "a.jpg.supplemental-metad"),
        ("a.jpg", "a.jpg.s"),
        ("a.jpg", "a.jpg."),
        ("a.jpg", "a.jpg"),
        ("a(1).jpg", "a.jpg.supplemental-metadata(1)"),
        ("a(2).jpg", "a.jpg(2)"),
        ("a-edited.jpg", "a.jpg.supplemental-metadata"),
        ("screenshot of a very long page with a very long title.jpg", "screenshot of a very long page with a very lon"),
    ],
)
def test_a_description_of_google_takeout_is_a_caption_whatever_its_file_is_called(
    tmp_path: Path, name: str, metadata: str
) -> None:
    for each in (name, "other.jpg"):
        (tmp_path / each).write_bytes(JPEG)
    (tmp_path / f"{metadata}.json").write_text(json.dumps(photo("at the lake", name)))
    (tmp_path / "other.jpg.supplemental-metadata.json").write_text(json.dumps(photo("", "other.jpg")))
    as_json(tmp_path, metadata={"title": "Summer", "description": "an album"})
    pairs = open_pairs(tmp_path)
    assert texts_of(pairs) == {name: "at the lake"}
    assert counted(pairs.problems) == {Kind.ROW_WITHOUT_TEXT: 1, Kind.FILE_NOT_USED: 1}


def test_descriptions_that_are_all_empty_are_told_and_titles_are_no_captions(tmp_path: Path) -> None:
    put(tmp_path, a=None, b=None)
    as_json(tmp_path, a__jpg=photo(), b__jpg=photo("", "b.jpg"))
    with pytest.raises(OpenAlignError, match=r"2 JSON files beside images hold no caption.*a\.jpg\.json.*Takeout"):
        open_pairs(tmp_path)


def test_a_late_description_among_many_photos_is_found(tmp_path: Path) -> None:
    for number in range(250):
        (tmp_path / f"{number:03}.jpg").write_bytes(JPEG)
        (tmp_path / f"{number:03}.jpg.json").write_text(json.dumps(photo("the last" if number == 249 else "")))
    assert open_pairs(tmp_path).texts() == ["the last"]


@pytest.mark.parametrize("layout", ["flat", "classes"])
def test_json_beside_images_without_a_caption_is_counted_with_what_was_looked_for(tmp_path: Path, layout: str) -> None:
    folders = [tmp_path, tmp_path] if layout == "flat" else [tmp_path / "red", tmp_path / "blue"]
    for name, folder in zip("ab", folders, strict=True):
        as_json(put(folder, **{name: None}), **{name: {"width": 12, "objects": {"box": [1, 2]}}})
    pairs = open_pairs(tmp_path, need_text=False)
    assert counted(pairs.problems) == {Kind.FILE_NOT_USED: 2}
    assert any("looked for text, caption" in each and "width, objects.box" in each for each in pairs.problems)


@pytest.mark.parametrize("name", ["instances_train", "person_keypoints_val2017", "boxes"])
@pytest.mark.parametrize("texts", [None, "a red wall"])
def test_annotations_without_captions_are_told(tmp_path: Path, name: str, texts: str | None) -> None:
    put(tmp_path, a=texts)
    images = [{"id": 1, "file_name": "a.jpg"}]
    as_json(tmp_path, **{name: {"images": images, "annotations": [{"bbox": [1, 2, 3, 4]}], "categories": []}})
    as_json(tmp_path, **{"0_stats": {"count": 1}})  # of img2dataset
    pairs = open_pairs(tmp_path, need_text=False)
    assert counted(pairs.problems) == {Kind.FILE_NOT_USED: 1}
    assert any("annotations hold no captions" in each and f"{name}.json" in each for each in pairs.problems)


def test_an_object_about_one_image_is_no_table(tmp_path: Path) -> None:
    put(tmp_path, a=None, b=None)
    as_json(tmp_path, about={"cover": "a.jpg", "license": "CC0"})
    pairs = open_pairs(tmp_path, need_text=False)
    assert len(pairs) == 2
    assert counted(pairs.problems) == {Kind.FILE_NOT_USED: 1}


def test_texts_that_another_layout_would_read_are_told(tmp_path: Path) -> None:
    put(tmp_path, a="one", b="two")
    pairs = open_pairs(tmp_path, layout="images", need_text=False)
    assert counted(pairs.problems) == {Kind.FILE_NOT_USED: 2}
    assert any("--layout caption-files" in each for each in pairs.problems)


@pytest.mark.parametrize("second", ["png", "webp", "bmp"])
def test_a_text_of_two_images_is_told_where_they_differ(tmp_path: Path, second: str) -> None:
    rng = np.random.default_rng(1)
    for name in "ab":
        picture = Image.fromarray(rng.integers(0, 255, (6, 8, 3), np.uint8)).resize((80, 60))
        picture.save(tmp_path / f"{name}.jpg")
        picture.save(tmp_path / f"{name}.{second}")
        (tmp_path / f"{name}.txt").write_text(f"the {name}")
    pairs = open_pairs(tmp_path)
    assert sorted(pairs.texts()) == ["the a", "the a", "the b", "the b"]
    assert not pairs.problems
    Image.new("RGB", (80, 60)).save(tmp_path / f"b.{second}")
    pairs = open_pairs(tmp_path)
    assert len(pairs) == 4
    assert ["1 of these show different things, the first: b.txt of b" in each for each in pairs.problems] == [True]


def turns(*said: str, form: str = "from") -> list[dict[str, Any]]:
    """A conversation: question, answer, question and so on."""
    who, what = {"from": (("human", "gpt"), "value"), "role": (("user", "assistant"), "content")}[form]
    return [{form: who[number % 2], what: text} for number, text in enumerate(said)]


@pytest.mark.parametrize("form", ["from", "role"])
@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_the_answer_in_a_conversation_is_a_caption(tmp_path: Path, form: str, suffix: str) -> None:
    put(tmp_path / "00", a=None, b=None, c=None)
    name = "conversations" if form == "from" else "messages"
    rows = [
        {"image": f"00/{each}.jpg", name: turns("<image>\nDescribe it.", f"the {each}", form=form)} for each in "ab"
    ]
    rows.append({"image": "00/c.jpg", name: turns("Is it red?", "No.", "Blue?", "Yes.", form=form)})
    content = json.dumps(rows) if suffix == "json" else "\n".join(map(json.dumps, rows))
    (tmp_path / f"chat.{suffix}").write_text(content)
    pairs = open_pairs(tmp_path)
    assert texts_of(pairs) == {"00/a.jpg": "the a", "00/b.jpg": "the b"}
    assert counted(pairs.problems) == {Kind.ROW_WITHOUT_TEXT: 1}
    assert any("'Describe it.'; 1 with several questions" in each for each in pairs.problems)


def test_conversations_of_several_questions_are_refused_with_the_field(tmp_path: Path) -> None:
    put(tmp_path, a=None)
    as_json(tmp_path, chat=[{"image": "a.jpg", "conversations": turns("Red?", "No.", "Blue?", "Yes.")}])
    with pytest.raises(OpenAlignError, match=r"no texts.*chat\.json: texts in `conversations`.*several questions"):
        open_pairs(tmp_path)


def test_conversations_in_json_of_single_images_are_captions_too(tmp_path: Path) -> None:
    as_json(put(tmp_path / "folder", a=None), a={"conversations": turns("What?", "a wall")})
    assert open_pairs(tmp_path / "folder").texts() == ["a wall"]
    one, two = (fields(conversations=turns("What?", text)) for text in ("one", "two"))
    tar = tar_of(tmp_path / "0.tar", {"a.jpg": jpeg(0), "a.json": one, "b.jpg": jpeg(1), "b.json": two})
    assert open_pairs(tar).texts() == ["one", "two"]


def test_json_lines_with_lists_of_captions_name_images(tmp_path: Path) -> None:
    put(tmp_path, a=None, b=None)
    rows = [{"image": "a.jpg", "captions": ["one", "two"]}, {"image": "b.jpg", "captions": ["three"]}]
    (tmp_path / "list.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert open_pairs(tmp_path).texts() == ["one", "two", "three"]


def test_a_field_of_json_that_the_user_names_is_read(tmp_path: Path) -> None:
    for name in "ab":
        as_json(put(tmp_path, **{name: None}), **{name: {"tags": f"{name}, wall", "id": 1}})
    with pytest.raises(OpenAlignError, match="they have tags, id: --layout caption-files --text-column tags takes one"):
        open_pairs(tmp_path)
    assert open_pairs(tmp_path, layout="caption-files", text_column="tags").texts() == ["a, wall", "b, wall"]


@pytest.mark.parametrize("other", ["another", "the a"])
def test_another_text_in_the_json_of_an_image_is_told(tmp_path: Path, other: str) -> None:
    as_json(put(tmp_path, a="the a", b="the b"), a={"caption": other}, b={"caption": "the b"})
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == ["the a", "the b"]
    told = ["1 images have another text in the field 'caption'" in each for each in pairs.problems]
    assert told == ([True] if other == "another" else [])


@pytest.mark.parametrize("captions", [{"a": "the a", "b": "the b"}, {"a.jpg": "the a", "b.jpg": "the b"}])
def test_an_object_of_texts_by_names_is_a_table(tmp_path: Path, captions: dict[str, str]) -> None:
    as_json(put(tmp_path / "pics", a=None, b=None).parent, captions=captions)
    assert texts_of(open_pairs(tmp_path)) == {"pics/a.jpg": "the a", "pics/b.jpg": "the b"}


def test_an_empty_text_gives_way_to_the_json_as_in_tars(tmp_path: Path) -> None:
    as_json(put(tmp_path / "folder", a=" ", b="the b"), a={"caption": "the a"}, b={"caption": "the b"})
    pairs = open_pairs(tmp_path / "folder")
    assert pairs.texts() == ["the a", "the b"]
    assert not counted(pairs.problems)


def test_tables_of_the_names_of_classes_are_not_told_as_texts_of_images(tmp_path: Path) -> None:
    put(tmp_path / "train" / "n01440764", a=None)
    put(tmp_path / "train" / "n01443537", b=None)
    put(tmp_path / "val", c=None)
    (tmp_path / "LOC_synset_mapping.txt").write_text("n01440764 tench\nn01443537 goldfish\n")
    pairs = open_pairs(tmp_path, split="train")
    assert sorted(pairs.texts()) == ["goldfish", "tench"]
    assert not counted(pairs.problems)


@pytest.mark.parametrize("content", [["the a", "one a"], "the a"])
def test_json_that_is_a_text_or_a_list_of_texts_holds_captions_as_in_tars(tmp_path: Path, content: Any) -> None:
    as_json(put(tmp_path / "folder", a=None, b=None), a=content, b="the b")
    expected = [*([content] if isinstance(content, str) else content), "the b"]
    assert open_pairs(tmp_path / "folder").texts() == expected
    members = {"a.jpg": jpeg(0), "a.json": json.dumps(content).encode(), "b.jpg": jpeg(1), "b.json": b'"the b"'}
    assert open_pairs(tar_of(tmp_path / "0.tar", members)).texts() == expected


def test_json_that_cannot_be_read_is_counted_once(tmp_path: Path) -> None:
    as_json(put(tmp_path, a=None, b=None), a={"id": 1}, b=[1, 2])
    assert counted(open_pairs(tmp_path, need_text=False).problems) == {
        Kind.FILE_NOT_USED: 1,
        Kind.METADATA_NOT_READ: 1,
    }


def test_texts_elsewhere_than_the_folders_of_splits_are_told(tmp_path: Path) -> None:
    for split in ("train", "val"):
        put(tmp_path / "pics" / split, **{f"{split}1": None})
        (tmp_path / "words" / split).mkdir(parents=True)
        (tmp_path / "words" / split / f"{split}1.txt").write_text("a wall")
    with pytest.raises(OpenAlignError, match=r"2 texts lie outside the folders of the splits.*`captions`"):
        open_pairs(tmp_path, split="train")
    (tmp_path / "pics").rename(tmp_path / "images")
    (tmp_path / "words").rename(tmp_path / "captions")
    assert open_pairs(tmp_path, split="train").texts() == ["a wall"]


@pytest.mark.parametrize("names", [["train.en", "train.de"], ["lists/val.cs", "lists/val.zh"]])
def test_lines_of_texts_in_languages_beside_images_are_told(tmp_path, paint, names):
    paint(tmp_path / "images" / "a.jpg", "red")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a red wall\n")
    problems = open_pairs(tmp_path, need_text=False).problems
    assert counted(problems)["files of a kind that is not read"] == 2
    assert all(any(name in problem for problem in problems) for name in names)
