"""An index beside a tar is believed only if it is that tar's."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import fsspec
import pyarrow.parquet as pq
import pytest

from openalign.data.left_out import counted
from openalign.data.pairs.open import open_pairs
from openalign.data.shards.index import index_path
from openalign.data.shards.writer import ShardWriter
from tests.data.shards.tars import jpeg, tar_of

Members = list[tuple[str, bytes]]


def shard(folder: Path, count: int = 9, key: str = "{:09d}") -> Path:
    with ShardWriter(folder) as writer:
        for i in range(count):
            writer.write(key.format(i), jpeg(i), f"text {i}", {"image": f"http://a.test/{i}", "sha256": f"{i:064d}"})
    return folder / "shard-00000.tar"


def members_of(tar: Path) -> Members:
    with tarfile.open(tar) as opened:
        return [(member.name, opened.extractfile(member).read()) for member in opened]  # type: ignore[union-attr]


def assert_right(folder: Path | str, numbers: list[int]) -> tuple[str, ...]:
    """Each text stands with its picture; returns the messages."""
    pairs = open_pairs(folder)
    found = [int(pairs.image_bytes(row).rpartition(b"\xff\xd9")[2]) for row in range(len(pairs))]
    assert found == numbers
    assert pairs.texts() == [f"text {number}" for number in numbers]
    return pairs.problems


def test_a_text_that_was_mended_in_the_tar_is_read_there(tmp_path: Path) -> None:
    tar = shard(tmp_path)
    members = [(name, b"mended" if name == "000000004.txt" else data) for name, data in members_of(tar)]
    tar_of(tar, members)  # all images stay where they were
    pairs = open_pairs(tmp_path)
    assert pairs.texts()[3:6] == ["text 3", "mended", "text 5"]
    assert "the text of its row 5 is another one in the tar" in pairs.problems[0]


CHANGES: list[tuple[Callable[[Members], Members], list[int]]] = [
    (lambda all: all[3:], [*range(1, 9)]),
    (lambda all: all[:-3], [*range(8)]),
    (lambda all: all[:12] + all[15:], [0, 1, 2, 3, 5, 6, 7, 8]),
    (lambda all: [*all, ("x.jpg", jpeg(77)), ("x.txt", b"text 77")], [*range(9), 77]),
    (lambda all: [("x.jpg", jpeg(77)), ("x.txt", b"text 77"), *all], [77, *range(9)]),
    (lambda all: [(name.replace("00000000", "s"), data) for name, data in all], [*range(9)]),
    (lambda all: sorted(all, key=lambda member: member[0].endswith("txt")), [*range(9)]),
]


@pytest.mark.parametrize(("change", "numbers"), CHANGES)
@pytest.mark.parametrize("digests", [True, False])
def test_the_tar_is_read_where_its_index_is_of_an_older_one(
    tmp_path: Path, change: Callable[[Members], Members], numbers: list[int], digests: bool
) -> None:
    tar = shard(tmp_path)
    if not digests:
        table = pq.read_table(index_path(tar)).drop_columns(["image_digest"])
        pq.write_table(table.replace_schema_metadata(None), index_path(tar))
    tar_of(tar, change(members_of(tar)))
    problems = assert_right(tmp_path, numbers)
    assert problems[0].startswith(f"{index_path(tar)} is not the index of this tar (")
    assert not counted(problems)


def test_without_digests_every_header_is_looked_at(tmp_path: Path) -> None:
    tar = shard(tmp_path, 60)
    table = pq.read_table(index_path(tar)).drop_columns(["image_digest"])
    pq.write_table(table.replace_schema_metadata(None), index_path(tar))
    all = members_of(tar)
    all[51:54], all[54:57] = all[54:57], all[51:54]
    tar_of(tar, all)
    assert assert_right(tmp_path, [*range(17), 18, 17, *range(19, 60)])


@pytest.mark.parametrize("key", ["{:d}", "ein/Schlüssel.{:d}", "x" * 120 + "{:d}", "y" * 98 + "{:d}", "日本{:d}"])
def test_an_index_is_believed_whatever_the_keys(tmp_path: Path, key: str) -> None:
    shard(tmp_path, key=key)
    pairs = open_pairs(tmp_path)
    assert pairs.problems == ()
    assert pairs.table["image"].to_pylist()[3] == "http://a.test/3"
    assert pairs.image_key == "sha256"


def test_a_damaged_header_before_a_recorded_image_does_not_cost_it(tmp_path: Path) -> None:
    tar = shard(tmp_path)
    with tar.open("r+b") as file:
        file.write(b"\xff" * 20)
    assert assert_right(tmp_path, [*range(9)]) == ()


def test_the_index_of_another_tar_is_not_used(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, 3) as writer:
        for i in range(6):
            writer.write(f"{i}", jpeg(i), f"text {i}", {})
    first = tmp_path / "shard-00000.tar"
    index_path(first).write_bytes(index_path(tmp_path / "shard-00001.tar").read_bytes())
    assert len(assert_right(tmp_path, [*range(6)])) == 1


def test_an_index_at_a_url_is_compared_as_well(tmp_path: Path) -> None:
    tar = shard(tmp_path)
    files = fsspec.filesystem("memory")
    files.pipe_file("/changed/shard-00000.index.parquet", index_path(tar).read_bytes())
    files.pipe_file("/changed/shard-00000.tar", tar.read_bytes())
    assert assert_right("memory://changed", [*range(9)]) == ()
    tar_of(tar, members_of(tar)[6:])
    files.pipe_file("/changed/shard-00000.tar", tar.read_bytes())
    assert len(assert_right("memory://changed", [*range(2, 9)])) == 1
    files.rm("/changed", recursive=True)


def test_one_shard_without_its_index_leaves_the_others_their_names(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, 2) as writer:
        for i in range(4):
            writer.write(f"{i}", jpeg(i), f"text {i}", {"image": f"http://a.test/{i}", "sha256": f"{i:064d}"})
    index_path(tmp_path / "shard-00001.tar").unlink()
    pairs = open_pairs(tmp_path)
    assert pairs.table["image"].to_pylist() == [
        *("http://a.test/0", "http://a.test/1"),
        *("shard-00001.tar/2.jpg", "shard-00001.tar/3.jpg"),
    ]
    assert pairs.image_key == "image"


def test_a_cut_off_shard_with_an_index_says_exactly_what_is_lost(tmp_path: Path) -> None:
    tar = shard(tmp_path)
    offsets = pq.read_table(index_path(tar))["image_offset"].to_pylist()
    tar.write_bytes(tar.read_bytes()[: offsets[5] + 100])
    assert counted(assert_right(tmp_path, [*range(5)])) == {"samples lost where a file is cut off": 4}
