"""Images in a column of bytes are read by row."""

import base64
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openalign.data.left_out import counted
from openalign.data.pairs.open import open_pairs
from openalign.data.tables.image_columns import ArrowImages, StoredImages
from openalign.errors import OpenAlignError
from tests.data.tables.datasets import JPEGS, save_to_disk, stored


def test_a_column_of_bytes_is_one_of_images(tmp_path: Path) -> None:
    pq.write_table(pa.table({"jpg": JPEGS[:2], "caption": ["a", "b"]}), tmp_path / "t.parquet")
    pairs = open_pairs(tmp_path / "t.parquet", image_column="jpg")
    assert pairs.image_bytes(1) == JPEGS[1]
    assert pairs.row_name(1) == f"{tmp_path / 't.parquet'} row 2 (row 2)"


def test_images_with_equal_paths_are_different_images(tmp_path: Path) -> None:
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


def test_a_saved_dataset_that_is_cut_off_while_it_is_open_ends_nothing(tmp_path: Path) -> None:
    """If the file were still mapped, the first read past its end would kill the process."""
    folder = save_to_disk(tmp_path / "saved", stored(0, 3), stored(3, 6))
    pairs = open_pairs(folder)
    file = folder / "data-00001-of-00002.arrow"
    assert pairs.image_bytes(3) == JPEGS[3]  # so that it is open
    os.truncate(file, 10)
    assert pairs.texts() == [f"text {i}" for i in range(6)]
    assert [pairs.image_bytes(row) for row in range(3)] == JPEGS[:3]
    with pytest.raises(
        OpenAlignError, match=r"row 5 \(4\.jpg\): .*00001-of-00002\.arrow was truncated after it was opened"
    ):
        pairs.image_bytes(4)
    with pytest.raises(OpenAlignError, match="was changed or replaced since its folder was opened"):
        pickle.loads(pickle.dumps(pairs)).image_bytes(4)
    assert str(folder) not in Path("/proc/self/maps").read_text()


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
    assert counted(pairs.problems) == {"rows without an image": 1}
    for each in (pairs, pickle.loads(pickle.dumps(pairs)), pairs.select(range(7))):
        assert [each.image_bytes(row) for row in (0, 1, 2, 6)] == [JPEGS[0], b"", JPEGS[1], JPEGS[5]]


def test_images_written_as_text_are_read_beside_paths(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(JPEGS[2])
    plain, url = (base64.b64encode(JPEGS[row]).decode() for row in (0, 1))
    rows = [plain, f"data:image/jpeg;base64,{url}", "a.jpg", "data:image/jpeg;base64,?"]
    lines = [json.dumps({"image": image, "text": f"text {row}"}) for row, image in enumerate(rows)]
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    pairs = open_pairs(tmp_path / "t.jsonl")
    assert [pairs.image_bytes(row) for row in range(3)] == [JPEGS[0], JPEGS[1], JPEGS[2]]
    assert len(set(pairs.image_ids(np.arange(3)))) == len(pairs) == 3
    assert counted(pairs.problems) == {"images that cannot be read": 1}


@pytest.mark.parametrize("saved", [False, True])
def test_rows_with_a_path_and_no_bytes_are_read_from_their_files(tmp_path: Path, saved: bool) -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = [{"bytes": JPEGS[0], "path": "a.jpg"}, {"bytes": None, "path": "b.jpg"}, {"bytes": None, "path": None}]
    table = pa.table({"image": pa.array(images, kind), "text": ["a", "b", "c"]})
    folder = save_to_disk(tmp_path / "t", table) if saved else tmp_path
    (folder / "b.jpg").write_bytes(JPEGS[1])
    pq.write_table(table, tmp_path / "t.parquet")
    pairs = open_pairs(folder if saved else tmp_path / "t.parquet")
    assert [pairs.image_bytes(row) for row in (0, 1)] == JPEGS[:2]
    assert pairs.select([1]).image_bytes(0) == JPEGS[1]
    assert len(pairs) == 2
    assert counted(pairs.problems) == {"rows without an image": 1}


def test_of_a_list_of_images_the_first_is_taken_and_the_others_are_counted(tmp_path: Path) -> None:
    images = pa.array([[JPEGS[0], JPEGS[1], JPEGS[2]], [], None, [JPEGS[3]]])
    pq.write_table(pa.table({"images": images, "text": list("abcd")}), tmp_path / "t.parquet")
    pairs = open_pairs(tmp_path / "t.parquet")
    assert [pairs.image_bytes(row) for row in range(2)] == [JPEGS[0], JPEGS[3]]
    assert counted(pairs.problems) == {"further images of a sample": 2, "rows without an image": 2}
