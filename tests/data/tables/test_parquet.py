"""Parquet files are checked before they are used."""

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openalign.data.tables.parquet import with_texts_of_bytes
from openalign.data.tables.read import read_table
from openalign.errors import OpenAlignError


def test_a_row_of_a_parquet_file_that_is_not_utf8_is_left_out_and_listed(tmp_path: Path) -> None:
    texts = pa.array([b"caf\xc3\xa9", b"caf\xe9", None]).view(pa.string())
    pq.write_table(pa.table({"image": ["a.jpg", "b.jpg", "c.jpg"], "text": texts}), tmp_path / "t.parquet")
    problems: list[str] = []
    assert read_table(tmp_path / "t.parquet", problems=problems)["image"].to_pylist() == ["a.jpg", "c.jpg"]
    assert problems == [f"{tmp_path}/t.parquet row 2 is not UTF-8, and is left out"]


@given(seed=st.integers(0, 2**32))
def test_damage_anywhere_in_a_parquet_file_is_refused_or_without_effect(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    """The file has page checksums, like those that we write; names are checked only where they are used."""
    path = tmp_path_factory.mktemp("damaged") / "t.parquet"
    table = pa.table({"image": [f"{i}.jpg" for i in range(50)], "text": ["a dog"] * 50, "n": list(range(50))})
    pq.write_table(table, path, write_page_checksum=True)
    draw, data = random.Random(seed), bytearray(path.read_bytes())
    for _ in range(draw.randint(1, 3)):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    path.write_bytes(data if draw.random() < 0.8 else data[: draw.randrange(len(data))])
    try:
        found = read_table(path)
    except OpenAlignError as error:
        assert "\n" not in str(error)
        return
    assert found["image"].to_pylist() == table["image"].to_pylist()


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_texts_that_are_written_as_bytes_are_texts(tmp_path: Path, kind: pa.DataType) -> None:
    """As Spark, Impala and Hive wrote them; one that is not UTF-8 is left out, as any such row is."""
    columns = {
        "file_name": pa.array([b"a.jpg", b"b.jpg", b"c.jpg"], kind),
        "caption": pa.array([b"ein rotes Tor", "grün".encode("latin-1"), "красный".encode()], kind),
        "digest": pa.array([b"abc", b"def", b"ghi"], kind),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    problems: list[str] = []
    table = read_table(tmp_path / "t.parquet", problems=problems)
    assert table["image"].to_pylist() == ["a.jpg", "c.jpg"]
    assert table["text"].to_pylist() == ["ein rotes Tor", "красный"]
    assert table["digest"].to_pylist() == [b"abc", b"ghi"]
    assert len(problems) == 1 and "row 2 is not UTF-8" in problems[0]


@pytest.mark.parametrize("value", [b"\xff\xd8\xff\xe0 picture", b"<svg></svg>", b"\0\1\2", b""])
def test_bytes_that_are_no_texts_stay_bytes(value: bytes) -> None:
    table = pa.table({"image": pa.array([value, None], pa.binary())})
    assert with_texts_of_bytes(table, ["image"]).equals(table)
