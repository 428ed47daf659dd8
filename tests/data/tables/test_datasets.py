"""Tables that hold their images, as Hugging Face `datasets` writes them, open like any other DATA."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openalign.data.images.decode import encode_jpeg
from openalign.data.pairs.open import open_pairs
from openalign.data.tables.image_columns import ArrowImages, StoredImages
from openalign.errors import OpenAlignError

JPEGS = [encode_jpeg(np.full((8, 12, 3), 20 * i, np.uint8)) for i in range(6)]


def stored(first: int, last: int, paths: bool = True) -> pa.Table:
    images = [{"bytes": JPEGS[i], "path": f"{i}.jpg" if paths else None} for i in range(first, last)]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.table({"image": pa.array(images, kind), "text": [f"text {i}" for i in range(first, last)]})


def save_to_disk(folder: Path, *parts: pa.Table) -> Path:
    """The files that `Dataset.save_to_disk` writes."""
    folder.mkdir(parents=True)
    names = [f"data-{number:05d}-of-{len(parts):05d}.arrow" for number in range(len(parts))]
    for name, part in zip(names, parts, strict=True):
        with pa.OSFile(str(folder / name), "wb") as file, pa.ipc.new_stream(file, part.schema) as stream:
            stream.write_table(part, max_chunksize=2)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    (folder / "dataset_info.json").write_text("{}")
    return folder


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


def test_a_column_of_bytes_is_one_of_images(tmp_path: Path) -> None:
    pq.write_table(pa.table({"jpg": JPEGS[:2], "caption": ["a", "b"]}), tmp_path / "t.parquet")
    pairs = open_pairs(tmp_path / "t.parquet", image_column="jpg")
    assert pairs.image_bytes(1) == JPEGS[1]
    assert pairs.row_name(1) == f"{tmp_path / 't.parquet'} row 2 (row 2)"


def test_images_whose_paths_do_not_tell_them_apart_are_different_images(tmp_path: Path) -> None:
    for paths in (True, False):
        table = pa.concat_tables([stored(0, 3, paths), stored(0, 3, paths)])
        pq.write_table(table, tmp_path / "t.parquet")
        assert len(set(open_pairs(tmp_path / "t.parquet").image_ids(np.arange(6)))) == 6


def test_a_dataset_that_only_names_its_image_files_opens_them(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(JPEGS[0])
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = pa.array([{"bytes": None, "path": str(tmp_path / "a.jpg")}], kind)
    pairs = open_pairs(save_to_disk(tmp_path / "saved", pa.table({"image": images, "text": ["a dog"]})))
    assert pairs.image_bytes(0) == JPEGS[0]


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
    assert images.texts() == ["a dog", "", "", "a cat"]
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


def test_what_cannot_be_opened_says_what_to_do(tmp_path: Path) -> None:
    both = tmp_path / "both"
    for split in ("test", "train"):
        save_to_disk(both / split, stored(0, 2))
    (both / "dataset_dict.json").write_text("{}")
    with pytest.raises(OpenAlignError, match=r"several datasets \(test, train\): give one of these folders"):
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
    with pytest.raises(OpenAlignError, match=r"several splits \(test, train\): move the files of one"):
        open_pairs(tmp_path / "splits")
    hole = pa.table({"image": pa.array([JPEGS[0], None]), "text": ["a", "b"]})
    pq.write_table(hole, tmp_path / "hole.parquet")
    with pytest.raises(OpenAlignError, match=r"hole\.parquet row 2 .*: this row holds no image"):
        open_pairs(tmp_path / "hole.parquet").image_bytes(1)


def test_a_saved_dataset_that_is_cut_off_while_it_is_open_ends_nothing(tmp_path: Path) -> None:
    """Were the file still mapped, the first look behind its end would end the process with a signal."""
    folder = save_to_disk(tmp_path / "saved", stored(0, 3), stored(3, 6))
    pairs = open_pairs(folder)
    file = folder / "data-00001-of-00002.arrow"
    assert pairs.image_bytes(3) == JPEGS[3]  # so that it is open
    os.truncate(file, 10)
    assert pairs.texts() == [f"text {i}" for i in range(6)]
    assert [pairs.image_bytes(row) for row in range(3)] == JPEGS[:3]
    with pytest.raises(
        OpenAlignError, match=r"row 5 \(4\.jpg\): .*00001-of-00002\.arrow was cut off after it was opened"
    ):
        pairs.image_bytes(4)
    with pytest.raises(OpenAlignError, match="was changed or replaced since its folder was opened"):
        pickle.loads(pickle.dumps(pairs)).image_bytes(4)
    assert "data-0000" not in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("compression", [None, "zstd"])
def test_images_of_a_saved_dataset_of_any_kind_are_read_one_by_one(
    tmp_path: Path, large: bool, compression: str | None
) -> None:
    kind = pa.large_binary() if large else pa.binary()
    table = pa.table({"image": pa.array([JPEGS[0], None, b"", *JPEGS[1:]], kind), "text": list("abcdefgh")})
    folder = save_to_disk(tmp_path / "saved", table)
    with pa.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb") as file:
        options = pa.ipc.IpcWriteOptions(compression=compression)
        with pa.ipc.new_stream(file, table.schema, options=options) as stream:
            stream.write_table(table.slice(0, 3))
            stream.write_table(table.slice(3))
    pairs = open_pairs(folder)
    assert isinstance(pairs.images, StoredImages if compression else ArrowImages)
    for each in (pairs, pickle.loads(pickle.dumps(pairs)), pairs.select(range(8))):
        assert [each.image_bytes(row) for row in (0, 2, 3, 7)] == [JPEGS[0], b"", JPEGS[1], JPEGS[5]]
        with pytest.raises(OpenAlignError, match="this row holds no image"):
            each.image_bytes(1)


def test_columns_of_different_kinds_in_different_files_become_text_or_a_sentence(tmp_path: Path) -> None:
    for number, other in enumerate(([1, 2], ["x", "y"])):
        table = stored(2 * number, 2 * number + 2).append_column("other", pa.array(other))
        pq.write_table(table, tmp_path / f"train-{number:05d}-of-00002.parquet")
    assert open_pairs(tmp_path).table["other"].to_pylist() == ["1", "2", "x", "y"]
    pq.write_table(
        stored(2, 4).append_column("other", pa.array([{"a": 1}] * 2)), tmp_path / "train-00001-of-00002.parquet"
    )
    with pytest.raises(OpenAlignError, match="column 'other' is of different kinds in different files"):
        open_pairs(tmp_path)


@settings(max_examples=150, deadline=None)
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
