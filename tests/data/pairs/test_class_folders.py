"""Folder names are texts only where nothing else could be one, and ids only with names."""

import json
from pathlib import Path

import pytest

from openalign.data.left_out import Kind, counted
from openalign.data.pairs.open import open_pairs
from openalign.errors import OpenAlignError
from tests.data.pairs.folders import put


def classes(folder: Path, *names: str) -> Path:
    for name in names:
        put(folder / name, a=None)
    return folder


def read(folder: Path, **options: str) -> dict[str, tuple[str | None, str]]:
    """image -> (label, text)"""
    pairs = open_pairs(folder, need_text=False, **options)  # type: ignore[arg-type]
    labels = pairs.table["label"].to_pylist()
    return dict(zip(pairs.table["image"].to_pylist(), zip(labels, pairs.texts(), strict=True), strict=True))


def test_splits_of_classes_are_told_apart(tmp_path: Path) -> None:
    classes(tmp_path, "train/cat", "train/hot_dog", "val/cat", "val/hot_dog", "test/unlabelled")
    with pytest.raises(OpenAlignError, match=r"several splits \(test, train, val\)"):
        open_pairs(tmp_path)
    assert open_pairs(tmp_path, split="val").texts() == ["cat", "hot dog"]


def test_folders_in_each_class_and_above_all_classes_are_no_classes(tmp_path: Path) -> None:
    classes(tmp_path, "data/all/cat/images", "data/all/dog/images")
    assert open_pairs(tmp_path).texts() == ["cat", "dog"]


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    assert open_pairs(classes(tmp_path, "airplane", "bus", "train")).texts() == ["airplane", "bus", "train"]


@pytest.mark.parametrize(
    "names", [("images", "masks"), ("train",), ("100APPLE", "101APPLE"), ("photos",), ("a/b", "a/c/d")]
)
def test_folders_that_are_no_classes_give_no_texts(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(OpenAlignError, match="but no texts"):
        open_pairs(classes(tmp_path, *names))


def test_numbers_before_names_are_not_part_of_them(tmp_path: Path) -> None:
    assert open_pairs(classes(tmp_path / "a", "001.Black_footed_Albatross", "002.Laysan")).texts() == [
        "Black footed Albatross",
        "Laysan",
    ]
    assert open_pairs(classes(tmp_path / "b", "n02085620-Chihuahua", "n02085782-Japanese_spaniel")).texts() == [
        "Chihuahua",
        "Japanese spaniel",
    ]
    assert open_pairs(classes(tmp_path / "c", "4_wheeler", "car")).texts() == ["4 wheeler", "car"]


@pytest.mark.parametrize("names", [("0", "1", "10"), ("n01440764", "n01443537"), ("2024-05", "2024-06")])
def test_ids_without_names_are_labels_and_refused_as_texts(tmp_path: Path, names: tuple[str, ...]) -> None:
    classes(tmp_path, *names)
    assert [label for label, _ in read(tmp_path).values()] == list(names)
    with pytest.raises(OpenAlignError, match=r"no texts.*are not read as texts.*put classnames.txt beside"):
        open_pairs(tmp_path)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("words.txt", "n00000001\tanything\nn01440764\ttench, Tinca tinca\nn01443537\tgoldfish\n"),
        ("LOC_synset_mapping.txt", "n01440764 tench, Tinca tinca\nn01443537 goldfish\n"),
        ("imagenet_class_index.json", '{"0": ["n01440764", "tench, Tinca tinca"], "1": ["n01443537", "goldfish"]}'),
        ("labels.json", '{"n01440764": "tench, Tinca tinca", "n01443537": "goldfish"}'),
        ("classes.csv", 'id,name\nn01440764,"tench, Tinca tinca"\nn01443537,goldfish\n'),
        ("classes.csv", 'index,wnid,name\n0,n01440764,"tench, Tinca tinca"\n1,n01443537,goldfish\n'),
        ("classnames.txt", "tench, Tinca tinca\ngoldfish\n"),
    ],
)
@pytest.mark.parametrize("split", ["", "val/"])
def test_ids_get_their_names_from_a_table(tmp_path: Path, file: str, content: str, split: str) -> None:
    classes(tmp_path, f"{split}n01443537", f"{split}n01440764")
    (tmp_path / file).write_text(content)
    assert list(read(tmp_path).values()) == [("tench, Tinca tinca", "tench, Tinca tinca"), ("goldfish", "goldfish")]
    assert open_pairs(tmp_path).texts() == ["tench, Tinca tinca", "goldfish"]


def test_number_folders_are_named_by_number_not_by_their_order_as_texts(tmp_path: Path) -> None:
    names = [f"name {number}" for number in range(12)]
    classes(tmp_path / "zero", *map(str, range(12)))
    classes(tmp_path / "one", *(f"{number:03}" for number in range(1, 13)))
    for folder in ("zero", "one"):
        (tmp_path / folder / "classnames.txt").write_text("\n".join(names))
        assert open_pairs(tmp_path / folder).texts() == names
    classes(tmp_path / "some", "2", "10")
    (tmp_path / "some" / "class_names.json").write_text(json.dumps(names))
    assert open_pairs(tmp_path / "some").texts() == ["name 2", "name 10"]


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        (["images/x/1.jpg", "images/x/2.jpg"], ["masks/x/1.png", "masks/x/2.png"]),
        (["images/train/1.jpg", "images/val/1.jpg"], ["labels/train/1.png", "labels/val/1.png"]),
        (["JPEGImages/a.jpg", "JPEGImages/b.jpg"], ["SegmentationClass/a.png", "SegmentationObject/b.png"]),
        (["faces/a.jpg", "faces/b.jpg"], ["face_masks/a_mask.png"]),
        (["flat/a.jpg", "flat/b.jpg"], ["flat/a_mask.png", "flat/b-depth.png"]),
        (["deep/a.jpg", "deep/b.jpg"], ["deep/segmentation/a.png", "deep/a-masklabel.png"]),
    ],
)
def test_masks_are_images_of_no_class_and_counted(tmp_path: Path, images: list[str], masks: list[str]) -> None:
    for name in (*images, *masks):
        put((tmp_path / name).parent, **{Path(name).stem: None})
        (tmp_path / name).with_suffix(".jpg").rename(tmp_path / name)
    with pytest.raises(OpenAlignError, match=r"several splits|but no texts"):
        open_pairs(tmp_path)
    pairs = open_pairs(tmp_path, need_text=False)
    assert pairs.table["image"].to_pylist() == images
    assert counted(pairs.problems) == {Kind.EXTRA_IMAGE: len(masks)}


def test_masks_beside_the_images_of_classes_are_left_out(tmp_path: Path) -> None:
    for folder in ("cat", "dog"):
        put(tmp_path / folder, one=None, one_mask=None, two=None)
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == ["cat", "cat", "dog", "dog"]
    assert counted(pairs.problems) == {Kind.EXTRA_IMAGE: 2}


def test_a_folder_called_masks_without_images_of_its_names_is_a_class(tmp_path: Path) -> None:
    put(tmp_path / "masks", venetian=None)
    put(tmp_path / "hats", bowler=None)
    assert open_pairs(tmp_path).texts() == ["hats", "masks"]
    put(tmp_path / "joe", a_mask=None, b=None)  # no image of which it could be the mask
    assert sorted(open_pairs(tmp_path).texts()) == ["hats", "joe", "joe", "masks"]


@pytest.mark.parametrize("names", [("paris", "rome", "oslo"), ("000047", "000062", "000099")])
def test_folders_of_the_same_names_are_views_and_no_classes(tmp_path: Path, names: tuple[str, ...]) -> None:
    for folder in ("by day", "by night"):
        put(tmp_path / folder, **dict.fromkeys(names))
    with pytest.raises(OpenAlignError, match=r"no texts.*images of the same names.*give that folder"):
        open_pairs(tmp_path)


@pytest.mark.parametrize("names", [("1", "2", "3"), ("image_000", "image_001", "image_002")])
def test_folders_whose_images_are_counted_alike_are_classes(tmp_path: Path, names: tuple[str, ...]) -> None:
    for folder in ("cat", "dog"):
        put(tmp_path / folder, **dict.fromkeys(names))
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == ["cat"] * 3 + ["dog"] * 3
    assert any("(cat, dog) are taken for what their images show; --layout images" in each for each in pairs.problems)


@pytest.mark.parametrize(
    "texts",
    [
        ["red/caption.txt", "blue/caption.txt"],
        ["red/prompt.txt", "red/notes.txt", "blue/prompt.txt"],
        ["red/info.json", "blue/info.json"],
        ["captions/red.txt", "captions/blue.txt"],
    ],
)
def test_texts_of_folders_are_not_passed_over_for_the_names_of_the_folders(tmp_path: Path, texts: list[str]) -> None:
    classes(tmp_path, "red", "blue")
    for text in texts:
        (tmp_path / text).parent.mkdir(exist_ok=True)
        (tmp_path / text).write_text('{"caption": "a square"}')
    with pytest.raises(OpenAlignError, match=rf"{len(texts)} text files have the name of no image.*class-folders"):
        open_pairs(tmp_path)
    pairs = open_pairs(tmp_path, layout="class-folders")
    assert pairs.texts() == ["blue", "red"]
    assert counted(pairs.problems) == {Kind.CAPTION_WITHOUT_IMAGE: len(texts)}
    assert counted(open_pairs(tmp_path, need_text=False).problems) == {Kind.CAPTION_WITHOUT_IMAGE: len(texts)}


def test_a_text_about_all_classes_is_counted_only(tmp_path: Path) -> None:
    (classes(tmp_path, "red", "blue") / "about.txt").write_text("squares in two colours")
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == ["blue", "red"]
    assert counted(pairs.problems) == {Kind.CAPTION_WITHOUT_IMAGE: 1}


@pytest.mark.parametrize(
    ("folders", "names"), [(("front", "side"), ("x", "y", "z")), (("a", "b"), ("007", "31", "56"))]
)
def test_views_are_classes_where_the_user_says_so(
    tmp_path: Path, folders: tuple[str, ...], names: tuple[str, ...]
) -> None:
    for folder in folders:
        put(tmp_path / folder, **dict.fromkeys(names))
    with pytest.raises(OpenAlignError, match=r"give that folder; --layout class-folders takes them"):
        open_pairs(tmp_path)
    assert open_pairs(tmp_path, layout="class-folders").texts() == [each for each in folders for _ in names]


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (None, ["blue", "red", "yellow"]),
        ("folder_1", ["cold", "warm", "warm"]),
        ("folder_2", ["blue", "red", "yellow"]),
        ("folders", ["cold blue", "warm red", "warm yellow"]),
    ],
)
def test_of_several_levels_of_folders_the_user_says_which_are_classes(
    tmp_path: Path, column: str | None, texts: list[str]
) -> None:
    for folder in ("warm/red", "warm/yellow", "cold/blue"):
        put(tmp_path / folder, a=None)
    with pytest.raises(OpenAlignError, match=r"no texts.*cold/blue.*takes the last \(blue\).*folders.*folder_1"):
        open_pairs(tmp_path)
    pairs = open_pairs(tmp_path, layout="class-folders", text_column=column)
    assert sorted(pairs.texts()) == texts
    assert pairs.table["folder_1"].to_pylist() == [each.split("/")[0] for each in pairs.table["image"].to_pylist()]


def test_levels_of_different_depth_are_told_too(tmp_path: Path) -> None:
    put(tmp_path / "birds", a=None)
    put(tmp_path / "birds" / "owls", b=None)
    with pytest.raises(OpenAlignError, match="takes the last"):
        open_pairs(tmp_path)
    assert open_pairs(tmp_path, layout="class-folders").texts() == ["birds", "owls"]


@pytest.mark.parametrize("column", ["caption", "folder_3", "folder_0"])
def test_a_level_that_is_not_there_is_an_error(tmp_path: Path, column: str) -> None:
    classes(tmp_path, "red", "blue")
    with pytest.raises(OpenAlignError, match=column):
        open_pairs(tmp_path, text_column=column)


@pytest.mark.parametrize("split", ["all", "test"])
def test_ground_truth_beside_the_folders_of_splits_is_left_out(tmp_path: Path, split: str) -> None:
    for folder in ("train/good", "test/good", "test/cut", "test/hole"):
        put(tmp_path / folder, **{"000": None, "001": None})
    for folder in ("ground_truth/cut", "ground_truth/hole"):
        put(tmp_path / folder, **{"000_mask": None, "001_mask": None})
    pairs = open_pairs(tmp_path, split=split)
    assert set(pairs.texts()) == {"good", "cut", "hole"}
    assert len(pairs) == (8 if split == "all" else 6)
    assert counted(pairs.problems) == {Kind.EXTRA_IMAGE: 4}
    assert len(open_pairs(tmp_path, need_text=False)) == 8
