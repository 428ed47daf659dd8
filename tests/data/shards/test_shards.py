"""Shards: what is written is a WebDataset tar that anyone reads, and any sample of it is read at once."""

import hashlib
import io
import json
import pickle
import resource
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openalign.data.files.open_files import OpenFiles
from openalign.data.images.decode import encode_jpeg
from openalign.data.pairs.open import open_pairs
from openalign.data.shards import writer
from openalign.data.shards.index import index_path, read_index
from openalign.data.shards.reader import ShardImages
from openalign.data.shards.writer import ShardWriter
from openalign.errors import OpenAlignError

JPEG = encode_jpeg(np.zeros((8, 12, 3), np.uint8))
WEBP = b"RIFF\x24\x00\x00\x00WEBPVP8L\x18\x00\x00\x00\x2f\x07\xc0\x01\x00"


def write(folder: Path, count: int = 8, samples_per_shard: int = 3) -> list[str]:
    with ShardWriter(folder, samples_per_shard) as writer:
        return [
            writer.write(
                f"{i:09d}", JPEG + bytes([i]), f"a text, número {i}", {"image": f"http://a.test/{i}.jpg", "width": i}
            )
            for i in range(count)
        ]


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


def test_the_index_leads_to_every_image_also_without_its_sidecar(tmp_path: Path) -> None:
    write(tmp_path)
    tars = sorted(tmp_path.glob("*.tar"))
    stored = [read_index(tar) for tar in tars]
    for tar in tars:
        index_path(tar).unlink()
    rebuilt = [read_index(tar) for tar in tars]
    for indexes in (stored, rebuilt):
        images = ShardImages.of(tars, indexes)
        assert [images.image_bytes(row) for row in range(8)] == [JPEG + bytes([i]) for i in range(8)]
    assert [table.to_pylist() for table in rebuilt] == [
        table.drop_columns(["image_digest"]).to_pylist() for table in stored
    ]


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


def test_an_interrupted_run_leaves_only_whole_shards(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), ShardWriter(tmp_path, 2) as writer:
        for i in range(3):
            writer.write(str(i), JPEG, "text", {})
        raise KeyboardInterrupt
    assert sorted(file.name for file in tmp_path.iterdir()) == ["shard-00000.index.parquet", "shard-00000.tar"]


def test_images_are_chosen_by_row_and_go_to_workers(tmp_path: Path) -> None:
    write(tmp_path)
    tars = sorted(tmp_path.glob("*.tar"))
    images = ShardImages.of(tars, [read_index(tar) for tar in tars])
    images.image_bytes(0)
    chosen = pickle.loads(pickle.dumps(images)).select(np.array([7, 0, 3]))
    assert [chosen.image_bytes(row)[-1] for row in range(3)] == [7, 0, 3]


def test_tars_of_img2dataset_open_with_their_captions_and_urls(tmp_path: Path) -> None:
    samples = {"000000001": "a dog", "000000002": "a cat"}
    with tarfile.open(tmp_path / "00000.tar", "w") as tar:
        for key, text in samples.items():
            described = {"caption": text, "url": f"http://a.test/{key}", "status": "success", "exif": {"a": 1}}
            for suffix, data in (("jpg", JPEG), ("json", json.dumps(described).encode()), ("txt", text.encode())):
                member = tarfile.TarInfo(f"{key}.{suffix}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    index = read_index(tmp_path / "00000.tar")
    assert index["text"].to_pylist() == ["a dog", "a cat"]
    assert index["url"].to_pylist() == ["http://a.test/000000001", "http://a.test/000000002"]
    assert ShardImages.of([tmp_path / "00000.tar"], [index]).image_bytes(1) == JPEG


def test_a_text_that_is_not_utf8_is_named_with_its_byte(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "00000.tar", "w") as tar:
        for name, data in (("7.jpg", JPEG), ("7.txt", "café".encode("latin-1")), ("8.jpg", JPEG), ("8.txt", b"a cat")):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    problems: list[str] = []
    assert read_index(tmp_path / "00000.tar", problems)["text"].to_pylist() == [None, "a cat"]
    assert problems == [f"{tmp_path}/00000.tar: 7.txt is not UTF-8 at byte 3, and is left out"]


def test_a_tar_that_was_cut_off_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    tar = tmp_path / "shard-00000.tar"
    stored = read_index(tar)
    tar.write_bytes(tar.read_bytes()[:1500])
    with pytest.raises(OpenAlignError, match=r"shard-00000\.tar is shorter than its index says"):
        ShardImages.of([tar], [stored]).image_bytes(2)
    index_path(tar).unlink()
    with pytest.raises(OpenAlignError, match=r"shard-00000\.tar cannot be read as a shard"):
        read_index(tar)


def test_the_index_has_one_schema_even_where_a_field_is_missing(tmp_path: Path) -> None:
    with ShardWriter(tmp_path) as writer:
        writer.write("a", JPEG, "x", {"page": None})
        writer.write("b", JPEG, "y", {"page": "p", "language": "en"})
    assert pq.read_table(tmp_path / "shard-00000.index.parquet").to_pylist()[1]["language"] == "en"


def cut(tar: Path, end: int) -> None:
    index_path(tar).unlink(missing_ok=True)
    tar.write_bytes(tar.read_bytes()[:end])


@pytest.mark.parametrize("end", [300, 1000, 1700, 3100, 3800, 4500, 5200, 5900, 6600, 7300, 8000, 8700, 9400])
def test_a_tar_cut_off_gives_its_whole_samples(tmp_path: Path, end: int) -> None:
    write(tmp_path, 6, samples_per_shard=6)
    tar = tmp_path / "shard-00000.tar"
    with tarfile.open(tar) as opened:
        ends = [member.offset_data + member.size for member in opened if member.name.endswith(".json")]
    before = read_index(tar)
    cut(tar, end)
    whole = sum(each <= end for each in ends)
    problems: list[str] = []
    if whole == 0:
        with pytest.raises(OpenAlignError, match="cannot be read as a shard"):
            read_index(tar, problems)
        return
    rows = read_index(tar, problems)
    assert rows.to_pylist() == before.drop_columns(["image_digest"]).to_pylist()[:whole]
    assert [f"{tar} is cut off or damaged after {whole} samples" in problem for problem in problems] == [True]


def test_a_tar_that_ends_between_two_samples_is_cut_off_too(tmp_path: Path) -> None:
    write(tmp_path, 6, samples_per_shard=6)
    tar = tmp_path / "shard-00000.tar"
    with tarfile.open(tar) as opened:
        cut(tar, next(member.offset for member in opened if member.name == "000000004.jpg"))
    problems: list[str] = []
    assert len(read_index(tar, problems)) == 4
    assert len(problems) == 1


@pytest.mark.parametrize("end", [0, 100, -100])
def test_a_damaged_index_is_named_with_what_to_do(tmp_path: Path, end: int) -> None:
    write(tmp_path)
    index = index_path(tmp_path / "shard-00001.tar")
    index.write_bytes(index.read_bytes()[:end])
    with pytest.raises(
        OpenAlignError, match=r"shard-00001\.index\.parquet cannot be read as an index .*delete it"
    ) as error:
        open_pairs(tmp_path)
    assert "\n" not in str(error.value)
    index.unlink()
    assert len(open_pairs(tmp_path)) == 8


def test_of_a_lone_sample_cut_off_an_image_with_its_text_is_enough(tmp_path: Path) -> None:
    write(tmp_path, 1)
    tar = tmp_path / "shard-00000.tar"
    cut(tar, 2400)
    problems: list[str] = []
    assert read_index(tar, problems)["text"].to_pylist() == ["a text, número 0"]
    assert len(problems) == 1


def test_a_shard_cut_off_behind_a_whole_one_leaves_the_rest_and_a_sentence(tmp_path: Path) -> None:
    write(tmp_path, 6, samples_per_shard=3)
    cut(tmp_path / "shard-00001.tar", 8 * 512 + 100)
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == [f"a text, número {i}" for i in range(len(pairs))]
    assert len(pairs) == 4
    assert "shard-00001.tar is cut off or damaged after 1 samples" in pairs.problems[0]


def test_the_index_keeps_a_digest_of_each_stored_image(tmp_path: Path) -> None:
    write(tmp_path, 1)
    expected = hashlib.blake2b(JPEG + bytes([0]), digest_size=16).digest()
    assert pq.read_table(index_path(tmp_path / "shard-00000.tar"))["image_digest"].to_pylist() == [expected]


@settings(max_examples=15, deadline=None)
@given(rows=st.lists(st.integers(0, 59), min_size=40, max_size=200), most_open=st.integers(1, 3))
def test_many_threads_read_what_was_written_with_few_tars_open(
    tmp_path_factory: pytest.TempPathFactory, rows: list[int], most_open: int
) -> None:
    folder = tmp_path_factory.getbasetemp() / "sixty"
    if not folder.exists():
        write(folder, 60, samples_per_shard=3)
    tars = sorted(folder.glob("*.tar"))
    images = ShardImages.of(tars, [read_index(tar) for tar in tars])
    images._files = OpenFiles(most_open)
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(images.image_bytes, rows * 5)) == [JPEG + bytes([row]) for row in rows * 5]


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
def test_a_disk_that_takes_no_more_is_a_sentence_and_leaves_only_whole_shards(
    tmp_path: Path, samples_per_shard: int
) -> None:
    with (
        files_of_at_most(1 << 20),
        pytest.raises(OpenAlignError, match=r"shard-0000\d\.tar cannot be written: File too large"),
        ShardWriter(tmp_path, samples_per_shard) as writer,
    ):
        for i in range(6):
            writer.write(f"{i}", bytes([i]) * (300_000 if i < 3 else 400_000), "text", {})
    left = ["shard-00000.index.parquet", "shard-00000.tar"] if samples_per_shard == 3 else []
    assert sorted(file.name for file in tmp_path.iterdir()) == left


def test_two_writers_at_once_leave_whole_shards(tmp_path: Path) -> None:
    with ShardWriter(tmp_path) as one, ShardWriter(tmp_path) as other:
        for i in range(4):
            one.write(f"{i}", JPEG + bytes([i]), "one", {})
            other.write(f"{i}", JPEG + bytes([i]), "other", {})
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == ["one"] * 4
    assert [pairs.image_bytes(row) for row in range(4)] == [JPEG + bytes([i]) for i in range(4)]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_shard_is_forced_to_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, bool]] = []
    tar = tmp_path / "shard-00000.tar"
    monkeypatch.setattr(writer, "sync", lambda path: seen.append((path.suffix, tar.exists())))
    write(tmp_path, 1)
    assert seen == [(".tar", False), ("", True)]


def test_what_a_killed_run_left_is_no_shard(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / ".shard-00003.0123456789ab.partial.tar").write_bytes((tmp_path / "shard-00000.tar").read_bytes())
    assert len(open_pairs(tmp_path)) == 8
    assert len(open_pairs(f"local://{tmp_path}")) == 8


def test_shards_written_anew_under_pairs_that_are_open_are_not_read_at_the_old_offsets(tmp_path: Path) -> None:
    write(tmp_path)
    pairs = open_pairs(tmp_path)
    images = [pairs.image_bytes(row) for row in range(3)]
    with ShardWriter(tmp_path, 3) as writer:
        for i in range(8):
            writer.write(f"{i}", JPEG + b"another one" * i, "text", {})
    assert [pairs.image_bytes(row) for row in range(3)] == images  # of a tar that is held open
    for row in range(3, 8):
        with pytest.raises(
            OpenAlignError, match=r"shard-0000\d\.tar was changed or replaced since its folder was opened"
        ):
            pairs.image_bytes(row)


@pytest.mark.parametrize("kind", ["folder", "link loop"])
def test_a_tar_that_is_no_file_is_named_and_not_its_index(tmp_path: Path, kind: str) -> None:
    write(tmp_path)
    tar = tmp_path / "shard-00000.tar"
    tar.unlink()
    if kind == "folder":
        tar.mkdir()
    else:
        tar.symlink_to(tar.name)
    with pytest.raises(
        OpenAlignError, match=r"shard-00000\.tar cannot be read as a shard \((it is no|Too many)"
    ) as raised:
        read_index(tar)
    assert "delete" not in str(raised.value)
