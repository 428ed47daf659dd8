"""The index of a shard finds every image, with or without a sidecar, also in truncated and foreign tars."""

import io
import json
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from openalign.data.left_out import counted
from openalign.data.pairs.open import open_pairs
from openalign.data.shards.index import index_path, read_index
from openalign.data.shards.reader import ShardImages
from openalign.data.shards.writer import ShardWriter
from openalign.errors import OpenAlignError
from tests.data.shards.written import JPEG, write


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
    assert [table.drop_columns(["image_member"]).to_pylist() for table in rebuilt] == [
        table.drop_columns(["image_digest"]).to_pylist() for table in stored
    ]
    assert rebuilt[1]["image_member"].to_pylist() == [f"{i:09d}.jpg" for i in (3, 4, 5)]


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


def test_texts_in_another_encoding_are_recoded_with_a_note(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "00000.tar", "w") as tar:
        for name, data in (("7.jpg", JPEG), ("7.txt", "café".encode("latin-1")), ("8.jpg", JPEG), ("8.txt", b"a cat")):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    problems: list[str] = []
    assert read_index(tmp_path / "00000.tar", problems)["text"].to_pylist() == ["café", "a cat"]
    assert problems == [f"{tmp_path}/00000.tar: 1 texts are not UTF-8, and are read as cp1252"]
    assert not counted(problems)


def test_a_truncated_tar_is_named(tmp_path: Path) -> None:
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
def test_a_truncated_tar_gives_its_complete_samples(tmp_path: Path, end: int) -> None:
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
    assert rows.drop_columns(["image_member"]).to_pylist() == before.drop_columns(["image_digest"]).to_pylist()[:whole]
    assert [f"{tar} is cut off or damaged after {whole} samples" in problem for problem in problems] == [True]
    assert counted(problems) == {"samples lost where a file is cut off": 1}


def test_a_tar_that_ends_between_two_samples_is_truncated_too(tmp_path: Path) -> None:
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


def test_in_a_truncated_tar_of_one_sample_an_image_with_its_text_is_enough(tmp_path: Path) -> None:
    write(tmp_path, 1)
    tar = tmp_path / "shard-00000.tar"
    cut(tar, 2400)
    problems: list[str] = []
    assert read_index(tar, problems)["text"].to_pylist() == ["a text, número 0"]
    assert len(problems) == 1


def test_a_truncated_shard_after_a_complete_one_leaves_the_rest_and_a_problem(tmp_path: Path) -> None:
    write(tmp_path, 6, samples_per_shard=3)
    cut(tmp_path / "shard-00001.tar", 8 * 512 + 100)
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == [f"a text, número {i}" for i in range(len(pairs))]
    assert len(pairs) == 4
    assert "shard-00001.tar is cut off or damaged after 1 samples" in pairs.problems[0]


@pytest.mark.parametrize("kind", ["folder", "link loop"])
def test_a_tar_that_is_not_a_file_is_named_and_not_its_index(tmp_path: Path, kind: str) -> None:
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
