"""Quotation marks in delimited text (CSV, TSV) that do not enclose a field, made plain characters.

In a strict CSV (RFC 4180) a field that begins with a quotation mark ends with one, and may span lines. Captions often
begin with one that nothing closes, or that closes too early (`"Blue" door`): a parser then takes the following rows for
the rest of the caption, or drops the marks, without an error. Here each such record is judged by itself.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np

_MOST_LINES = 1000
_MOST_BYTES = 1 << 20
"""A field spans at most this many lines and bytes; a mark that is not closed by then encloses nothing."""
_OPEN = re.compile(rb'"(?:[^"]|"")*+\Z')
"""A field whose mark is not closed in its line."""
_CLOSED = re.compile(rb'(?:[^"]|"")*+"')
"""The continuation of a field, up to the mark that closes it."""

Line = tuple[int, bytes, bool]
"""The number of a line from 1, its bytes with the line end, and whether it is complete."""


def has_stray_quotes(blocks: Iterable[bytes], delimiter: str) -> bool:
    """Whether some quotation marks cannot be those of a strict CSV by what stands beside them.

    Where none can be told so, marks can still be unbalanced, but then a strict parser finds a field with a line end.
    """
    ends = np.zeros(256, np.bool_)
    ends[[ord(delimiter), ord("\n"), ord("\r")]] = True
    before, number = b"\n", 0
    for block in chain(blocks, [b"\n"]):
        data = before + block
        whole = len(data.rstrip(b'"'))
        before = data[whole - 1 :]
        if data.find(b'"', 0, whole) < 0:
            continue
        bytes_N = np.frombuffer(data, np.uint8, whole)
        marks = np.flatnonzero(bytes_N == ord('"'))
        number += len(marks)
        firsts = np.flatnonzero(np.diff(marks, prepend=-2) != 1)
        lasts = np.append(firsts[1:] - 1, len(marks) - 1)
        is_even = (lasts - firsts) % 2 == 1
        starts, closes = ends[bytes_N[marks[firsts] - 1]], ends[bytes_N[marks[lasts] + 1]]
        # One mark (and doubled ones) at an end of a field; only doubled ones within, unless the field is empty.
        if np.any(np.where(starts & closes, False, is_even == (starts | closes))):
            return True
    return number % 2 == 1


@dataclass(frozen=True)
class _Split:
    """A line split into fields, as if no field went on in the next line."""

    fields: list[bytes]
    literal: int | None
    """The first field that begins with a mark that does not enclose it."""
    start: int
    """Where that field begins."""
    is_open: bool
    """Whether its mark is not closed in this line."""


@dataclass(frozen=True)
class QuoteRepair:
    """Rewrites lines so that each quotation mark that encloses no field is escaped, as a strict parser needs it."""

    delimiter: str
    width: int
    """Fields of a row."""
    looks_like_row: Callable[[list[bytes], list[bytes]], bool]
    """Whether the fields of a line, as many as a row has, are those of a row, given those of the line before."""

    def lines(self, lines: Iterable[Line], changed: list[int]) -> Iterator[bytes]:
        """Yield each line, rewritten where needed; the numbers of these are added to `changed`."""
        ahead = deque[Line]()
        rest = iter(lines)
        while ahead or (following := next(rest, None)) is not None:
            number, line, is_whole = ahead.popleft() if ahead else following  # type: ignore[misc]
            if b'"' not in line or not is_whole or self._strict_row.fullmatch(line):
                yield line
                continue
            content, end = _without_end(line)
            split = self._split(content)
            if split.is_open and (spanned := self._spanned(split, ahead, rest)):
                yield line
                yield from [ahead.popleft()[1] for _ in range(spanned)]
                continue
            written = self._written(content, split)
            if written != content:
                changed.append(number)
            yield written + end

    @cached_property
    def _separator(self) -> bytes:
        return self.delimiter.encode()

    @cached_property
    def _strict_row(self) -> re.Pattern[bytes]:
        """A line that is a row by itself: most are, and this is ten times as fast as `_split`."""
        other = b"[^" + re.escape(self._separator) + rb"\r\n]"
        field = rb'(?:"(?:[^"]|"")*+"|(?!")' + other + b"*+)"
        return re.compile(field + b"(?:" + re.escape(self._separator) + field + b"){%d}\\r?\\n?" % (self.width - 1))

    @cached_property
    def _enclosed(self) -> re.Pattern[bytes]:
        """A field that its marks enclose, with inner ones doubled."""
        return re.compile(rb'"(?:[^"]|"")*+"(?=' + re.escape(self._separator) + rb"|\Z)")

    @cached_property
    def _escaped(self) -> re.Pattern[bytes]:
        """A field that its marks enclose, with inner ones behind backslashes, as Spark and MySQL write them."""
        return re.compile(rb'"(?:[^"\\]|\\.)*+"(?=' + re.escape(self._separator) + rb"|\Z)", re.DOTALL)

    def _split(self, content: bytes, place: int = 0, *, escaped: bool = False) -> _Split:
        fields, literal, start = list[bytes](), None, 0
        pattern = self._escaped if escaped else self._enclosed
        while True:
            enclosed = pattern.match(content, place)
            end = enclosed.end() if enclosed else content.find(self._separator, place)
            end = len(content) if end < 0 else end
            if literal is None and not enclosed and content.startswith(b'"', place):
                literal, start = len(fields), place
            fields.append(content[place:end])
            if end >= len(content):
                is_open = literal is not None and _OPEN.match(content, start) is not None
                return _Split(fields, literal, start, is_open)
            place = end + 1

    def _spanned(self, split: _Split, ahead: deque[Line], rest: Iterator[Line]) -> int:
        """How many further lines a record spans whose last field is open; 0 if nothing closes it, or rows follow."""
        size = 0
        for spanned in range(1, _MOST_LINES + 1):
            if len(ahead) < spanned:
                if (line := next(rest, None)) is None:
                    return 0
                ahead.append(line)
            content, _ = _without_end(ahead[spanned - 1][1])
            size += len(content)
            plain = content.split(self._separator)
            if size > _MOST_BYTES or (len(plain) == self.width and self.looks_like_row(plain, split.fields)):
                return 0
            if closed := _CLOSED.match(content):
                if not content.startswith(self._separator, closed.end()) and closed.end() < len(content):
                    return 0
                if not self._split(content, closed.end() + 1).is_open:
                    return spanned
        return 0

    def _written(self, content: bytes, split: _Split) -> bytes:
        """The line with its fields as they are meant, each as a strict parser reads it."""
        plain = content.split(self._separator)
        readings = [split.fields, plain]
        if split.literal is None:
            if len(split.fields) == self.width or len(plain) != self.width:
                return content
        else:
            readings.insert(1, [*split.fields[: split.literal], content[split.start :]])
            if b'\\"' in content and (escaped := self._split(content, escaped=True)).literal is None:
                readings.insert(0, escaped.fields)
        fields = next((fields for fields in readings if len(fields) == self.width), split.fields)
        return self._separator.join([self._strict(field) for field in fields])

    def _strict(self, field: bytes) -> bytes:
        if self._enclosed.fullmatch(field) or not (field.startswith(b'"') or self._separator in field):
            return field
        if b'\\"' in field and self._escaped.fullmatch(field):
            field = re.sub(rb"\\(.)", rb"\1", field[1:-1], flags=re.DOTALL)
        return b'"' + field.replace(b'"', b'""') + b'"'


def _without_end(line: bytes) -> tuple[bytes, bytes]:
    content = line.rstrip(b"\r\n")
    return content, line[len(content) :]
