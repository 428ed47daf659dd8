"""Lists of images and classes as data sets are published with them: ids, numbers of classes, and splits."""

from pathlib import Path

import pytest

from openalign.data.left_out import Kind, counted
from openalign.data.pairs.open import open_pairs
from openalign.errors import OpenAlignError
from tests.data.pairs.test_table_beside import images
from tests.data.pairs.test_two_tables import pairs_in, write

IDS = ("1025794", "1340192", "0056978", "2211001")


def aircraft(folder: Path, *kinds: str) -> Path:
    images(folder, *(f"data/images/{each}.jpg" for each in IDS))
    names = {
        "variant": ("707-320", "Boeing 737-200", "DC-10", "Fokker 50"),
        "family": ("Boeing 707", "Boeing 737", "DC-10", "Fokker 50"),
    }
    for kind in kinds:
        rows = [f"{each} {name}" for each, name in zip(IDS, names[kind], strict=True)]
        write(folder / f"data/images_{kind}_train.txt", *rows[:2])
        write(folder / f"data/images_{kind}_test.txt", *rows[2:])
    write(folder / "data/images_box.txt", *(f"{each} 3 144 998 431" for each in IDS))
    write(folder / "data/images_train.txt", *IDS[:2])
    write(folder / "data/variants.txt", "707-320", "Boeing 737-200", "DC-10")
    return folder


def test_a_blank_ends_the_id_of_an_image(tmp_path: Path) -> None:
    aircraft(tmp_path, "variant")
    assert pairs_in(tmp_path / "data/images_variant_train.txt") == [
        ("images/1025794.jpg", "707-320"), ("images/1340192.jpg", "Boeing 737-200"),
    ]  # fmt: skip
    assert len(open_pairs(tmp_path, split="train")) == 2


def test_lists_of_several_kinds_of_classes_are_told_apart_by_the_user(tmp_path: Path) -> None:
    aircraft(tmp_path, "variant", "family")
    with pytest.raises(OpenAlignError, match=r"several tables .*images_family_train.txt, images_variant_train.txt"):
        open_pairs(tmp_path, split="train")
    pairs = open_pairs(tmp_path, need_text=False, split="all")
    assert sorted(pairs.table["image"].to_pylist()) == sorted(f"images/{each}.jpg" for each in IDS)
    assert not any(pairs.texts())


def test_lists_that_hold_numbers_alone_are_no_texts(tmp_path: Path) -> None:
    images(tmp_path, "images/Abyssinian_100.jpg", "images/pug_2.jpg")
    (tmp_path / "annotations").mkdir()
    write(tmp_path / "annotations/list.txt", "#Image CLASS-ID SPECIES", "Abyssinian_100 1 1 1", "pug_2 2 2 1")
    with pytest.raises(OpenAlignError, match=r"list.txt names images that are there, but has no texts: .*'1 1 1'"):
        open_pairs(tmp_path)


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (["/a/airfield 0", "/b/bakery/shop 1", "/s/sea_cliff 2"], ["bakery shop", "sea cliff"]),
        (["red boat 0", "hot dog 1", "x 2"], ["hot dog", "x"]),
    ],
)
def test_numbers_at_the_ends_of_lines_name_classes(tmp_path: Path, classes: list[str], expected: list[str]) -> None:
    images(tmp_path, "val_256/Places365_val_00000001.jpg", "val_256/Places365_val_00000002.jpg")
    write(tmp_path / "categories_places365.txt", *classes)
    write(tmp_path / "places365_val.txt", "Places365_val_00000001.jpg 1", "Places365_val_00000002.jpg 2")
    assert [text for _, text in pairs_in(tmp_path)] == expected


def food(folder: Path, suffix: str = "") -> Path:
    names = [f"{kind}/{kind}{number}" for kind in ("apple_pie", "hot_dog") for number in range(3)]
    images(folder, *(f"images/{name}.jpg" for name in names))
    (folder / "meta").mkdir()
    write(folder / "meta/train.txt", *(name + suffix for name in names if not name.endswith("2")))
    write(folder / "meta/test.txt", *(name + suffix for name in names if name.endswith("2")))
    return folder


@pytest.mark.parametrize("suffix", ["", ".jpg"])
def test_lists_of_images_tell_the_splits_of_classes(tmp_path: Path, suffix: str) -> None:
    food(tmp_path, suffix)
    train, test = (open_pairs(tmp_path, split=split) for split in ("train", "test"))
    assert (len(train), len(test)) == (4, 2)
    assert test.table["image"].to_pylist() == ["apple_pie/apple_pie2.jpg", "hot_dog/hot_dog2.jpg"]
    assert train.texts() == ["apple pie", "apple pie", "hot dog", "hot dog"]
    assert counted(train.problems) == {}
    every = open_pairs(tmp_path)
    assert len(every) == 6
    assert any("all of its splits are read (train, test)" in problem for problem in every.problems)


def test_lists_in_camel_case_tell_the_splits_of_captions(tmp_path: Path) -> None:
    images(tmp_path, "Flicker8k_Dataset/1.jpg", "Flicker8k_Dataset/2.jpg")
    (tmp_path / "text").mkdir()
    write(tmp_path / "text/Flickr8k.token.txt", "1.jpg#0\ta dog runs", "1.jpg#1\trunning dog", "2.jpg#0\ta red boat")
    write(tmp_path / "text/Flickr_8k.trainImages.txt", "1.jpg")
    write(tmp_path / "text/Flickr_8k.testImages.txt", "2.jpg")
    assert open_pairs(tmp_path, split="train").texts() == ["a dog runs", "running dog"]
    assert open_pairs(tmp_path, split="test").texts() == ["a red boat"]


def test_flags_by_the_ids_of_images_tell_the_splits(tmp_path: Path) -> None:
    files = [f"{kind}/{kind[4:]}_{number}.jpg" for kind in ("001.Albatross", "002.Auklet") for number in range(2)]
    images(tmp_path, *(f"images/{file}" for file in files))
    write(tmp_path / "images.txt", *(f"{number} {file}" for number, file in enumerate(files, 1)))
    write(tmp_path / "train_test_split.txt", "1 1", "2 0", "3 1", "4 0")
    assert open_pairs(tmp_path, split="train").table["image"].to_pylist() == [files[0], files[2]]
    assert open_pairs(tmp_path, split="test").texts() == ["Albatross", "Auklet"]


def test_an_image_in_two_lists_is_told_and_no_split_is_guessed(tmp_path: Path) -> None:
    food(tmp_path)
    write(tmp_path / "meta/test.txt", "apple_pie/apple_pie0", "hot_dog/hot_dog2")
    pairs = open_pairs(tmp_path)
    assert "split" not in pairs.table.column_names
    assert any("both name images/apple_pie/apple_pie0.jpg" in problem for problem in pairs.problems)


def test_images_in_no_list_are_of_no_split(tmp_path: Path) -> None:
    food(tmp_path)
    write(tmp_path / "meta/train.txt", "apple_pie/apple_pie0")
    pairs = open_pairs(tmp_path, split="train")
    assert len(pairs) == 1
    assert counted(pairs.problems) == {Kind.ROW_WITHOUT_SPLIT.value: 3}
