"""Tables of images and texts: CSV, TSV, JSON Lines, Parquet, read by pyarrow, columns found by their usual names."""

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from openalign.data.tables.text_source import MOST_LINE_BYTES, TableSource, check_unpacked, is_utf8
from openalign.errors import OpenAlignError

IMAGE_NAMES = ("image", "file", "filepath", "file_name", "path", "url")
TEXT_NAMES = ("text", "caption", "title", "alt")
DELIMITED = (".csv", ".tsv")
JSON_LINES = (".jsonl", ".ndjson")
_MOST_NESTED = 200
"""Lists and objects within each other in a line of JSON; a line of more is left out."""
_NO_OPENING_BRACKET = bytes(set(range(256)) - set(b"[{\n"))
_BLOCK_BYTES = 1 << 20
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""With the end of the line in place of a missing quotation mark, so that a line is gone through once."""
TABLE_SUFFIXES = (*DELIMITED, *JSON_LINES, ".parquet")


def table_suffix(path: Path | str) -> str | None:
    """Which of `TABLE_SUFFIXES` this file's name says, `.gz` aside (not for Parquet); None if it is no table."""
    suffixes = [suffix.lower() for suffix in PurePath(path).suffixes]
    if suffixes and suffixes[-1] == ".gz":
        return suffixes[-2] if suffixes[-2:-1] and suffixes[-2] in (*DELIMITED, *JSON_LINES) else None
    return suffixes[-1] if suffixes and suffixes[-1] in TABLE_SUFFIXES else None


def read_table(
    path: Path | str,
    image_column: str | None = None,
    text_column: str | None = None,
    *,
    need_text: bool = True,
    problems: list[str] | None = None,
) -> pa.Table:
    """Read a table, a path or an address: columns `image` (string), `text` (string), the others; rows in their order.

    CSV and TSV columns are all strings; JSON Lines and Parquet keep their types. A line that cannot be parsed is left
    out and gets a sentence in `problems`; so does a file that is not UTF-8, whose encoding is guessed. Another column
    that is already called `image` or `text` is left out.
    Raises `OpenAlignError`: no such columns, no rows, text in no known encoding (with the line), not a table.
    """
    table = read_raw_table(path, image_column, text_column, [] if problems is None else problems)
    return with_named_columns(table, str(path), image_column, text_column, need_text)


def read_raw_table(
    path: Path | str, image_column: str | None, text_column: str | None, problems: list[str]
) -> pa.Table:
    """Read a table as it is, its columns under their own names; what is wrong with it as in `read_table`."""
    try:
        source = TableSource.of(path)
        if source.is_empty():
            raise OpenAlignError(f"{path} is empty: it needs a header line and a row for each image")
        table, noted = _read(source, image_column, text_column)
        problems += noted
    except OpenAlignError:
        raise
    except Exception as error:  # the readers raise most of the built-in exceptions on damaged files
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise OpenAlignError(f"{path} cannot be read as a table: {reason}") from None
    if len(table) == 0:
        first = f". The first problem: {noted[0]}" if noted else ""
        raise OpenAlignError(f"{path} has no rows: it needs one for each image{first}")
    return table


def _read(source: TableSource, image_column: str | None, text_column: str | None) -> tuple[pa.Table, list[str]]:
    """The table in whatever encoding, and what there is to say of it."""
    problems: list[str] = []
    suffix = table_suffix(source.path)
    try:
        if suffix in DELIMITED:
            return _read_delimited(source, problems), problems
        if suffix in JSON_LINES:
            return _read_json_lines(source, image_column, text_column, problems), problems
        table = _rows_of_parquet(source.path if isinstance(source.path, Path) else source.stream())
        return _with_good_texts(table, source.path, problems), problems
    except (pa.ArrowException, UnicodeDecodeError):
        if suffix == ".parquet":
            raise
    source, problems = source.settled()
    if suffix in DELIMITED:
        return _read_marked(source, problems), problems
    return _read_json_lines(source, image_column, text_column, problems), problems


def read_parquet(source: Path | pa.NativeFile, most_rows: int | None = None) -> pa.Table:
    """The table of a Parquet file, checked: the checksums of its pages, if it has them, its numbers of rows, its texts.

    Raises whatever pyarrow does, or `ValueError`, if it is damaged, has more than `most_rows` or unpacks to too much.
    """
    table = _rows_of_parquet(source, most_rows)
    table.validate(full=True)  # the reader itself lets texts pass that are not UTF-8
    return table


def _rows_of_parquet(source: Path | pa.NativeFile, most_rows: int | None = None) -> pa.Table:
    with pq.ParquetFile(source, page_checksum_verification=True) as file:
        rows = file.metadata.num_rows
        if most_rows is not None and rows > most_rows:
            raise ValueError(f"it has {rows:,} rows; up to {most_rows:,} are read")
        stored = source.stat().st_size if isinstance(source, Path) else source.size()
        check_unpacked(sum(file.metadata.row_group(i).total_byte_size for i in range(file.num_row_groups)), stored)
        table = file.read()
    if len(table) != rows:  # else some would be lost without a word
        raise ValueError(f"it has {len(table):,} rows where its footer says {rows:,}")
    return table


def _with_good_texts(table: pa.Table, path: Path | str, problems: list[str]) -> pa.Table:
    """The rows whose texts are UTF-8; the others get a line in `problems`."""
    try:
        table.validate(full=True)
        return table
    except pa.ArrowInvalid:
        bad = np.zeros(len(table), np.bool_)
    for column in table.columns:
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            texts = column.cast(pa.large_binary()).to_pylist()
            bad |= np.array([text is not None and not is_utf8(text) for text in texts], np.bool_)
    good = table.filter(pa.array(~bad))
    good.validate(full=True)
    problems += [f"{path} row {row + 1} is not UTF-8, and is left out" for row in np.flatnonzero(bad).tolist()]
    return good


def find_columns(
    names: Sequence[str],
    image_column: str | None = None,
    text_column: str | None = None,
    *,
    need_text: bool = True,
    where: str = "the table",
) -> tuple[str, str | None]:
    """The names of the image and the text column among `names`: as asked for, else the first usual name, any case.

    The text column is None where none is found and `need_text` is false. Raises `OpenAlignError` naming `where`.
    """
    image = _find(names, image_column, IMAGE_NAMES, "image", where)
    if text_column is None and not need_text and not _usual(names, TEXT_NAMES):
        return image, None
    return image, _find(names, text_column, TEXT_NAMES, "text", where)


def table_of(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """A table of rows that need not have the same fields; a field of several kinds becomes text."""
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({_as_utf8(name): _column([row.get(name) for row in rows]) for name in names})


def _column(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        return pa.array([None if value is None else _as_utf8(str(value)) for value in values], pa.string())


def _as_utf8(text: str) -> str:
    """The text without lone surrogates, which JSON can escape and UTF-8 cannot hold."""
    return text.encode(errors="replace").decode()


def joined(tables: Sequence[pa.Table], where: str) -> pa.Table:
    """The rows of several tables; a column of several kinds becomes text, as in `table_of`.

    Raises `OpenAlignError` naming `where` if it cannot.
    """
    mixed = [
        name for name in dict.fromkeys(name for each in tables for name in each.column_names) if _mixed(tables, name)
    ]
    for name in mixed:
        try:
            tables = [_with_text(table, name) for table in tables]
        except pa.ArrowException as error:
            raise OpenAlignError(
                f"{where}: column {name!r} is of different kinds in different files ({error}): make them one kind"
            ) from None
    return pa.concat_tables(tables, promote_options="permissive")


def _mixed(tables: Sequence[pa.Table], name: str) -> bool:
    fields = {table.schema.field(name) for table in tables if name in table.column_names}
    try:
        pa.unify_schemas([pa.schema([field]) for field in fields], promote_options="permissive")
    except pa.ArrowException:
        return True
    return False


def _with_text(table: pa.Table, name: str) -> pa.Table:
    if name not in table.column_names:
        return table
    return table.set_column(table.column_names.index(name), name, table[name].cast(pa.string()))


def _find(names: Sequence[str], asked: str | None, usual: Sequence[str], role: str, where: str) -> str:
    if asked is not None:
        if asked in names or asked.partition(".")[0] in names:
            return asked
        raise OpenAlignError(f"{where} has no column {asked!r}; its columns are {', '.join(names)}")
    found = _usual(names, usual)
    if found is None:
        raise OpenAlignError(
            f"{where} has no {role} column ({', '.join(usual)}); its columns are {', '.join(names)}: "
            f"name one with --{role}-column"
        )
    return found


def _usual(names: Sequence[str], usual: Sequence[str]) -> str | None:
    by_lower = {name.strip().lower(): name for name in reversed(names)}
    return next((by_lower[name] for name in usual if name in by_lower), None)


def with_named_columns(
    table: pa.Table, where: str, image_column: str | None, text_column: str | None, need_text: bool
) -> pa.Table:
    """The columns `image` and `text` as strings, then the others. Raises `OpenAlignError` naming `where`."""
    names = table.column_names
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise OpenAlignError(f"{where} has two columns called {twice!r}: rename one")
    image, text = find_columns(names, image_column, text_column, need_text=need_text, where=where)
    columns = {"image": _strings(table, image, where)}
    columns["text"] = pa.nulls(len(table), pa.string()) if text is None else _strings(table, text, where)
    for name in names:
        if name not in (image, text):
            columns.setdefault(name, table[name])
    return pa.table(columns)


def _strings(table: pa.Table, name: str, where: str) -> pa.ChunkedArray:
    """A column as strings; `alt.en` is the field `en` of a column `alt` of objects."""
    outer, _, inner = (name, "", "") if name in table.column_names else name.partition(".")
    column = table[outer]
    if inner and pa.types.is_struct(column.type) and column.type.get_field_index(inner) >= 0:
        column = pc.struct_field(column, inner)
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
        named = pa.types.is_struct(kind) and len(kind) > 0
        fields = f": name one of its fields, as {outer}.{kind[0].name}" if named else ""
        raise OpenAlignError(f"{where}: column {outer!r} holds {_kind_name(kind)} where text is needed{fields}")
    return column.cast(pa.string())


def _kind_name(kind: pa.DataType) -> str:
    return "objects" if pa.types.is_struct(kind) else "lists" if pa.types.is_nested(kind) else f"{kind} values"


def _read_marked(source: TableSource, problems: list[str]) -> pa.Table:
    """The slow way, for a file with a very long line or one that is not UTF-8: the rows of such lines are left out."""
    marked, mark = source.marked(problems)
    try:
        table = _read_delimited(marked, problems, MOST_LINE_BYTES)
    except pa.ArrowInvalid as error:
        if "straddling" not in str(error):
            raise
        raise OpenAlignError(
            f"{source.path} has a row of more than {MOST_LINE_BYTES >> 20} MB over several lines: "
            "close its quotation mark, or remove it"
        ) from None
    if any(mark in name for name in table.column_names):
        raise OpenAlignError(f"{problems[0].partition(', and its row')[0]}: it names the columns, so mend it")
    left_out = pa.array(np.zeros(len(table), np.bool_))
    for column in table.columns:
        left_out = pc.or_(left_out, pc.fill_null(pc.match_substring(column, mark), False))
    return table.filter(pc.invert(left_out))


def _read_delimited(source: TableSource, problems: list[str], block_bytes: int = _BLOCK_BYTES) -> pa.Table:
    path, header = source.path, _first_line(source)
    delimiter = "\t" if table_suffix(path) == ".tsv" else _delimiter(header)
    fields = next(csv.reader([header], delimiter=delimiter), [])
    names = _names_without_header(fields)
    headless = names is not None

    def skip(row: pyarrow.csv.InvalidRow) -> str:
        problems.append(
            f"{path} row {row.number - 1 + headless} has {row.actual_columns} fields where "
            f"{row.expected_columns} are expected, and is left out"
        )
        return "skip"

    # Without a header it is the two columns that CC3M publishes, where a quotation mark is only that.
    parse = pyarrow.csv.ParseOptions(
        delimiter=delimiter,
        quote_char=False if headless and delimiter == "\t" else '"',
        newlines_in_values=True,
        invalid_row_handler=skip,
    )
    # In one thread a bad row knows its number.
    read = pyarrow.csv.ReadOptions(column_names=names, use_threads=False, block_size=block_bytes)
    strings = pyarrow.csv.ConvertOptions(column_types={name: pa.string() for name in names or fields})
    with source.stream() as stream:
        return pyarrow.csv.read_csv(stream, read_options=read, parse_options=parse, convert_options=strings)


def _first_line(source: TableSource) -> str:
    with source.stream() as stream:
        start: bytes = stream.read(1 << 20)
    return (start.splitlines()[0] if start else b"").decode("utf-8-sig")


def _delimiter(header: str) -> str:
    return max(",\t;|", key=lambda delimiter: len(next(csv.reader([header], delimiter=delimiter), [])))


def _names_without_header(fields: Sequence[str]) -> list[str] | None:
    """`text` and `image` in the order they stand, if the first row holds just a text and an address; else None."""
    addresses = [field.strip().lower().startswith(("http://", "https://")) for field in fields]
    if len(fields) != 2 or sum(addresses) != 1:
        return None
    return ["image", "text"] if addresses[0] else ["text", "image"]


def _read_json_lines(
    source: TableSource, image_column: str | None, text_column: str | None, problems: list[str]
) -> pa.Table:
    if _is_nested_deeply(source):
        return _read_json_line_by_line(source, problems)
    try:
        table = _parse_json_lines(source, None)
    except pa.ArrowInvalid:
        return _read_json_line_by_line(source, problems)
    image, text = find_columns(table.column_names, image_column, text_column, need_text=False, where=str(source.path))
    # The reader takes strings that look like times for times; these two columns are never meant so.
    times = [name for name in (image, text) if name in table.column_names and pa.types.is_temporal(table[name].type)]
    return _parse_json_lines(source, pa.schema([(name, pa.string()) for name in times])) if times else table


def _parse_json_lines(source: TableSource, schema: pa.Schema | None) -> pa.Table:
    options = pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="infer")
    with source.stream() as stream:
        table = pyarrow.json.read_json(stream, parse_options=options)
    table.validate(full=True)  # the reader itself lets bytes pass that are not UTF-8
    return table


def _is_nested_deeply(source: TableSource) -> bool:
    """Whether some line is nested so deeply that pyarrow's JSON reader, which is recursive, could end the process."""
    opening = 0  # brackets of the line that the block before ended in
    with source.stream() as stream:
        while block := stream.read(_BLOCK_BYTES):
            counts = [len(brackets) for brackets in block.translate(None, _NO_OPENING_BRACKET).split(b"\n")]
            counts[0] += opening
            if max(counts) > _MOST_NESTED:
                break
            opening = counts[-1]
        else:
            return False
    # So many, but perhaps one after the other, or within texts.
    return any(not is_whole or _depth(line) > _MOST_NESTED for _, line, is_whole in source.lines())


def _depth(line: bytes) -> int:
    """How deeply lists and objects of a line of JSON are nested, at least where that is more than `_MOST_NESTED`."""
    opening = line.count(b"[") + line.count(b"{")
    if opening <= _MOST_NESTED:
        return opening
    marks = np.frombuffer(_STRING.sub(b"", line), np.uint8)
    opens, closes = (np.isin(marks, np.frombuffer(kind, np.uint8)) for kind in (b"[{", b"]}"))
    return int(np.cumsum(opens.astype(np.int64) - closes).max(initial=0))


def _read_json_line_by_line(source: TableSource, problems: list[str]) -> pa.Table:
    """The slow way, for a file in which some line is no JSON object, or nested too deeply: those are left out."""
    rows: list[dict[str, Any]] = []
    for number, line, is_whole in source.lines():
        if not line.strip():
            continue
        if not is_whole:
            problems.append(f"{source.path} line {number} has more than {MOST_LINE_BYTES >> 20} MB, and is left out")
            continue
        try:
            text = line.decode("utf-8-sig")
        except UnicodeDecodeError:
            if not source.in_utf8:
                raise
            problems.append(f"{source.path} line {number} is not UTF-8, and is left out")
            continue
        if _depth(line) > _MOST_NESTED:
            problems.append(f"{source.path} line {number} is nested more than {_MOST_NESTED} deep, and is left out")
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict):
            rows.append(row)
        else:
            problems.append(f"{source.path} line {number} is not a JSON object, and is left out")
    return table_of(rows)
