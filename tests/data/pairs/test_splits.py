"""Splits are told by words in names, and one of several must be chosen where it matters."""

from pathlib import Path

import pytest

from openalign.data.pairs.layouts.splits import chosen_parts, split_of
from openalign.data.pairs.open import open_pairs
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
    assert any("all of its splits are read (TRAIN, Validation)" in problem for problem in everything.problems)
