"""Why a file cannot be read, in plain words: by its first bytes, or by what a library raised."""

import json
import re
from pathlib import Path

from openalign.errors import OpenAlignError

_CONTENTS = (
    (rb"version https://git-lfs\.github\.com/", "it is a Git LFS pointer, not the file itself: run `git lfs pull`"),
    (
        rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html)\b",
        "it is an HTML page, as servers send for errors",
    ),
    (rb"PK\x03\x04", "it is a ZIP archive or an Excel file: unpack it, or export it as CSV"),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "it is an Excel file: export it as CSV"),
    (rb"SQLite format 3\0", "it is an SQLite database: export its table as CSV"),
    (rb"\x89PNG\r\n|\xff\xd8\xff|GIF8|RIFF....WEBP", "it is an image"),
    (rb"ARROW1\0\0|FEA1|\xff\xff\xff\xff.{4}\x10\0\0\0", "it is an Arrow or Feather file: write it as Parquet"),
    (rb"\x80[\x02-\x05]", "it is a pickle, which may run any code when it is read: write it as Parquet"),
    (rb"\x93NUMPY", "it is a NumPy array: write the images as files"),
    (rb"\x89HDF\r\n", "it is an HDF5 file: write its images as files, or as a column of Parquet"),
    (rb"7z\xbc\xaf\x27\x1c|Rar!", "it is an archive: unpack it"),
)
_PACKED = (
    (rb"\x1f\x8b", "gzip", ".gz"),
    (rb"BZh[1-9]", "bzip2", ".bz2"),
    (rb"\x28\xb5\x2f\xfd", "zstd", ".zst"),
    (rb"\xfd7zXZ\0", "xz", ""),
)
"""How packed files begin, and the suffix by which tables of this kind are known."""
_REASONS = (
    (r"truncated compressed stream|compressed file ended before|premature end|unexpected end", "it is cut off"),
    (
        r"incorrect header check|no magic header|unknown frame descriptor|not a gzipped",
        "it, or what follows its end, is not packed as its name says",
    ),
    (
        r"incorrect data check|(?:inflate|decompress) failed|decompression error|corrupt \w+ compressed",
        "its compressed bytes are damaged",
    ),
    (r"magic bytes not found|file size is \d+ bytes, smaller than the minimum", "it is cut off, or no Parquet file"),
    (r"footer|base64|thrift|tprotocol|deserialize", "its footer is damaged"),
    (r"encrypted", "it is encrypted"),
    (r"empty csv file", "it is empty"),
    (r"^truncated header", "it is cut off, or no tar"),
    (r"^(?:invalid|bad) (?:header|checksum)", "it is no tar, or damaged"),
    (r"^empty (?:file|header)", "it is empty"),
    (r"utf-?8' codec|not valid utf-?8|invalid utf-?8", "it is not UTF-8"),
)
_HEAD_BYTES = 512


def what_it_is(start: bytes) -> str:
    """What a file is by its first bytes, if that is no text, table or tar at all; else ""."""
    head = start[:_HEAD_BYTES]
    return next((what for begins, what in _CONTENTS if re.match(begins, head, re.IGNORECASE | re.DOTALL)), "")


def packed_unnamed(path: object, start: bytes) -> str:
    """That a file is packed, if its name does not say so or says it of a kind that is not read; else ""."""
    for begins, kind, suffix in _PACKED:
        if re.match(begins, start) and not (suffix and str(path).lower().endswith(suffix)):
            return f"it is packed with {kind}: unpack it" + (f", or call it {suffix}" if suffix else "")
    return ""


def start_of(file: object) -> bytes:
    """The first bytes of a local file; none of anything else."""
    try:
        if not isinstance(file, Path) or not file.is_file():
            return b""
        with file.open("rb") as stream:
            return stream.read(_HEAD_BYTES)
    except OSError:
        return b""


def reason_of(error: BaseException, start: bytes = b"") -> str:
    """Why a file with these first bytes cannot be read; what the library says where that is not known."""
    if what := what_it_is(start):
        return what
    if isinstance(error, OpenAlignError) or type(error) is ValueError:
        return str(error)  # one of ours
    if isinstance(error, json.JSONDecodeError):
        return _reason_of_json(error)
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    text = getattr(error, "strerror", None) or str(error).partition("\n")[0] or type(error).__name__
    return next((plain for pattern, plain in _REASONS if re.search(pattern, text, re.IGNORECASE)), text)


def _reason_of_json(error: json.JSONDecodeError) -> str:
    if not error.doc.strip():
        return "it is empty"
    if error.pos >= len(error.doc.rstrip()):
        return f"it is cut off in line {error.lineno}"
    return f"it is no JSON from line {error.lineno}, character {error.colno} on"
