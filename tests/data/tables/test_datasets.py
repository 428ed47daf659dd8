"""Datasets as Hugging Face writes them open as pairs."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from openalign.data.left_out import counted
from openalign.data.pairs.open import open_pairs
from openalign.data.tables.datasets import missing_parts
from openalign.errors import OpenAlignError
from tests.data.tables.datasets import JPEGS, save_to_disk, stored


def test_a_dataset_saved_to_disk_opens_with_its_images(tmp_path: Path) -> None:
    pairs = open_pairs(save_to_disk(tmp_path / "saved", stored(0, 3), stored(3, 6)))
    assert pairs.texts() == [f"text {i}" for i in range(6)]
    assert [pairs.image_bytes(row) for row in range(6)] == JPEGS
    assert pairs.row_name(4) == f"{tmp_path / 'saved'} row 5 (4.jpg)"
    assert pairs.select([5, 1]).image_bytes(0) == JPEGS[5]
    assert "bytes" not in str(pairs.table.schema)


@pytest.mark.parametrize("below", [".", "data"])
def test_parquet_files_as_on_the_hub_open_as_one(tmp_path: Path, below: str) -> None:
    (tmp_path / below).mkdir(exist_ok=True)
    for number, part in enumerate((stored(0, 4), stored(4, 6))):
        pq.write_table(part, tmp_path / below / f"train-{number:05d}-of-00002.parquet")
    pairs = open_pairs(tmp_path)
    assert [pairs.image_bytes(row) for row in range(6)] == JPEGS
    assert len(open_pairs(tmp_path / below / "train-00001-of-00002.parquet")) == 2


def test_a_list_of_captions_makes_a_pair_of_each_with_the_same_image(tmp_path: Path) -> None:
    captions = pa.array([["a dog", "a brown dog"], [], None, ["a cat"]], pa.list_(pa.string()))
    pq.write_table(stored(0, 4).drop_columns(["text"]).append_column("caption", captions), tmp_path / "t.parquet")
    pairs = open_pairs(tmp_path / "t.parquet")
    assert pairs.texts() == ["a dog", "a brown dog", "a cat"]
    assert [pairs.image_bytes(row) for row in range(3)] == [JPEGS[0], JPEGS[0], JPEGS[3]]
    ids = pairs.image_ids(np.arange(3))
    assert ids[0] == ids[1] != ids[2]
    assert "2 of 5 rows have no text" in pairs.problems[0]
    images = open_pairs(tmp_path / "t.parquet", need_text=False)
    assert images.texts() == ["a dog", "a brown dog", "", "", "a cat"]
    assert images.one_per_image()[1] == [["a dog", "a brown dog"], [], [], ["a cat"]]
    assert [images.image_bytes(row) for row in range(5)] == [JPEGS[0], *JPEGS[:4]]


def test_lists_of_captions_of_image_files_share_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(JPEGS[0])
    (tmp_path / "t.jsonl").write_text('{"file": "a.jpg", "caption": ["one", "two"]}\n')
    pairs = open_pairs(tmp_path / "t.jsonl")
    assert pairs.texts() == ["one", "two"]
    assert pairs.image_bytes(1) == JPEGS[0]
    assert len(set(pairs.image_ids(np.arange(2)))) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metadata.csv", "file_name,text\npictures/a.jpg,a dog\n"),
        ("metadata.jsonl", '{"file_name": "pictures/a.jpg", "text": "a dog"}\n'),
    ],
)
def test_an_image_folder_opens_by_its_metadata(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.jpg").write_bytes(JPEGS[0])
    (tmp_path / name).write_text(content)
    pairs = open_pairs(tmp_path)
    assert pairs.table.to_pylist() == [{"image": "pictures/a.jpg", "text": "a dog"}]
    assert pairs.image_bytes(0) == JPEGS[0]


def test_a_dataset_that_cannot_be_opened_is_an_error_with_advice(tmp_path: Path) -> None:
    both = tmp_path / "both"
    for split in ("test", "train"):
        save_to_disk(both / split, stored(0, 2))
    (both / "dataset_dict.json").write_text("{}")
    with pytest.raises(OpenAlignError, match=r"several splits \(test, train\): choose one with --split"):
        open_pairs(both)
    (save_to_disk(tmp_path / "empty", stored(0, 2)) / "data-00000-of-00001.arrow").unlink()
    with pytest.raises(OpenAlignError, match=r"without its \.arrow files"):
        open_pairs(tmp_path / "empty")
    file = save_to_disk(tmp_path / "torn", stored(0, 6)) / "data-00000-of-00001.arrow"
    file.write_bytes(file.read_bytes()[:900])
    with pytest.raises(OpenAlignError, match=r"data-00000-of-00001\.arrow cannot be read as a saved dataset"):
        open_pairs(tmp_path / "torn")
    (tmp_path / "splits").mkdir()
    for split in ("test", "train"):
        pq.write_table(stored(0, 2), tmp_path / "splits" / f"{split}-00000-of-00001.parquet")
    with pytest.raises(OpenAlignError, match=r"several splits \(test, train\): choose one with --split"):
        open_pairs(tmp_path / "splits")
    hole = pa.table({"image": pa.array([JPEGS[0], None]), "text": ["a", "b"]})
    pq.write_table(hole, tmp_path / "hole.parquet")
    assert counted(open_pairs(tmp_path / "hole.parquet").problems) == {"rows without an image": 1}


@pytest.mark.slow
@example(position=196, bit=3)  # two columns of which pyarrow finds neither by its name
@example(position=180, bit=7)  # a name of a field of objects that is not UTF-8
@example(position=384, bit=0)  # a buffer of offsets that is one byte longer
@given(position=st.integers(0, 1 << 20), bit=st.integers(0, 7))
def test_a_changed_byte_in_a_saved_dataset_raises_nothing_but_our_error(
    tmp_path_factory: pytest.TempPathFactory, position: int, bit: int
) -> None:
    folder = save_to_disk(tmp_path_factory.mktemp("damaged") / "saved", stored(0, 6))
    file = folder / "data-00000-of-00001.arrow"
    data = bytearray(file.read_bytes())
    data[position % len(data)] ^= 1 << bit
    file.write_bytes(data)
    try:
        pairs = open_pairs(folder)
        for row in range(len(pairs)):
            pairs.image_bytes(row)
    except OpenAlignError as error:
        assert "\n" not in str(error)


def test_a_saved_dataset_is_what_its_state_names(tmp_path: Path) -> None:
    folder = save_to_disk(tmp_path / "saved", stored(0, 2), stored(2, 4), stored(4, 6))
    for name in ("cache-1c80317fa3b1799d.arrow", "tmpabc.arrow", "data-00003-of-00004.arrow"):
        (folder / name).write_bytes((folder / "data-00000-of-00003.arrow").read_bytes())
    assert open_pairs(folder).texts() == [f"text {i}" for i in range(6)]
    (folder / "data-00001-of-00003.arrow").unlink()
    pairs = open_pairs(folder)
    assert pairs.texts() == ["text 0", "text 1", "text 4", "text 5"]
    assert counted(pairs.problems) == {"files that are announced and missing": 1}
    assert "data-00001-of-00003.arrow" in pairs.problems[0]


@pytest.mark.parametrize("state", ["{}", "nope", '{"_data_files": [{"filename": "../x.arrow"}]}', '{"_data_files": 5}'])
def test_without_names_in_its_state_a_saved_dataset_is_its_files_but_caches(tmp_path: Path, state: str) -> None:
    folder = save_to_disk(tmp_path / "saved", stored(0, 2), stored(2, 4))
    (folder / "cache-1c80317fa3b1799d.arrow").write_bytes((folder / "data-00000-of-00002.arrow").read_bytes())
    (folder / "state.json").write_text(state)
    pairs = open_pairs(folder)
    assert pairs.texts() == [f"text {i}" for i in range(4)]
    assert "names no files" in pairs.problems[0]


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (["train-00000-of-00003.parquet", "train-00002-of-00003.parquet"], 1),
        (["train-00000-of-00002-abc123.parquet", "train-00001-of-00002-def456.parquet"], 0),
        (["data/train-00001-of-00004.parquet"], 3),
        (["train-00000-of-00001.parquet", "test-00000-of-00002.parquet"], 1),
        (["part-00000-6b1f.snappy.parquet"], 0),
        (["a-00000-of-00002/x-00000-of-00001.parquet"], 0),
    ],
)
def test_parts_that_names_announce_and_that_are_missing_are_counted(names: list[str], missing: int) -> None:
    assert sum(counted(missing_parts(names)).values()) == missing


def test_parts_of_two_editions_side_by_side_are_noted() -> None:
    names = [*(f"train-{i:05d}-of-00002.parquet" for i in range(2)), "train-00000-of-00001.parquet"]
    assert missing_parts(names) == ["train is there in 1 parts and in 2: both are read, so remove one"]


def test_missing_parts_of_a_dataset_are_told_when_it_is_opened(tmp_path: Path) -> None:
    pq.write_table(stored(0, 2), tmp_path / "train-00001-of-00004.parquet")
    pairs = open_pairs(tmp_path)
    assert len(pairs) == 2
    assert counted(pairs.problems) == {"files that are announced and missing": 3}


def test_partitions_give_their_rows_a_column(tmp_path: Path) -> None:
    for number, (lang, year) in enumerate([("de", "2020"), ("en", "2021"), ("__HIVE_DEFAULT_PARTITION__", "a%2Fb")]):
        folder = tmp_path / f"lang={lang}" / f"year={year}"
        folder.mkdir(parents=True)
        pq.write_table(stored(number, number + 1), folder / "part-00000.snappy.parquet")
    (tmp_path / "_SUCCESS").write_text("")
    pairs = open_pairs(tmp_path)
    found = {tuple(row.values()) for row in pairs.table.select(["text", "lang", "year"]).to_pylist()}
    assert found == {("text 0", "de", "2020"), ("text 1", "en", "2021"), ("text 2", None, "a/b")}
    assert pairs.where({"lang": "en"}).image_bytes(0) == JPEGS[1]


def test_a_column_of_the_file_comes_before_that_of_its_partition(tmp_path: Path) -> None:
    (tmp_path / "lang=en").mkdir()
    pq.write_table(stored(0, 1).append_column("lang", pa.array(["fr"])), tmp_path / "lang=en" / "a.parquet")
    assert open_pairs(tmp_path).table["lang"].to_pylist() == ["fr"]
