"""Shards are written whole or not at all, and any tar reader reads them."""

import json
import resource
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openalign.data.pairs.open import open_pairs
from openalign.data.shards import writer
from openalign.data.shards.writer import ShardWriter, _member_header
from openalign.errors import OpenAlignError
from tests.data.shards.written import JPEG, write

WEBP = b"RIFF\x24\x00\x00\x00WEBPVP8L\x18\x00\x00\x00\x2f\x07\xc0\x01\x00"


def test_any_tar_reader_finds_the_samples(tmp_path: Path) -> None:
    assert write(tmp_path) == ["shard-00000.tar"] * 3 + ["shard-00001.tar"] * 3 + ["shard-00002.tar"] * 2
    with tarfile.open(tmp_path / "shard-00001.tar") as tar:
        assert tar.getnames()[:3] == ["000000003.jpg", "000000003.txt", "000000003.json"]
        members = {name: tar.extractfile(name) for name in tar.getnames()[:3]}
    with tarfile.open(tmp_path / "shard-00001.tar") as tar:
        contents = [tar.extractfile(name).read() for name in members]  # type: ignore[union-attr]
    assert contents[0] == JPEG + b"\x03"
    assert contents[1].decode() == "a text, número 3"
    assert json.loads(contents[2]) == {"image": "http://a.test/3.jpg", "width": 3}


def test_a_member_is_named_by_what_its_bytes_are(tmp_path: Path) -> None:
    with ShardWriter(tmp_path) as writer:
        writer.write("a", WEBP, "", {})
    with tarfile.open(tmp_path / "shard-00000.tar") as tar:
        assert tar.getnames()[0] == "a.webp"


def test_equal_samples_give_equal_bytes(tmp_path: Path) -> None:
    for run in ("one", "two"):
        write(tmp_path / run)
    one, two = ({file.name: file.read_bytes() for file in (tmp_path / run).iterdir()} for run in ("one", "two"))
    assert one == two


def test_a_shorter_run_leaves_no_shard_of_a_longer_one(tmp_path: Path) -> None:
    write(tmp_path, 8)
    write(tmp_path, 4)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "shard-00000.index.parquet",
        "shard-00000.tar",
        "shard-00001.index.parquet",
        "shard-00001.tar",
    ]


def test_an_interrupted_run_leaves_only_complete_shards(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), ShardWriter(tmp_path, 2) as writer:
        for i in range(3):
            writer.write(str(i), JPEG, "text", {})
        raise KeyboardInterrupt
    assert sorted(file.name for file in tmp_path.iterdir()) == ["shard-00000.index.parquet", "shard-00000.tar"]


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Refuse to write files any longer, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("samples_per_shard", [3, 1000])
def test_a_full_disk_is_an_error_and_leaves_only_complete_shards(tmp_path: Path, samples_per_shard: int) -> None:
    with (
        files_of_at_most(1 << 20),
        pytest.raises(OpenAlignError, match=r"shard-0000\d\.tar cannot be written: File too large"),
        ShardWriter(tmp_path, samples_per_shard) as writer,
    ):
        for i in range(6):
            writer.write(f"{i}", bytes([i]) * (300_000 if i < 3 else 400_000), "text", {})
    left = ["shard-00000.index.parquet", "shard-00000.tar"] if samples_per_shard == 3 else []
    assert sorted(file.name for file in tmp_path.iterdir()) == left


def test_two_writers_at_once_leave_complete_shards(tmp_path: Path) -> None:
    with ShardWriter(tmp_path) as one, ShardWriter(tmp_path) as other:
        for i in range(4):
            one.write(f"{i}", JPEG + bytes([i]), "one", {})
            other.write(f"{i}", JPEG + bytes([i]), "other", {})
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == ["one"] * 4
    assert [pairs.image_bytes(row) for row in range(4)] == [JPEG + bytes([i]) for i in range(4)]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_shard_is_synced_to_disk_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, bool]] = []
    tar = tmp_path / "shard-00000.tar"
    monkeypatch.setattr(writer, "sync", lambda path: seen.append((path.suffix, tar.exists())))
    write(tmp_path, 1)
    assert seen == [(".tar", False), ("", True)]


def test_what_a_killed_run_left_is_not_a_shard(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / ".shard-00003.0123456789ab.partial.tar").write_bytes((tmp_path / "shard-00000.tar").read_bytes())
    assert len(open_pairs(tmp_path)) == 8
    assert len(open_pairs(f"local://{tmp_path}")) == 8


@given(
    st.one_of(st.text(st.characters(codec="ascii"), min_size=1, max_size=110), st.text(min_size=1, max_size=40)),
    st.one_of(st.integers(0, 1 << 20), st.integers(8**11 - 2, 8**11 + 2)),
)
def test_headers_of_members_are_those_of_tarfile(name: str, size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size = size
    assert bytes(_member_header(name, size)) == member.tobuf(tarfile.PAX_FORMAT)
