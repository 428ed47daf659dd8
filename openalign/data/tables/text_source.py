"""The bytes of a table in text (CSV, JSON Lines): unpacked up to a limit, in UTF-8, without lines that are no use."""

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from openalign.data.files import remote
from openalign.data.files.charset import decode_detected, decode_marked
from openalign.errors import OpenAlignError

MOST_LINE_BYTES = 64 << 20
"""A longer line is left out: memory would be spent on it."""
MOST_UNPACKED = 200
"""How many times its own size a compressed table may have when it is unpacked; tables of texts have 3 to 20 times."""
UNPACKED_ANYWAY = 256 << 20
"""Bytes that any compressed table may unpack to."""
_BLOCK_BYTES = 1 << 20
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_NOT_STRUCTURE = re.compile(rb'[^,;|\t"\r\n]+')


@dataclass(frozen=True)
class TableSource:
    """A table's file, or its content where that was fetched or is now in another encoding."""

    path: Path | str
    content: bytes | None = None
    packed: bool = False
    """Whether the file or content is compressed (gzip)."""
    in_utf8: bool = False
    """Whether the encoding is settled, so that what is not UTF-8 is the fault of its line."""

    @classmethod
    def of(cls, path: Path | str) -> "TableSource":
        """The table at a path, or fetched from an address.

        Raises `OpenAlignError` if it unpacks to too many bytes.
        """
        packed = str(path).lower().endswith(".gz")
        if isinstance(path, Path):
            source = cls(path, packed=packed)
        else:
            with remote.opened(path) as stream:
                source = cls(path, stream.read(), packed)
        if packed:
            source._check_unpacked()
        return source

    def is_empty(self) -> bool:
        return self._size() == 0

    def stream(self) -> pa.NativeFile:
        stored = pa.OSFile(str(self.path)) if self.content is None else pa.BufferReader(self.content)
        return pa.CompressedInputStream(stored, "gzip") if self.packed else stored

    def lines(self) -> Iterator[tuple[int, bytes, bool]]:
        """Yield number (from 1), bytes with the line end, and whether it is whole, of each line.

        Of a line of more than `MOST_LINE_BYTES` come the separators and quotation marks, without what they enclose.
        """
        number, parts, size, cut = 1, list[bytes](), 0, False
        with self.stream() as stream:
            while block := stream.read(_BLOCK_BYTES):
                for piece in _at_newlines(block):
                    parts.append(piece)
                    size += len(piece)
                    if size > MOST_LINE_BYTES:
                        cut, parts = True, [_NOT_STRUCTURE.sub(b"x", b"".join(parts))]
                        size = len(parts[0])
                        if size > MOST_LINE_BYTES // 2:
                            raise OpenAlignError(f"{self.path} line {number} has more than {_megabytes()}: remove it")
                    if piece.endswith(b"\n"):
                        yield number, _whole(parts, cut), not cut
                        number, parts, size, cut = number + 1, [], 0, False
        if parts:
            yield number, _whole(parts, cut), not cut

    def settled(self) -> tuple["TableSource", list[str]]:
        """The same in UTF-8, if the whole file is in another encoding, and what there is to say of that."""
        good = bad = 0
        start = b""
        for number, line, _ in self.lines():
            start = line[:2] if number == 1 else start
            if not line.isascii():
                is_good = is_utf8(line)
                good, bad = good + is_good, bad + (not is_good)
        if bad == 0 or (good > bad and start not in _UTF16):  # a few bad lines do not make another encoding
            return replace(self, in_utf8=True), []
        with self.stream() as stream:
            data: bytes = stream.read()
        found = decode_marked(data) or decode_detected(data)
        if found is None:
            return replace(self, in_utf8=True), []
        text, charset = found
        sentence = f"{self.path} is not UTF-8, and is read as {charset}: save it as UTF-8 if that is wrong"
        return TableSource(self.path, text.encode("utf-8", errors="replace"), in_utf8=True), [sentence]

    def marked(self, problems: list[str]) -> tuple["TableSource", str]:
        """The same with every line readable, and the mark that stands in those whose row is to be left out.

        Lines are not simply taken out: a row may go over several, and only its parser knows which they are.
        """
        mark = f"\ufdd0{secrets.token_hex(8)}\ufdd0"  # U+FDD0 stands for no character
        found = bytearray()
        for number, line, is_whole in self.lines():
            if is_whole and (line.isascii() or is_utf8(line)):
                found += line
                continue
            reason = "is not UTF-8" if is_whole else f"has more than {_megabytes()}"
            problems.append(f"{self.path} line {number} {reason}, and its row is left out")
            text = line.decode(errors="replace")
            words = text.rstrip("\r\n")
            found += (words + mark + text[len(words) :]).encode()
        return TableSource(self.path, bytes(found), in_utf8=True), mark

    def _check_unpacked(self) -> None:
        stored, unpacked = self._size(), 0
        with self.stream() as stream:
            while block := stream.read(_BLOCK_BYTES):
                unpacked += len(block)
                try:
                    check_unpacked(unpacked, stored)
                except ValueError as error:
                    raise OpenAlignError(
                        f"{self.path} is not read: {error}; unpack it yourself if it is right"
                    ) from None

    def _size(self) -> int:
        return Path(self.path).stat().st_size if self.content is None else len(self.content)


def check_unpacked(unpacked: int, stored: int) -> None:
    """Raise `ValueError` if a file of `stored` bytes has so many when it is unpacked that it is made to fill memory."""
    most = max(UNPACKED_ANYWAY, MOST_UNPACKED * stored)
    if unpacked > most:
        raise ValueError(f"its {stored:,} bytes unpack to more than {most:,}")


def _whole(parts: list[bytes], cut: bool) -> bytes:
    line = b"".join(parts)
    return _NOT_STRUCTURE.sub(b"x", line) if cut else line


def _at_newlines(block: bytes) -> list[bytes]:
    pieces = [piece + b"\n" for piece in block.split(b"\n")]
    last = pieces.pop()[:-1]
    return [*pieces, last] if last else pieces


def _megabytes() -> str:
    return f"{MOST_LINE_BYTES >> 20} MB"


def is_utf8(line: bytes) -> bool:
    """Whether these bytes are text in UTF-8."""
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
