"""Configurations of a dataset on the hub are data sets of their own: declared in its card, or a folder each."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openalign.data.left_out import Kind, counted
from openalign.data.pairs.open import open_pairs
from openalign.errors import OpenAlignError, UsageError
from tests.data.pairs.folders import JPEG


def parts(folder: Path, **files: str) -> Path:
    """A Parquet file of one row for each path (`__` is a slash) with its text."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"image": [JPEG], "text": [text]}), path)
    return folder


def card(folder: Path, configs: str) -> Path:
    (folder / "README.md").write_text(f"---\nlicense: mit\nconfigs:\n{configs}---\n# A data set\n")
    return folder


def test_folders_beside_each_other_are_not_joined(tmp_path: Path) -> None:
    parts(tmp_path, data__fr__train="un chien", data__pt__train="um gato", data__pt__test="uma casa")
    with pytest.raises(OpenAlignError, match=r"several splits \(fr/train, pt/test, pt/train\)"):
        open_pairs(tmp_path)
    assert open_pairs(tmp_path, split="pt/train").texts() == ["um gato"]
    assert open_pairs(tmp_path, split="fr").texts() == ["un chien"]
    for ambiguous in ("pt", "train"):
        with pytest.raises(UsageError, match="its splits are fr/train, pt/test, pt/train"):
            open_pairs(tmp_path, split=ambiguous)
    everything = open_pairs(tmp_path, need_text=False)
    assert len(everything) == 3 and any("several configurations" in each for each in everything.problems)


@pytest.mark.parametrize(
    "files",
    [
        {"part-0__a": "one", "part-1__a": "two"},
        {"2021__a": "one", "2022__a": "two"},
        {"data__lang=en__a": "one", "data__lang=de__a": "two"},
        {"train__a": "one", "train__deeper__b": "two"},
        {"a": "one", "more__b": "two"},
        {"3f2a9c01bb__x": "one", "77c0aa19de__x": "two"},
    ],
)
def test_folders_of_parts_and_partitions_are_one_data_set(tmp_path: Path, files: dict[str, str]) -> None:
    assert sorted(open_pairs(parts(tmp_path, **files)).texts()) == ["one", "two"]


def test_configurations_of_the_card_are_those_that_are_read(tmp_path: Path) -> None:
    parts(tmp_path, nl__a="een", nl__held="twee", it__a="uno", old__a="weg")
    card(
        tmp_path,
        "- config_name: nl\n  data_files:\n  - split: train\n    path: nl/a*\n"
        "  - split: validation\n    path: [nl/held.parquet]\n"
        "- config_name: it\n  data_files: it/*.parquet\n",
    )
    assert open_pairs(tmp_path, split="it/train").texts() == ["uno"]
    held = open_pairs(tmp_path, split="nl/validation")
    assert held.texts() == ["twee"] and counted(held.problems) == {Kind.FILE_NOT_USED: 1}
    assert any("old/a.parquet" in each for each in held.problems)


def test_the_default_configuration_is_read_and_the_others_are_named(tmp_path: Path) -> None:
    parts(tmp_path, main__x="one", extra__y="two")
    card(
        tmp_path,
        "- config_name: base\n  default: true\n  data_files:\n    train: main/*\n"
        "- config_name: more\n  data_dir: extra\n- config_name: gone\n  data_files: gone/**\n",
    )
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == ["one"] and counted(pairs.problems) == {Kind.FILE_MISSING: 1}
    assert any("base (the default), more" in each for each in pairs.problems)
    assert open_pairs(tmp_path, split="more").texts() == ["two"]
    assert sorted(open_pairs(tmp_path, split="all").texts()) == ["one", "two"]


def test_a_single_configuration_tells_the_splits(tmp_path: Path) -> None:
    parts(tmp_path, p__a="one", q__b="two")
    card(
        tmp_path, "- config_name: it\n  data_files:\n  - split: seen\n    path: p/*\n  - split: unseen\n    path: q/*\n"
    )
    assert open_pairs(tmp_path, split="unseen").texts() == ["two"]


@pytest.mark.parametrize("configs", ["  x: [\n", "- 3\n", "- data_files: 7\n", "- data_files: '[z-a]'\n"])
def test_a_card_that_cannot_be_understood_is_passed_over(tmp_path: Path, configs: str) -> None:
    card(parts(tmp_path, a="one"), configs)
    assert open_pairs(tmp_path).texts() == ["one"]
