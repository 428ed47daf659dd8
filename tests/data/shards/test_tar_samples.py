"""Untrusted tars without an index: complete samples are read, anything else is one error or problem."""

import io
import json
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openalign.data.left_out import counted
from openalign.data.pairs.open import open_pairs
from openalign.data.shards import tar_scan
from openalign.data.shards.index import IndexDamage, read_index
from openalign.errors import OpenAlignError

BLOCK = 512


def tar_of(path: Path, members: dict[str, bytes], format: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=format) as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def samples(count: int = 4, **fields: object) -> dict[str, bytes]:
    members = {}
    for i in range(count):
        members |= {f"{i}.jpg": bytes([i]) * 700, f"{i}.txt": f"text {i}".encode()}
        members |= {f"{i}.json": json.dumps({"width": i} | fields).encode()}
    return members


def with_header(path: Path, name: str, size: bytes, kind: bytes = tarfile.REGTYPE) -> Path:
    """The tar at `path` with the 12 bytes `size` as the size of its member `name`, and its checksum made right."""
    with tarfile.open(path) as tar:
        offset = tar.getmember(name).offset
    data = bytearray(path.read_bytes())
    header = data[offset : offset + BLOCK]
    header[124:136] = size.ljust(12, b"\0")
    header[156:157] = kind
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    data[offset : offset + BLOCK] = header
    path.write_bytes(data)
    return path


def binary(size: int) -> bytes:
    """A size as GNU tar writes those that need more than 11 octal digits, or are negative."""
    return (b"\xff" if size < 0 else b"\x80") + (size % 256**11).to_bytes(11, "big")


@pytest.mark.parametrize("size", [2**60, 2**40])
@pytest.mark.parametrize("name", ["2.jpg", "2.txt", "2.json"])
def test_a_member_that_claims_an_impossible_size_ends_the_samples_before_it(
    tmp_path: Path, size: int, name: str
) -> None:
    tar = with_header(tar_of(tmp_path / "a.tar", samples()), name, binary(size))
    problems: list[str] = []
    assert read_index(tar, problems)["key"].to_pylist() == ["0", "1"]
    assert problems == [f"{tar} is cut off or damaged after 2 samples, which are used: fetch or write it again"]


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE])
@pytest.mark.parametrize("name", ["0.jpg", "2.jpg"])
def test_a_header_that_claims_more_than_headers_need_is_not_read(tmp_path: Path, kind: bytes, name: str) -> None:
    tar = with_header(tar_of(tmp_path / "a.tar", samples()), name, binary(1 << 30), kind)
    problems: list[str] = []
    if name == "0.jpg":
        with pytest.raises(OpenAlignError, match=r"cannot be read as a shard \(.*claims to have 1,073,741,824 bytes"):
            read_index(tar, problems)
        return
    assert len(read_index(tar, problems)) == 2
    assert len(problems) == 1


def test_a_damaged_header_in_the_middle_is_not_the_end_of_the_tar(tmp_path: Path) -> None:
    tar = tar_of(tmp_path / "a.tar", samples())
    with tarfile.open(tar) as opened:
        offset = opened.getmember("2.jpg").offset
    with tar.open("r+b") as file:
        file.seek(offset)
        file.write(b"!")
    problems: list[str] = []
    assert len(read_index(tar, problems)) == 2
    assert "is cut off or damaged after 2 samples" in problems[0]


def test_a_text_or_an_image_that_is_too_large_is_left_out_and_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tar_scan, "MAX_TEXT_BYTES", 600)
    monkeypatch.setattr(tar_scan, "MAX_IMAGE_BYTES", 1000)
    members = samples() | {"1.json": b'{"page": "' + b"x" * 600 + b'"}', "2.txt": b"y" * 601, "3.jpg": bytes(1001)}
    tar = tar_of(tmp_path / "a.tar", members)
    problems: list[str] = []
    index = read_index(tar, problems)
    assert index["key"].to_pylist() == ["0", "1", "2"]
    assert index["text"].to_pylist() == ["text 0", "text 1", None]
    assert index["width"].to_pylist() == [0, None, 2]
    assert problems == [
        f"{tar}: 1.json has 612 bytes and is left out: at most 600 are read",
        f"{tar}: 2.txt has 601 bytes and is left out: at most 600 are read",
        f"{tar}: 3.jpg has 1,001 bytes and is left out: at most 1,000 are read",
    ]


@pytest.mark.parametrize(
    ("described", "reason"),
    [
        (b"[" * 100_000, "it is nested too deeply"),
        (b'{"a":' * 100_000, "it is nested too deeply"),
        (b"[1, 2]", "it is not an object"),
        (b'{"width": 1', "delimiter"),
        (b'{"width": 1' + b"0" * 5000 + b"}", "integer string conversion"),
    ],
)
def test_metadata_that_cannot_be_read_is_left_out_and_listed(tmp_path: Path, described: bytes, reason: str) -> None:
    tar = tar_of(tmp_path / "a.tar", samples() | {"1.json": described})
    pairs = open_pairs(tar)
    assert pairs.texts() == [f"text {i}" for i in range(4)]
    assert pairs.table["width"].to_pylist() == [0, None, 2, 3]
    [problem] = pairs.problems
    assert problem.startswith(f"{tar}: 1.json is left out: ")
    assert counted(pairs.problems) == {"metadata that cannot be read": 1}
    assert reason in problem


def test_a_text_or_json_that_is_no_text_costs_its_sample_alone(tmp_path: Path) -> None:
    binary = bytes(range(256))
    tar = tar_of(tmp_path / "a.tar", samples(10) | {"3.txt": binary, "5.json": binary, "7.txt": b"caf\xe9 noir"})
    pairs = open_pairs(tar)
    assert pairs.table["key"].to_pylist() == [str(i) for i in range(10) if i != 3]
    assert pairs.table["width"].to_pylist() == [0, 1, 2, 4, None, 6, 7, 8, 9]
    assert pairs.texts()[6] == "café noir"
    assert counted(pairs.problems) == {"texts that cannot be read": 1, "metadata that cannot be read": 1}
    assert f"{tar}: 3.txt is not text, and is left out" in pairs.problems
    assert len(open_pairs(tar, need_text=False)) == 10


def test_a_tar_that_cannot_be_read_is_left_out_beside_one_that_can(tmp_path: Path) -> None:
    tar_of(tmp_path / "b.tar", samples())
    (tmp_path / "a.tar").write_bytes(b"no tar" * 1000)
    pairs = open_pairs(tmp_path)
    assert [pairs.image_bytes(row)[0] for row in range(len(pairs))] == [0, 1, 2, 3]
    assert [problem.partition(" (")[0] for problem in pairs.problems] == [
        f"{tmp_path}/{name}.tar cannot be read as a shard" for name in "a"
    ]
    with pytest.raises(OpenAlignError, match=r"cannot be read as a shard"):
        open_pairs(tmp_path / "a.tar")
    (tmp_path / "b.tar").unlink()
    with pytest.raises(OpenAlignError, match=r"cannot be read as a shard"):
        open_pairs(tmp_path)


def test_a_damaged_index_ends_the_run_for_its_tar_is_good(tmp_path: Path) -> None:
    tar_of(tmp_path / "a.tar", samples())
    tar_of(tmp_path / "b.tar", samples())
    (tmp_path / "b.index.parquet").write_bytes(b"no index")
    with pytest.raises(IndexDamage, match=r"b\.index\.parquet cannot be read as an index .*: delete it"):
        open_pairs(tmp_path)


def test_numbers_and_texts_that_no_column_can_hold_are_kept_as_text(tmp_path: Path) -> None:
    members = samples() | {
        "1.json": b'{"width": 1e400, "page": "\\ud800!", "\\udfff": 1}',
        "2.json": b'{"width": 1%s}' % (b"0" * 30),
    }
    table = open_pairs(tar_of(tmp_path / "a.tar", members)).table
    assert table["page"].to_pylist() == [None, "\ufffd!", None, None]
    assert table["\ufffd"].to_pylist() == [None, 1, None, None]
    assert table["width"].to_pylist() == ["0", "inf", "1" + "0" * 30, "3"]


def test_a_name_that_is_not_utf8_is_read(tmp_path: Path) -> None:
    tar = tar_of(tmp_path / "a.tar", {"a\udcff.jpg": bytes(700), "a\udcff.txt": b"text"}, tarfile.GNU_FORMAT)
    assert open_pairs(tar).table["key"].to_pylist() == ["a\ufffd"]


def test_samples_may_not_have_any_number_of_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openalign.data.shards.rows._MOST_FIELDS", 9)
    wide = json.dumps({f"field {i}": i for i in range(5)}).encode()
    pairs = open_pairs(tar_of(tmp_path / "a.tar", samples() | {"2.json": wide}))
    assert pairs.table.column_names == ["image", "text", "key", "width"]
    assert "the fields of sample 2 are left out: the samples have more than 9 distinct fields" in pairs.problems[0]


def test_a_field_that_is_a_number_in_one_tar_and_a_text_in_another_is_text(tmp_path: Path) -> None:
    tar_of(tmp_path / "a.tar", samples(2, status=200))
    tar_of(tmp_path / "b.tar", samples(1, status="failed"))
    pairs = open_pairs(tmp_path)
    assert pairs.table["status"].to_pylist() == ["200", "200", "failed"]
    assert pairs.image_bytes(1) == bytes([1]) * 700


@given(
    changes=st.lists(st.tuples(st.integers(0, 16 * BLOCK), st.binary(min_size=1, max_size=12)), min_size=1, max_size=4),
    end=st.integers(0, 40 * BLOCK),
)
def test_damage_anywhere_in_a_tar_raises_nothing_but_our_error(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, bytes]], end: int
) -> None:
    tar = tar_of(tmp_path_factory.mktemp("damaged") / "a.tar", samples())
    data = bytearray(tar.read_bytes())
    for offset, other in changes:
        data[offset : offset + len(other)] = other
    tar.write_bytes(data[:end])
    try:
        pairs = open_pairs(tar)
        assert 1 <= len(pairs) <= 4
        for row in range(len(pairs)):
            pairs.image_bytes(row)
    except OpenAlignError as error:
        assert "\n" not in str(error)
