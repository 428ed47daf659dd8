"""Tables of JSON Lines, parsed by pyarrow if it can read the file, else line by line."""

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.json

from openalign.data.files.text_source import MOST_LINE_BYTES, TableSource
from openalign.data.left_out import Kind, listing
from openalign.data.tables.columns import choose_columns
from openalign.data.tables.combine import table_of, with_utf8
from openalign.data.tables.plain_types import with_leaves
from openalign.errors import OpenAlignError

_MOST_NESTED = 200
"""Lists and objects within each other in a line; a line with more is left out."""
_NO_OPENING_BRACKET = bytes(set(range(256)) - set(b"[{\n"))
_MANY_BRACKETS = re.compile(rb"[\[{]{%d}" % (_MOST_NESTED + 1))
_NULL_LINE = re.compile(rb"\n[ \t\r\f\v]*null")
_LONGEST_BLANK = 256
"""Bytes of a block that are searched again with the next one."""
_BLOCK_BYTES = 1 << 20
_MOST_OVER_LINES = 1 << 30
"""Bytes of a file whose objects take several lines, which is read in one piece."""
_BETWEEN = re.compile(r"[\s,\x1e]*")
"""What may stand between two objects; U+001E in JSON text sequences (RFC 7464)."""
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""A string literal; the end of the line closes one that lacks its quotation mark, so each byte is scanned once."""


def read_json_lines(
    source: TableSource, image_column: str | None, text_column: str | None, problems: list[str]
) -> pa.Table:
    """Read a table of JSON objects, one per line, with their types; other lines are left out.

    The image and the text column stay strings. Half a surrogate pair becomes U+FFFD, and is noted in `problems`.
    Raises `OpenAlignError` if a named column does not exist.
    """
    if _could_crash(source):
        return _read_json_line_by_line(source, problems)
    try:
        table = _parse_json_lines(source, None)
    except pa.ArrowInvalid:
        return _read_json_line_by_line(source, problems)
    # pyarrow parses strings that look like timestamps as such, which is never meant in these columns.
    try:
        chosen = choose_columns(table.schema, image_column, text_column, need_text=False, where=str(source.path))
    except OpenAlignError:
        if image_column or text_column:
            raise
        return table  # the images are found by what the rows name, or whoever reads the table raises this
    named = [name for name in (chosen.image, chosen.text) if name]
    fields = [table.schema.field(name) for name in named if name in table.column_names]
    texts = pa.schema([(field.name, _without_times(field.type)) for field in fields])
    if any(field.type != _without_times(field.type) for field in fields):
        table = _parse_json_lines(source, texts)
    return table


def _without_times(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_temporal(kind) else with_leaves(kind, _without_times)


def _parse_json_lines(source: TableSource, schema: pa.Schema | None) -> pa.Table:
    options = pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="infer")
    with source.stream() as stream:
        table = pyarrow.json.read_json(stream, parse_options=options)
    table.validate(full=True)  # pyarrow itself accepts bytes that are not UTF-8
    return table


def _could_crash(source: TableSource) -> bool:
    """Whether a line could crash pyarrow's JSON reader: one nested deeply, or that begins with `null`."""
    opening, before = b"", b"\n"  # opening brackets of a line that started in the previous block; its end
    many = False
    with source.stream() as stream:
        while block := stream.read(_BLOCK_BYTES):
            start = before + block[:_LONGEST_BLANK]
            if (b"null" in block and _NULL_LINE.search(block)) or (b"null" in start and _NULL_LINE.search(start)):
                return True  # pyarrow 26 dies if it parses it first
            before = block[-_LONGEST_BLANK:] if len(block) >= _LONGEST_BLANK else (before + block)[-_LONGEST_BLANK:]
            opening += block.translate(None, _NO_OPENING_BRACKET)
            has_inner = b"[" in opening or b"{{" in opening  # most lines are one object of texts
            many = many or (has_inner and _MANY_BRACKETS.search(opening) is not None)
            opening = opening[opening.rfind(b"\n") + 1 :]
    # There may be many brackets that are side by side or within strings.
    return many and any(not is_whole or _depth(line) > _MOST_NESTED for _, line, is_whole in source.lines())


def _depth(line: bytes) -> int:
    """How deeply lists and objects of a line are nested; an upper bound if it is at most `_MOST_NESTED`."""
    opening = line.count(b"[") + line.count(b"{")
    if opening <= _MOST_NESTED:
        return opening
    marks = np.frombuffer(_STRING.sub(b"", line), np.uint8)
    opens, closes = (np.isin(marks, np.frombuffer(kind, np.uint8)) for kind in (b"[{", b"]}"))
    return int(np.cumsum(opens.astype(np.int64) - closes).max(initial=0))


def _read_json_line_by_line(source: TableSource, problems: list[str]) -> pa.Table:
    """Read a file with lines that are not JSON objects, or nested too deeply, leaving out these lines."""
    rows: list[dict[str, Any]] = []
    found: list[str] = []
    lines = halves = 0
    with listing(found, source.path) as left_out:
        for number, line, is_whole in source.lines():
            if not line.strip():
                continue
            lines += 1
            row, reason = _object_in(line, source.in_utf8) if is_whole else (None, f"has more than {_megabytes()}")
            if row is None:
                left_out.add(Kind.ROW_NOT_PARSED, f"{source.path} line {number} {reason}, and is left out")
                continue
            if b"\\u" in line and (whole := with_utf8(row)) != row:
                row, halves = whole, halves + 1
            rows.append(row)
    if 2 * len(rows) < lines and (over_lines := _objects_over_lines(source)) and len(over_lines[0]) > len(rows):
        rows, found = over_lines
        whole_rows = [with_utf8(row) for row in rows]
        halves = sum(one != other for one, other in zip(rows, whole_rows, strict=True))
        rows = whole_rows
    problems += found
    if halves:
        problems.append(f"{source.path}: {halves:,} rows hold half a surrogate pair, which is read as U+FFFD")
    return table_of(rows)


def _objects_over_lines(source: TableSource) -> tuple[list[dict[str, Any]], list[str]] | None:
    """The objects of a file in which each takes several lines, and what was left out; None if it is too large."""
    with source.stream() as stream:
        content: bytes = stream.read(_MOST_OVER_LINES + 1)
    if len(content) > _MOST_OVER_LINES:
        return None
    rows: list[dict[str, Any]] = []
    found: list[str] = []
    with listing(found, source.path) as left_out:
        for line, row in objects_in(content.decode("utf-8-sig", errors="replace")):
            if row is not None and _depth(json.dumps(row).encode()) <= _MOST_NESTED:
                rows.append(row)
            else:
                left_out.add(Kind.ROW_NOT_PARSED, f"{source.path} line {line} begins no JSON object, and is left out")
    return rows, found


def objects_in(text: str) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Yield the objects of a text in which each takes one or several lines, as `indent=2` writes them, with its line.

    None for what is no object; reading goes on at the next line that begins with `{`.
    """
    decoder = json.JSONDecoder()
    place, line, counted = 0, 1, 0
    while (place := _BETWEEN.match(text, place).end()) < len(text):  # type: ignore[union-attr]  # matches ""
        line, counted = line + text.count("\n", counted, place), place
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            value, place = None, text.find("\n{", place + 1)
            place = len(text) if place < 0 else place
        yield line, value if isinstance(value, dict) else None


def _object_in(line: bytes, in_utf8: bool) -> tuple[dict[str, Any] | None, str]:
    """The object of a line; else None and why there is none.

    Raises `UnicodeDecodeError` if the line is not UTF-8, unless the file is known to be.
    """
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        if not in_utf8:
            raise
        return None, "is not UTF-8"
    if _depth(line) > _MOST_NESTED:
        return None, f"is nested more than {_MOST_NESTED} deep"
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        row = None
    return (row, "") if isinstance(row, dict) else (None, "is not a JSON object")


def _megabytes() -> str:
    return f"{MOST_LINE_BYTES >> 20} MB"
