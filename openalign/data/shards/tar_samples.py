"""Reading the samples out of a tar without an index: it may be truncated, damaged or malicious.

Consecutive members with the same key make a sample.
"""

import os
import tarfile
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO, Any, cast

from openalign.data.images.formats import IMAGE_SUFFIXES
from openalign.data.shards.sidecar import MAX_IMAGE_BYTES

MAX_TEXT_BYTES = 16 << 20
"""Longer texts and `.json` files of samples are left out, since they are read into memory."""
_MAX_HEADER_BYTES = 16 << 10
"""A longer header ends the scan: paths have at most 4,096 bytes, and `tarfile` needs quadratic time for a header."""
_METADATA = "_metadata"


@dataclass
class TarSamples:
    """The state and result of scanning a tar."""

    name: str
    stream: IO[bytes]
    size: int
    """Size of the tar in bytes."""
    problems: list[str]
    rows: list[dict[str, Any]] = field(default_factory=list)
    """One per sample: `key`, `text` (None if missing) and, for samples with such members, `image_offset` and
    `image_size`, and `_metadata`, the text of the `.json`."""
    suffixes: list[set[str]] = field(default_factory=list)
    """Suffixes of the members of each sample."""

    def drop_last(self) -> None:
        del self.rows[-1], self.suffixes[-1]


def samples_of(name: str, stream: IO[bytes], problems: list[str]) -> list[dict[str, Any]]:
    """The rows (see `TarSamples`) of the samples with an image; of a truncated tar, the complete samples.

    A text or `.json` that is not UTF-8 is left out and added to `problems`.
    Raises `tarfile.ReadError` if no sample is complete, `OSError` if the stream cannot be read.
    """
    found = TarSamples(name, stream, stream.seek(0, os.SEEK_END), problems)
    stream.seek(0)
    if _scan(found):
        if found.rows and (found.suffixes[-1] < found.suffixes[0] or found.rows[-1]["text"] is None):
            found.drop_last()  # truncated within a header of this sample
        if not found.rows:
            raise tarfile.ReadError("it is cut off or damaged within its first sample")
        problems.append(
            f"{name} is cut off or damaged after {len(found.rows):,} samples, which are used: fetch or write it again"
        )
    return [row for row in found.rows if "image_offset" in row]


class _Headers:
    """The stream that `tarfile` reads from; it refuses reads larger than a header.

    `tarfile` itself reads as many bytes as a header claims to have, even 2^60.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header claims to have {size:,} bytes")
        return _read(self._stream, size)


def _read(stream: IO[bytes], size: int) -> bytes:
    try:
        return stream.read(size)
    except Exception as error:  # each remote file system has exceptions of its own
        raise OSError(f"its bytes cannot be read: {error}") from None


def _scan(found: TarSamples) -> bool:
    """Add the samples of a tar; returns whether it is truncated, or damaged so that the rest cannot be found."""
    row: dict[str, Any] = {}
    try:
        opened = tarfile.open(fileobj=cast(IO[bytes], _Headers(found.stream)), mode="r:")  # noqa: SIM115 - the caller closes the stream
        while (member := opened.next()) is not None:
            if member.size < 0 or member.offset_data + member.size > found.size:
                if found.rows and _key_and_suffix(member.name)[0] == row.get("key"):
                    found.drop_last()
                return True
            if not member.isfile() or member.issparse():
                continue
            key, suffix = _key_and_suffix(member.name)
            if key != row.get("key"):
                row = {"key": key, "text": None}
                found.rows.append(row)
                found.suffixes.append(set())
            found.suffixes[-1].add(suffix)
            _add_member(member, row, suffix, found)
    except OSError:
        raise
    except Exception as error:  # tarfile raises most of the built-in exceptions on damaged headers
        if not found.rows:
            raise tarfile.ReadError(str(error) or type(error).__name__) from None
        return True
    found.stream.seek(opened.offset)
    return _read(found.stream, tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE)  # an empty block is the end of a tar


def _add_member(member: tarfile.TarInfo, row: dict[str, Any], suffix: str, found: TarSamples) -> None:
    """Add the content of a member to the row of its sample."""
    is_image = suffix in IMAGE_SUFFIXES
    if not is_image and suffix not in ("txt", "caption", "json"):
        return
    most = MAX_IMAGE_BYTES if is_image else MAX_TEXT_BYTES
    if member.size > most:
        found.problems.append(
            f"{found.name}: {member.name} has {member.size:,} bytes and is left out: at most {most:,} are read"
        )
    elif is_image:
        row |= {"image_offset": member.offset_data, "image_size": member.size}
    elif (text := _read_text(member, found)) is not None:
        row[_METADATA if suffix == "json" else "text"] = text


def _key_and_suffix(name: str) -> tuple[str, str]:
    """As WebDataset: the key ends at the first dot of the file name, and the rest is the suffix."""
    path = PurePosixPath(name)
    stem, _, suffix = path.name.partition(".")
    return str(path.with_name(stem)) if stem else name, suffix.lower()


def _read_text(member: tarfile.TarInfo, found: TarSamples) -> str | None:
    found.stream.seek(member.offset_data)
    try:
        return _read(found.stream, member.size).decode()
    except UnicodeDecodeError as error:
        found.problems.append(f"{found.name}: {member.name} is not UTF-8 at byte {error.start}, and is left out")
        return None
