"""Damaged files of every kind are told of in plain words, never in those of a library."""

import base64
import bz2
import gzip
import json
import lzma
import pickle
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openalign.data.files.damage import reason_of, what_it_is
from openalign.data.images.header import ImageError, read_header
from openalign.data.pairs.open import open_pairs
from openalign.errors import OpenAlignError
from tests.data.pairs.folders import JPEG

ROWS = b"image,text\n" + b"".join(b"%d.jpg,the text of row %d\n" % (n, n * n) for n in range(500))
ZSTD = bytes(pa.compress(ROWS, codec="zstd", asbytes=True))
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4665a5ea423c\nsize 12345\n"
PAGE = b"\n<!DOCTYPE html>\n<html><head><title>404</title></head></html>\n"


def parquet() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"image": ["a.jpg"] * 900, "text": [f"text {n}" for n in range(900)]}), sink)
    return sink.getvalue().to_pybytes()


def arrow(as_file: bool) -> bytes:
    table, sink = pa.table({"image": ["a.jpg"], "text": ["one"]}), pa.BufferOutputStream()
    write = pa.ipc.new_file if as_file else pa.ipc.new_stream
    with write(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


STORED = parquet()
ARROW, STREAM = arrow(True), arrow(False)
LIBRARIES = re.compile(r"inflate|zlib|magic|char \d|thrift|snappy|Invalid|Expecting|descriptor|base64 data|\(\d")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("t.csv.gz", gzip.compress(ROWS)[:900], "it is cut off"),
        ("t.csv.bz2", bz2.compress(ROWS)[:300], "it is cut off"),
        ("t.csv.zst", ZSTD[: len(ZSTD) // 2], "it is cut off"),
        ("t.csv.gz", ROWS, "not packed as its name says"),
        ("t.jsonl.zst", ROWS, "not packed as its name says"),
        ("t.tsv.bz2", ROWS, "not packed as its name says"),
        ("t.csv.gz", gzip.compress(ROWS)[:-8] + b"12345678", "its compressed bytes are damaged"),
        ("t.parquet", STORED[: len(STORED) // 2], "it is cut off, or no Parquet file"),
        ("t.parquet", STORED[:-8] + b"\xff\xff\xff\x7fPAR1", "its footer is damaged"),
        ("t.parquet", POINTER, "it is a Git LFS pointer"),
        ("t.csv", POINTER, "it is a Git LFS pointer"),
        ("t.tar", POINTER, "it is a Git LFS pointer"),
        ("t.jsonl", PAGE, "it is an HTML page"),
        ("t.csv", b"PK\x03\x04" + bytes(500), "a ZIP archive or an Excel file"),
        ("t.csv", JPEG, "it is an image"),
        ("t.csv", gzip.compress(ROWS), "it is packed with gzip: unpack it, or call it .gz"),
        ("t.jsonl", bz2.compress(ROWS), "it is packed with bzip2: unpack it, or call it .bz2"),
        ("t.csv.xz", lzma.compress(ROWS), "it is packed with xz: unpack it"),
        ("t.feather", ARROW, "it is an Arrow or Feather file"),
        ("t.arrow", STREAM, "it is an Arrow or Feather file"),
        ("t.pkl", pickle.dumps({"image": ["a.jpg"]}), "it is a pickle"),
        ("t.npy", b"\x93NUMPY\1\0", "it is a NumPy array"),
        ("a.jpg", JPEG, "is one image: give its folder"),
        ("t.json", b'[{"image": "a.jpg", "text": "one"},', "it is cut off in line 1"),
        ("t.json", b'[{"image": "a.jpg",\n "text" "one"}]', "it is no JSON from line 2, character 9 on"),
        ("t.tar", bytes(300), "it is cut off, or no tar"),
    ],
)
def test_a_damaged_file_is_told_of_in_plain_words(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(OpenAlignError, match=re.escape(reason)) as error:
        open_pairs(tmp_path / name)
    assert str(tmp_path / name) in str(error.value) and not LIBRARIES.search(str(error.value))


@pytest.mark.parametrize(("cut", "reason"), [(slice(0, 101), "is cut off"), (slice(0, None), "has characters")])
def test_damaged_base64_is_told_of_in_plain_words(tmp_path: Path, cut: slice, reason: str) -> None:
    whole = base64.b64encode(JPEG).decode()
    damaged = whole[cut].rstrip("=") if reason == "is cut off" else f"{whole[:80]}@@{whole[82:]}"
    rows = [{"image": f"data:image/jpeg;base64,{each}", "text": "one"} for each in (whole, damaged)]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    pairs = open_pairs(tmp_path / "t.jsonl")
    assert len(pairs) == 1 and any(f"row 2: its base64 {reason}" in problem for problem in pairs.problems)


def test_an_image_that_was_not_fetched_from_git_lfs_says_so() -> None:
    with pytest.raises(ImageError, match="a Git LFS pointer, not the file itself: run `git lfs pull`"):
        read_header(POINTER)


def test_what_is_not_known_is_told_as_the_library_does() -> None:
    assert what_it_is(b"image,text\n") == what_it_is(b"") == ""
    assert reason_of(RuntimeError("nothing of the kind\nand more")) == "nothing of the kind"
    assert reason_of(OSError(13, "Permission denied")) == "Permission denied"
    assert reason_of(RuntimeError()) == "RuntimeError"
