"""The index beside a shard is untrusted, and checked before a row of it is used."""

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openalign.checksums import write_checksums
from openalign.data.pairs.open import open_pairs
from openalign.data.shards import sidecar
from openalign.data.shards.index import index_path, read_index
from openalign.data.shards.writer import ShardWriter
from openalign.errors import OpenAlignError


def write(folder: Path, count: int = 6, per_shard: int = 3) -> Path:
    with ShardWriter(folder, per_shard) as writer:
        for i in range(count):
            writer.write(f"{i:09d}", bytes([i]) * 700, f"text {i}", {"page": f"page {i}", "width": i})
    return folder / "shard-00000.tar"


def rewrite(tar: Path, name: str, values: Any) -> None:
    """Put another column into the index of a tar; None takes it out."""
    table = pq.read_table(index_path(tar))
    if values is None:
        table = table.drop_columns([name])
    elif name in table.column_names:
        table = table.set_column(table.column_names.index(name), name, pa.chunked_array([values]))
    else:
        table = table.append_column(name, pa.chunked_array([values]))
    pq.write_table(table.replace_schema_metadata(None), index_path(tar))


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("key", None, "it has no columns key"),
        ("text", None, "it has no columns text"),
        ("image_offset", None, "it has no columns image_offset"),
        ("image_size", None, "it has no columns image_size"),
        ("key", [1, 2, 3], "its column key holds int64, not string"),
        ("key", ["a", None, "c"], "its row 2 has key None, which is impossible"),
        ("image_offset", [512, 2**52, 2048], f"its row 2 has image_offset {2**52}, which is impossible"),
        ("image_offset", [512, -512, 2048], "its row 2 has image_offset -512, which is impossible"),
        ("image_offset", [512, None, 2048], "its row 2 has image_offset None, which is impossible"),
        ("image_offset", [512.0, 700.0, 2048.0], "its column image_offset holds double, not int64"),
        ("image_offset", pa.array([512, 2**63, 2048], pa.uint64()), "out of range|not in range|out of bounds"),
        ("image_offset", [512, 2**63 - 1, 2048], "its row 2 has image_offset 9223372036854775807"),
        ("image_size", [700, -1, 700], "its row 2 has image_size -1, which is impossible"),
        ("image_size", [700, 700, 2**40], f"its row 3 has image_size {2**40}, which is impossible"),
        ("image_offset", [512, 513, 9000], "its row 2 has image_offset 513, which is impossible"),
        ("image_offset", [9000, 512, 513], "its row 3 has image_offset 513, which is impossible"),
        ("image_digest", ["a", "b", "c"], r"its column image_digest holds string, not fixed_size_binary\[16\]"),
    ],
)
def test_an_index_that_cannot_be_right_is_refused_with_file_row_and_column(
    tmp_path: Path, column: str, values: Any, message: str
) -> None:
    tar = write(tmp_path)
    rewrite(tar, column, values)
    with pytest.raises(OpenAlignError, match=message) as error:
        open_pairs(tmp_path)
    assert str(error.value).startswith(f"{index_path(tar)} cannot be read as an index (")
    assert str(error.value).endswith("delete it, and the tar is read instead")
    assert "\n" not in str(error.value)
    index_path(tar).unlink()
    assert open_pairs(tmp_path).image_bytes(1) == bytes([1]) * 700


def test_an_index_of_too_many_rows_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    monkeypatch.setattr(sidecar, "MAX_ROWS", 2)
    with pytest.raises(OpenAlignError, match=r"shard-00000\.index\.parquet .*it has 3 rows; up to 2 are read"):
        open_pairs(tmp_path)


def test_rows_may_share_an_image_and_an_image_may_be_empty(tmp_path: Path) -> None:
    with ShardWriter(tmp_path) as writer:
        for key, image in (("a", bytes(700)), ("b", b"other"), ("c", b"")):
            writer.write(key, image, f"text {key}", {})
    tar = tmp_path / "shard-00000.tar"
    offsets = pq.read_table(index_path(tar))["image_offset"].to_pylist()
    rewrite(tar, "key", ["a", "a", "c"])
    rewrite(tar, "image_offset", [offsets[0], offsets[0], offsets[2]])
    rewrite(tar, "image_size", [700, 700, 0])
    for digest in (True, False):
        if not digest:
            rewrite(tar, "image_digest", None)
        pairs = open_pairs(tmp_path).checked_every(9)
        assert pairs.texts() == ["text a", "text b", "text c"]
        assert [pairs.image_bytes(row) for row in range(3)] == [bytes(700), bytes(700), b""]


def test_an_index_of_an_older_version_and_other_integer_types_are_read(tmp_path: Path) -> None:
    tar = write(tmp_path)
    rewrite(tar, "image_digest", None)
    for name in ("image_offset", "image_size"):
        rewrite(tar, name, pa.array(pq.read_table(index_path(tar))[name].to_pylist(), pa.uint32()))
    rewrite(tar, "key", pq.read_table(index_path(tar))["key"].combine_chunks().dictionary_encode())
    pairs = open_pairs(tmp_path)
    assert [pairs.image_bytes(row) for row in range(6)] == [bytes([i]) * 700 for i in range(6)]


def test_metadata_of_any_kind_come_back(tmp_path: Path) -> None:
    described = {"tags": ["a", "b"], "size": {"w": 1}, "none": None, "share": 0.5, "good": True, "boxes": [[1, 2]]}
    with ShardWriter(tmp_path) as writer:
        writer.write("a", bytes(700), "text", described)
    [row] = read_index(tmp_path / "shard-00000.tar").to_pylist()
    assert {name: row[name] for name in described} == described


def test_the_digests_are_not_a_column_of_the_pairs(tmp_path: Path) -> None:
    write(tmp_path)
    assert open_pairs(tmp_path).table.column_names == ["image", "text", "key", "page", "width"]
    assert read_index(tmp_path / "shard-00001.tar")["image_digest"].type == pa.binary(16)


def test_an_image_that_is_another_one_now_is_named_and_not_given(tmp_path: Path) -> None:
    tar = write(tmp_path)
    offset = read_index(tar)["image_offset"][1].as_py()
    with tar.open("r+b") as file:
        file.seek(offset + 300)
        file.write(b"!")
    pairs = open_pairs(tmp_path)
    message = rf"row 2 \(000000001\): .*shard-00000\.tar holds other bytes at {offset:,} than were written"
    with pytest.raises(OpenAlignError, match=message):
        pairs.image_bytes(1)
    assert pairs.select([2, 1, 0]).image_bytes(0) == bytes([2]) * 700
    with pytest.raises(OpenAlignError, match=message):
        pairs.select([2, 1, 0]).image_bytes(1)
    # Row 1 is not in the sample, row 0 of any sample is.
    assert pairs.checked_every(2).image_bytes(1) != bytes([1]) * 700
    with pytest.raises(OpenAlignError, match=message):
        pairs.select([1]).checked_every(2).image_bytes(0)


@pytest.mark.parametrize("below", [".", "shards"])
def test_an_index_is_compared_with_the_checksums_of_its_folder_or_the_one_above(tmp_path: Path, below: str) -> None:
    tar = write(tmp_path / below)
    write_checksums(tmp_path)
    assert len(open_pairs(tmp_path)) == len(open_pairs(tmp_path / below)) == 6
    rewrite(tar, "page", ["other", "words", "here"])
    for opened in (tmp_path, tmp_path / below):
        with pytest.raises(OpenAlignError, match=r"shard-00000\.index\.parquet .* or delete it, and the tar is read"):
            open_pairs(opened)
    index_path(tar).unlink()
    assert open_pairs(tmp_path).table["page"].to_pylist()[0] == "page 0"


def test_a_list_of_pairs_is_compared_with_the_checksums_of_its_folder(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": ["a.jpg"], "text": ["a dog"]}), tmp_path / "pairs.parquet")
    write_checksums(tmp_path)
    assert len(open_pairs(tmp_path)) == 1
    pq.write_table(pa.table({"image": ["a.jpg"], "text": ["a cat"]}), tmp_path / "pairs.parquet")
    for opened in (tmp_path, tmp_path / "pairs.parquet"):
        with pytest.raises(
            OpenAlignError, match=r"pairs\.parquet .*if you changed it yourself, delete checksums\.json"
        ):
            open_pairs(opened)


@pytest.mark.slow
@given(seed=st.integers(0, 2**32))
def test_a_changed_byte_anywhere_in_an_index_never_gives_other_rows_in_silence(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("damaged", numbered=True)
    tar = write(folder, 3)
    before = read_index(tar).to_pylist()
    draw = random.Random(seed)
    data = bytearray(index_path(tar).read_bytes())
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    index_path(tar).write_bytes(data)
    try:
        after = read_index(tar)
    except OpenAlignError:
        return
    assert after.to_pylist() == before


def test_an_index_with_other_rows_or_columns_than_were_written_is_refused(tmp_path: Path) -> None:
    tar = write(tmp_path)
    table = pq.read_table(index_path(tar))
    for other in (table.slice(0, 2), table.rename_columns([f"{name}x"[:6] + name[6:] for name in table.column_names])):
        pq.write_table(other.replace_schema_metadata(table.schema.metadata), index_path(tar))
        with pytest.raises(OpenAlignError, match="its columns or its number of rows differ from what was written"):
            read_index(tar)
