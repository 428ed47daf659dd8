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
    """Whether a quotation mark neither opens nor closes a field, nor stands beside another, or their number is odd.

    Where none does, marks can still be unbalanced, but then a strict parser finds a field with a line end in it.
    """
    ends = np.zeros(256, np.bool_)
    ends[[ord(delimiter), ord("\n"), ord("\r"), ord('"')]] = True
    before, number = b"\n", 0
    for block in blocks:
        if b'"' not in block and b'"' not in before:
            before = block[-2:]
            continue
        bytes_N = np.frombuffer(before + block, np.uint8)
        places = np.flatnonzero(bytes_N[1:-1] == ord('"')) + 1
        if not np.all(ends[bytes_N[places - 1]] | ends[bytes_N[places + 1]]):
            return True
        number += len(places)
        before = bytes(bytes_N[-2:])
    return (number + before.endswith(b'"')) % 2 == 1


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
            if b'"' not in line or not is_whole:
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
    def _enclosed(self) -> re.Pattern[bytes]:
        """A field that its marks enclose, with inner ones doubled, or with backslashes before them."""
        end = rb"(?=" + re.escape(self._separator) + rb"|\Z)"
        return re.compile(rb'"(?:[^"]|"")*+"' + end + rb'|"(?:[^"\\]|\\.)*+"' + end, re.DOTALL)

    def _split(self, content: bytes, place: int = 0) -> _Split:
        fields, literal, start = list[bytes](), None, 0
        while True:
            enclosed = self._enclosed.match(content, place)
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
        readings = [split.fields]
        if split.literal is None:
            if b'\\"' not in content and (len(split.fields) == self.width or len(plain) != self.width):
                return content
        else:
            readings.append([*split.fields[: split.literal], content[split.start :]])
        readings.append(plain)
        fields = next((fields for fields in readings if len(fields) == self.width), split.fields)
        return self._separator.join([self._strict(field) for field in fields])

    def _strict(self, field: bytes) -> bytes:
        if not field.startswith(b'"') and self._separator not in field:
            return field
        if (enclosed := self._enclosed.fullmatch(field)) is None:
            return b'"' + field.replace(b'"', b'""') + b'"'
        inner = enclosed[0][1:-1]
        if b'\\"' not in inner or b'""' in inner:
            return field
        return b'"' + re.sub(rb"\\(.)", rb"\1", inner, flags=re.DOTALL).replace(b'"', b'""') + b'"'


def _without_end(line: bytes) -> tuple[bytes, bytes]:
    content = line.rstrip(b"\r\n")
    return content, line[len(content) :]
