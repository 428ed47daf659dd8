"""Splits are told by words in names, and one of several must be chosen where it matters."""

from pathlib import Path

import pytest

from openalign.data.left_out import Kind, counted
from openalign.data.pairs.layouts.splits import chosen_parts
from openalign.data.pairs.open import open_pairs
from openalign.data.split_names import split_of
from openalign.errors import OpenAlignError, UsageError


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("cc3m-train-0001.tar", "train"),
        ("data/validation-00000-of-00001.parquet", "validation"),
        ("val2017/1.jpg", "val"),
        ("TEST/a.csv", "test"),
        ("trainers/contest.tar", ""),
        ("00000.tar", ""),
    ],
)
def test_a_split_is_a_whole_word_of_the_name(name: str, split: str) -> None:
    assert split_of(name) == split


def test_one_of_several_splits_must_be_chosen_unless_they_may_be_mixed() -> None:
    splits = {"train": [1, 2], "val": [3], "": [4]}
    with pytest.raises(OpenAlignError, match=r"several splits \(train, val, unnamed\): choose one with --split"):
        chosen_parts("d", splits, None, mixing=False)
    assert chosen_parts("d", splits, None, mixing=True) == ("all", [1, 2, 3, 4])
    assert chosen_parts("d", splits, "all", mixing=False) == ("all", [1, 2, 3, 4])
    assert chosen_parts("d", splits, "validation", mixing=False) == ("val", [3])
    assert chosen_parts("d", splits, "unnamed", mixing=False) == ("unnamed", [4])
    assert chosen_parts("d", {"": [1]}, None, mixing=False) == ("", [1])


def test_a_split_that_does_not_exist_is_an_error_that_lists_those_that_do() -> None:
    with pytest.raises(UsageError, match="no split 'tset': its splits are train, val"):
        chosen_parts("d", {"train": [1], "val": [2]}, "tset", mixing=False)
    with pytest.raises(UsageError, match="it has no splits"):
        chosen_parts("d", {"": [1]}, "train", mixing=False)


@pytest.mark.parametrize("column", ["split", "Split", " SPLIT "])
def test_a_column_of_splits_may_be_in_any_case_and_lack_values(tmp_path: Path, column: str) -> None:
    rows = ["a.jpg,one,TRAIN", "b.jpg,two,", "c.jpg,three,Validation", "d.jpg,four, "]
    (tmp_path / "t.csv").write_text("\n".join([f"image,text,{column}", *rows]))
    assert open_pairs(tmp_path / "t.csv", split="train").texts() == ["one"]
    assert open_pairs(tmp_path / "t.csv", split="val").texts() == ["three"]
    everything = open_pairs(tmp_path / "t.csv")
    assert len(everything) == 4
    assert any("all of its splits are read (train, validation, unnamed)" in problem for problem in everything.problems)


@pytest.mark.parametrize(
    "words", [("dev", " DEV", "val", "Validation ", "valid"), ("Val", "VAL ", "val", "vAl", "val")]
)
def test_spellings_of_a_split_are_one_split(tmp_path: Path, words: tuple[str, ...]) -> None:
    rows = [f"{number}.jpg,text {number},{word}" for number, word in enumerate(words)]
    (tmp_path / "t.csv").write_text("\n".join(["image,text,split", *rows, "9.jpg,other,Training", "8.jpg,more,train"]))
    assert len(open_pairs(tmp_path / "t.csv", split="val")) == 5
    assert open_pairs(tmp_path / "t.csv", split="train").texts() == ["other", "more"]
    pairs = open_pairs(tmp_path / "t.csv", split="dev")
    assert len(pairs) == 5 and counted(pairs.problems) == {}


def test_rows_of_no_split_and_of_unusual_ones_are_told(tmp_path: Path) -> None:
    words = ["train", "testA", "testB", "", "NULL", "TestA "]
    rows = [f"{number}.jpg,text {number},{word}" for number, word in enumerate(words)]
    (tmp_path / "t.csv").write_text("\n".join(["image,text,split", *rows]))
    pairs = open_pairs(tmp_path / "t.csv", split="train")
    assert pairs.texts() == ["text 0"] and counted(pairs.problems) == {Kind.ROW_WITHOUT_SPLIT: 2}
    assert any("`testa` 2 rows, `testb` 1 rows" in each for each in pairs.problems)
    assert any("row 4 (3.jpg); --split unnamed reads them" in each for each in pairs.problems)
    assert open_pairs(tmp_path / "t.csv", split="testA").texts() == ["text 1", "text 5"]
    assert open_pairs(tmp_path / "t.csv", split="unnamed").texts() == ["text 3", "text 4"]
    assert len(open_pairs(tmp_path / "t.csv", split="all")) == 6


def test_test_sets_of_other_names_are_not_one(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,text,split\na.jpg,one,test_seen\nb.jpg,two,test_unseen\nc.jpg,three,train\n")
    assert open_pairs(tmp_path / "t.csv", split="test_unseen").texts() == ["two"]


@pytest.mark.parametrize("values", [["north", "south"], ["0", "1"], ["", " "]])
def test_a_column_without_a_usual_split_tells_none(tmp_path: Path, values: list[str]) -> None:
    rows = [f"{number}.jpg,text,{value}" for number, value in enumerate(values)]
    (tmp_path / "t.csv").write_text("\n".join(["image,text,split", *rows]))
    assert len(open_pairs(tmp_path / "t.csv")) == 2
    with pytest.raises(UsageError, match="it has no splits"):
        open_pairs(tmp_path / "t.csv", split="train")


def test_folders_of_one_split_in_other_words_are_read_together() -> None:
    splits = {"val": [1], "train": [2], "valid": [3]}
    assert chosen_parts("d", splits, "val", mixing=False) == ("val", [1])
    assert chosen_parts("d", splits, "validation", mixing=False) == ("validation", [1, 3])
