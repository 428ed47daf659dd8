"""Tables of delimited text (CSV, TSV), with or without a header line."""

import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from openalign.data.files.fields import image_like, path_kind
from openalign.data.files.quotes import QuoteRepair, has_stray_quotes
from openalign.data.files.text_source import MOST_LINE_BYTES, TableSource
from openalign.data.left_out import Kind, Listing, listing
from openalign.data.tables.dialect import Dialect
from openalign.errors import OpenAlignError

WHOLE_TEXTS = "all after the first one are read as part of the text"
"""In the note on a table whose texts hold the delimiter, without quotation marks."""
_BLOCK_BYTES = 1 << 20
_ENOUGH_BLANKS = 0.5
"""Share of the delimiters in texts that a blank follows."""
_MOST_BLANKS = 64
"""Between a delimiter and a quotation mark."""


def read_delimited(
    source: TableSource, dialect: Dialect, problems: list[str], block_bytes: int = _BLOCK_BYTES
) -> pa.Table:
    """Read a CSV or TSV table, all columns as strings; rows with too many or too few fields are left out.

    A quotation mark that encloses no field is part of the text. In a table of images and texts of which no field is
    enclosed in quotation marks, so are the delimiters after the first of a row.
    Raises what pyarrow does, or `UnicodeDecodeError`.
    """
    with listing(problems, source.path) as left_out:
        has_quotes = _has_quotes(source)
        if dialect.ends_with_text and not (has_quotes and _has_enclosed(source, dialect)):
            table = _with_whole_texts(source, dialect, problems, left_out, block_bytes)
            return _finished(source, table, dialect, left_out)
        if has_quotes and has_stray_quotes(_blocks(source), dialect.delimiter):
            source = _repaired(source, dialect, problems)
            return _finished(source, _parsed(source, dialect, left_out, True, block_bytes), dialect, left_out)
        first = Listing(source.path)
        table = _parsed(source, dialect, first, has_quotes, block_bytes)
        if has_quotes and (first.messages or _spans_lines(table)):
            repaired = _repaired(source, dialect, problems)
            if repaired is not source:
                return _finished(source, _parsed(repaired, dialect, left_out, True, block_bytes), dialect, left_out)
        left_out.include(first)
        return _finished(source, table, dialect, left_out)


def _finished(source: TableSource, table: pa.Table, dialect: Dialect, left_out: Listing) -> pa.Table:
    """The table that is meant, without rows that repeat the header, as where files were joined."""
    table = dialect.finished(table)
    if dialect.is_headless or not table.num_columns:
        return table
    repeats = pc.equal(table.column(0), table.column_names[0])
    for place in range(1, table.num_columns):
        if not pc.any(repeats).as_py():
            return table
        repeats = pc.and_(repeats, pc.equal(table.column(place), table.column_names[place]))
    for row in np.flatnonzero(pc.fill_null(repeats, False).to_numpy()).tolist():
        left_out.add(Kind.ROW_NOT_PARSED, f"{source.path} row {row + 1} repeats the header, and is left out")
    return table.filter(pc.invert(pc.fill_null(repeats, False)))


def read_delimited_by_line(source: TableSource, dialect: Dialect, problems: list[str]) -> pa.Table:
    """Read a file with lines that are too long or not UTF-8, leaving out their rows."""
    marked, mark = source.with_bad_lines_marked(problems)
    try:
        table = read_delimited(marked, dialect, problems, MOST_LINE_BYTES)
    except pa.ArrowInvalid as error:
        if "straddling" not in str(error):
            raise
        raise OpenAlignError(
            f"{source.path} has a row of more than {MOST_LINE_BYTES >> 20} MB that spans several lines: "
            "close its quotation mark, or remove it"
        ) from None
    if mark.encode() in next(marked.lines(), (0, b"", True))[1]:
        raise OpenAlignError(f"{problems[0].partition(', and its row')[0]}: it is the header, so correct it")
    left_out = pa.array(np.zeros(len(table), np.bool_))
    for column in table.columns:
        left_out = pc.or_(left_out, pc.fill_null(pc.match_substring(column, mark), False))
    return table.filter(pc.invert(left_out))


def _parsed(source: TableSource, dialect: Dialect, left_out: Listing, has_quotes: bool, block_bytes: int) -> pa.Table:
    """The rows with as many fields as the header; the others are listed."""

    def skip(row: pyarrow.csv.InvalidRow) -> str:
        left_out.add(
            Kind.ROW_NOT_PARSED,
            f"{source.path} row {row.number - 1 + dialect.is_headless} has {row.actual_columns} fields where "
            f"{row.expected_columns} are expected, and is left out",
        )
        return "skip"

    def read(skip: Callable[[pyarrow.csv.InvalidRow], str] | None) -> pa.Table:
        parse = pyarrow.csv.ParseOptions(
            delimiter=dialect.delimiter,
            quote_char='"' if has_quotes else False,
            newlines_in_values=has_quotes,
            invalid_row_handler=skip,
        )
        # The numbers of invalid rows are known with one thread only.
        read = pyarrow.csv.ReadOptions(
            column_names=dialect.names if dialect.is_headless else None,
            use_threads=skip is None,
            block_size=block_bytes,
        )
        strings = pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys((*dialect.names, *dialect.written), pa.string())
        )
        with source.stream() as stream:
            return pyarrow.csv.read_csv(stream, read_options=read, parse_options=parse, convert_options=strings)

    try:
        return read(None)
    except pa.ArrowInvalid:  # at the first invalid row
        return read(skip)


def _with_whole_texts(
    source: TableSource, dialect: Dialect, problems: list[str], left_out: Listing, block_bytes: int
) -> pa.Table:
    """The rows of a file without enclosed fields, whose texts may hold the delimiter.

    Where no row has two fields, the header lacks a column instead.
    """
    first = Listing(source.path)
    table = _parsed(source, dialect, first, False, block_bytes)
    whole, changed = _with_texts_enclosed(source, dialect) if first.messages and len(table) else (source, [])
    if not changed:
        left_out.include(first)
        return table
    problems.append(
        f"{source.path}: {len(changed):,} rows have more {dialect.delimiter!r} than columns, the first in line "
        f"{changed[0]}: {WHOLE_TEXTS}"
    )
    return _parsed(whole, dialect, left_out, True, block_bytes)


def _with_texts_enclosed(source: TableSource, dialect: Dialect) -> tuple[TableSource, list[int]]:
    """The source as a strict parser reads it, its texts enclosed where they hold a delimiter, and where that is.

    In prose a blank follows most commas and semicolons; where none does, they stand between columns.
    """
    separator = dialect.delimiter.encode()
    found, changed, further, with_blank = bytearray(), list[int](), 0, 0
    for number, line, is_whole in source.lines():
        content = line.rstrip(b"\r\n")
        whole = dialect.with_whole_text(content) if is_whole and content.count(separator) > 1 else None
        if whole is not None:
            changed.append(number)
            further += content.count(separator) - 1
            with_blank += content.count(separator + b" ") - content.partition(separator)[2].startswith(b" ")
        elif b'"' in content:
            whole = separator.join(b'"' + field.replace(b'"', b'""') + b'"' for field in content.split(separator))
        found += line if whole is None else whole + line[len(content) :]
    is_prose = with_blank >= _ENOUGH_BLANKS * further
    return replace(source, content=bytes(found), packing=None, skipped=0), changed if is_prose else []


def _has_enclosed(source: TableSource, dialect: Dialect) -> bool:
    """Whether a field begins with a quotation mark."""
    begins = re.compile(rb"(?:^(?:\xef\xbb\xbf)?|[\r\n" + re.escape(dialect.delimiter.encode()) + rb']) *"')
    before = b""
    for block in _blocks(source):
        if begins.search(before + block):
            return True
        before = block[-_MOST_BLANKS:]
    return False


def _has_quotes(source: TableSource) -> bool:
    """Whether there is a quotation mark in a file. Raises `UnicodeDecodeError` if it is not UTF-8.

    pyarrow would print a traceback, besides, for an invalid row that is not.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    found = False
    for block in _blocks(source):
        found = found or b'"' in block
        if not block.isascii() or decoder.getstate()[0]:
            decoder.decode(block)
    decoder.decode(b"", final=True)
    return found


def _blocks(source: TableSource) -> Iterator[bytes]:
    with source.stream() as stream:
        while block := stream.read(_BLOCK_BYTES):
            yield block


def _spans_lines(table: pa.Table) -> bool:
    return any(pc.any(pc.match_substring(column, "\n")).as_py() for column in table.columns)


def _repaired(source: TableSource, dialect: Dialect, problems: list[str]) -> TableSource:
    """The source with every quotation mark that encloses no field escaped, and a note on that; itself if none was."""
    at = dialect.image_at

    def looks_like_row(fields: list[bytes], before: list[bytes]) -> bool:
        if at is None or at >= len(before):
            return any(map(image_like, fields))
        kind = path_kind(before[at])
        return kind == path_kind(fields[at]) if kind else dialect.delimiter == "\t"  # rare in prose

    changed: list[int] = []
    repair = QuoteRepair(dialect.delimiter, len(dialect.names), looks_like_row)
    lines = source.lines()
    if dialect.has_blanks:
        lines = ((number, dialect.without_blanks(line), is_whole) for number, line, is_whole in lines)
    content = b"".join(repair.lines(lines, changed))
    if not changed and not dialect.has_blanks:
        return source
    if changed:
        problems.append(
            f"{source.path}: {len(changed):,} rows have quotation marks that do not enclose a field, the first in line "
            f"{changed[0]}: they are read as part of the text"
        )
    return replace(source, content=content, packing=None, skipped=0)
