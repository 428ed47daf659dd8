"""Datasets as Hugging Face writes them open as pairs."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from openalign.data.pairs.open import open_pairs
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
    assert [images.image_bytes(row) for row in range(4)] == JPEGS[:4]


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
    with pytest.raises(OpenAlignError, match=r"hole\.parquet row 2 .*: this row holds no image"):
        open_pairs(tmp_path / "hole.parquet").image_bytes(1)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@example(position=196, bit=3)  # two columns of which pyarrow finds neither by its name
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
