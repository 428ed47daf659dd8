"""The bytes of a text table (CSV, JSON Lines): decompressed up to a limit, in UTF-8, unusable lines marked."""

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from openalign.data.files import remote
from openalign.data.files.charset import decode_detected, decode_marked, utf16_without_mark
from openalign.data.files.damage import start_of
from openalign.data.left_out import Kind, listing
from openalign.errors import OpenAlignError

MOST_LINE_BYTES = 64 << 20
"""Longer lines are left out, since lines are held in memory."""
MOST_UNPACKED = 200
"""Largest compression ratio that is accepted; tables of texts have 3 to 20."""
UNPACKED_ANYWAY = 256 << 20
"""Bytes that any compressed table may decompress to, whatever its ratio."""
_BLOCK_BYTES = 1 << 20
_BYTES_OF_START = 4096
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_BAD_FOR_EACH_GOOD = 5
"""A file with more lines that are not UTF-8 than this, for each with letters beyond ASCII that is, is not UTF-8."""
_CLOSING_MARK = re.compile(r'[^,;|\t]"\Z')
_SEPARATOR_LINE = re.compile(rb'(?:\xef\xbb\xbf)?"?sep=([^\w\s"]|\t)\1*"?[ \t]*(?:\r\n|\r|\n)', re.IGNORECASE)
"""The line `sep=;` before the header, which tells Excel the delimiter."""
_NOT_STRUCTURE = re.compile(rb'[^,;|\t"\r\n]+')


@dataclass(frozen=True)
class TableSource:
    """The file of a table, or its content if it was fetched or re-encoded."""

    path: Path | str
    content: bytes | None = None
    packing: str | None = None
    """pyarrow's name of the codec that the file or content is compressed with."""
    in_utf8: bool = False
    """Whether the file is known to be UTF-8, so that a line that is not is at fault itself."""
    separator: str | None = None
    """The delimiter that the file states itself."""
    skipped: int = 0
    """Bytes at the start, decompressed, that are lines of their own and no part of the table."""
    skipped_lines: int = 0
    """Lines in these."""

    @classmethod
    def of(cls, path: Path | str, packing: str | None = None) -> "TableSource":
        """The table at a path, or fetched from a URL.

        Raises `OpenAlignError` if it decompresses to too many bytes.
        """
        if isinstance(path, Path):
            source = cls(path, packing=packing)
        else:
            with remote.opened(path) as stream:
                source = cls(path, stream.read(), packing)
        if packing:
            source._check_unpacked()
        return source

    def is_empty(self) -> bool:
        return self._size() == 0

    def stream(self) -> pa.NativeFile:
        """The decompressed bytes from the start."""
        stored = pa.OSFile(str(self.path)) if self.content is None else pa.BufferReader(self.content)
        stream = pa.CompressedInputStream(stored, self.packing) if self.packing else stored
        if self.skipped:
            stream.read(self.skipped)
        return stream

    def after_separator_line(self) -> "TableSource":
        """The same source without the line `sep=;` that files for Excel begin with, but with the delimiter it tells."""
        found = _SEPARATOR_LINE.match(self.start(_BYTES_OF_START))
        return self if found is None else replace(self, separator=found[1].decode()).after(found[0], 1)

    def after(self, start: bytes, lines: int) -> "TableSource":
        """The same source without these first bytes, which are so many lines."""
        return replace(self, skipped=self.skipped + len(start), skipped_lines=self.skipped_lines + lines)

    def start(self, size: int = _BLOCK_BYTES) -> bytes:
        """The first bytes, decompressed."""
        with self.stream() as stream:
            found: bytes = stream.read(size)
        return found

    def stored_start(self) -> bytes:
        """The first bytes as they are stored."""
        return start_of(self.path) if self.content is None else self.content[:_BYTES_OF_START]

    def is_utf16(self) -> bool:
        """Whether the first bytes are those of UTF-16."""
        start = self.start(_BYTES_OF_START)
        return start.startswith(_UTF16) or utf16_without_mark(start) is not None

    def lines(self) -> Iterator[tuple[int, bytes, bool]]:
        """Yield the number (from 1) of each line, its bytes with the line end, and whether it is complete.

        A line of more than `MOST_LINE_BYTES` is reduced to its separators and quotation marks.
        """
        number, pieces, size, cut = 1 + self.skipped_lines, list[bytes](), 0, False
        with self.stream() as stream:
            while block := stream.read(_BLOCK_BYTES):
                for piece in _at_newlines(block):
                    pieces.append(piece)
                    size += len(piece)
                    if size > MOST_LINE_BYTES:
                        cut, pieces = True, [_NOT_STRUCTURE.sub(b"x", b"".join(pieces))]
                        size = len(pieces[0])
                        if size > MOST_LINE_BYTES // 2:
                            raise OpenAlignError(f"{self.path} line {number} has more than {_megabytes()}: remove it")
                    if piece.endswith(b"\n"):
                        yield number, _joined(pieces, cut), not cut
                        number, pieces, size, cut = number + 1, [], 0, False
        if pieces:
            yield number, _joined(pieces, cut), not cut

    def converted_to_utf8(self) -> tuple["TableSource", list[str]]:
        """The same source, converted to UTF-8 if the whole file is in another encoding, and a note on that."""
        is_utf16 = self.is_utf16()
        if not is_utf16:
            lines = [is_utf8(line) for _, line, _ in self.lines() if not line.isascii()]
            bad = lines.count(False)
            # Text in another encoding is hardly ever valid UTF-8 by chance: some bad lines are bad lines.
            if bad == 0 or (len(lines) - bad) * _BAD_FOR_EACH_GOOD >= bad:
                return replace(self, in_utf8=True), []
        with self.stream() as stream:
            data: bytes = stream.read()
        found = decode_marked(data) or (_without_mark(data) if is_utf16 else decode_detected(data))
        if found is None:
            return replace(self, in_utf8=True), []
        text, charset = found
        note = f"{self.path} is not UTF-8, and is read as {charset}: save it as UTF-8 if that is wrong"
        return self._holding(text.encode("utf-8", errors="replace")), [note]

    def with_bad_lines_marked(self, problems: list[str]) -> tuple["TableSource", str]:
        """The same source with every line readable, and a mark that is put in those whose row is to be left out.

        Lines cannot simply be removed: a row may span several, and only the parser knows which.
        """
        mark = f"\ufdd0{secrets.token_hex(8)}\ufdd0"  # U+FDD0 is a noncharacter
        found = bytearray()
        with listing(problems, self.path) as left_out:
            for number, line, is_whole in self.lines():
                if is_whole and (line.isascii() or is_utf8(line)):
                    found += line
                    continue
                reason = "is not UTF-8" if is_whole else f"has more than {_megabytes()}"
                left_out.add(Kind.ROW_NOT_PARSED, f"{self.path} line {number} {reason}, and its row is left out")
                text = line.decode(errors="replace")
                content = text.rstrip("\r\n")
                place = len(content) - bool(_CLOSING_MARK.search(content))
                found += (text[:place] + mark + text[place:]).encode()
        return self._holding(bytes(found)), mark

    def _holding(self, content: bytes) -> "TableSource":
        return replace(self, content=content, packing=None, in_utf8=True, skipped=0)

    def _check_unpacked(self) -> None:
        stored, unpacked = self._size(), 0
        with self.stream() as stream:
            while block := stream.read(_BLOCK_BYTES):
                unpacked += len(block)
                try:
                    check_unpacked(unpacked, stored)
                except ValueError as error:
                    raise OpenAlignError(
                        f"{self.path} is not read: {error}; decompress it yourself if that is intended"
                    ) from None

    def _size(self) -> int:
        return Path(self.path).stat().st_size if self.content is None else len(self.content)


def check_unpacked(unpacked: int, stored: int) -> None:
    """Raise `ValueError` if `stored` bytes decompress to so many that they would fill the memory."""
    most = max(UNPACKED_ANYWAY, MOST_UNPACKED * stored)
    if unpacked > most:
        raise ValueError(f"its {stored:,} bytes decompress to more than {most:,}")


def _without_mark(data: bytes) -> tuple[str, str] | None:
    charset = utf16_without_mark(data[:_BYTES_OF_START])
    return (data.decode(charset, errors="replace"), charset) if charset else None


def _joined(pieces: list[bytes], cut: bool) -> bytes:
    line = b"".join(pieces)
    return _NOT_STRUCTURE.sub(b"x", line) if cut else line


def _at_newlines(block: bytes) -> list[bytes]:
    pieces = [piece + b"\n" for piece in block.split(b"\n")]
    last = pieces.pop()[:-1]
    return [*pieces, last] if last else pieces


def _megabytes() -> str:
    return f"{MOST_LINE_BYTES >> 20} MB"


def is_utf8(line: bytes) -> bool:
    """Whether these bytes are valid UTF-8."""
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
