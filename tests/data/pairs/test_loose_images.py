"""Images that lie beside shards, Parquet files or a saved dataset are not read with them, which is told."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openalign.data.left_out import Kind, counted
from openalign.data.pairs.open import open_pairs
from tests.data.pairs.folders import JPEG, put
from tests.data.shards.tars import jpeg, tar_of


def shards(folder: Path) -> None:
    tar_of(folder / "deep" / "0.tar", {"a.jpg": jpeg(0), "a.txt": b"one"})


def parquet(folder: Path) -> None:
    (folder / "data").mkdir(parents=True)
    pq.write_table(pa.table({"image": [JPEG], "text": ["one"]}), folder / "data" / "0.parquet")


def saved(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    table = pa.table({"image": [JPEG], "text": ["one"]})
    with pa.OSFile(str(folder / "0.arrow"), "wb") as file, pa.ipc.new_stream(file, table.schema) as out:
        out.write_table(table)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "0.arrow"}]}))


@pytest.mark.parametrize("write", [shards, parquet, saved])
@pytest.mark.parametrize("where", ["", "assets/figures"])
def test_they_are_told(tmp_path: Path, write: Callable[[Path], None], where: str) -> None:
    write(tmp_path)
    assert counted(open_pairs(tmp_path).problems) == {}
    put(tmp_path / where, teaser=None, logo=None)
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == ["one"]
    assert counted(pairs.problems) == ({Kind.IMAGE_OUTSIDE: 2} if write is shards else {})  # rows may name the others
    assert any("2 images lie beside the" in problem and "logo.jpg" in problem for problem in pairs.problems)
