"""Write the results of a search as a file: CSV, Parquet, JSON lines, or the paths alone."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from openalign.errors import UsageError
from openalign.files import whole_file
from openalign.search.results.hits import Hit

COLUMNS = ("image", "text", "score", "within", "row", "alike", "caption", "page", "date", "folder", "label")
NUMBERS = ("width", "height", "bytes", "latitude", "longitude")
"""Further columns."""


def export(hits: Sequence[Hit], to: Path) -> None:
    """Write hits to `to`, whole or not at all; its ending says how.

    `.csv`, `.parquet` and `.jsonl` have a row for each hit, `.txt` its path or URL.

    Raises:
        UsageError: the ending is another one, or a path in a `.txt` has a line break.
        OpenAlignError: the file cannot be written.
    """
    write = writer_of(to)
    with whole_file(to) as partial:
        write([_row_of(hit) for hit in hits], partial)


def writer_of(to: Path) -> Callable[[list[dict[str, Any]], Path], None]:
    """What writes such a file; raises UsageError if nothing does."""
    if to.suffix.lower() not in _WRITERS:
        raise UsageError(f"{to}: results are written as one of {', '.join(_WRITERS)}.")
    return _WRITERS[to.suffix.lower()]


def _row_of(hit: Hit) -> dict[str, Any]:
    return {name: getattr(hit if hasattr(hit, name) else hit.indexed, name) for name in (*COLUMNS, *NUMBERS)}


def _csv(rows: list[dict[str, Any]], to: Path) -> None:
    with to.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.DictWriter(file, [*COLUMNS, *NUMBERS])
        writer.writeheader()
        writer.writerows(rows)


def _jsonl(rows: list[dict[str, Any]], to: Path) -> None:
    to.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _txt(rows: list[dict[str, Any]], to: Path) -> None:
    broken = next((row["image"] for row in rows if len(str(row["image"]).splitlines()) > 1), None)
    if broken is not None:
        raise UsageError(f"{broken!r} has a line break, so it cannot be a line of a .txt: write a .csv or .jsonl.")
    to.write_text("".join(f"{row['image']}\n" for row in rows), encoding="utf-8", errors="surrogateescape")


def _parquet(rows: list[dict[str, Any]], to: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    floats = ("score", "latitude", "longitude")
    whole = ("row", "alike", "width", "height", "bytes")
    kinds = {**dict.fromkeys(floats, pa.float64()), **dict.fromkeys(whole, pa.int64()), "within": pa.bool_()}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in (*COLUMNS, *NUMBERS)])
    pq.write_table(pa.Table.from_pylist(rows, schema), to)


_WRITERS: dict[str, Callable[[list[dict[str, Any]], Path], None]] = {
    ".csv": _csv,
    ".parquet": _parquet,
    ".jsonl": _jsonl,
    ".txt": _txt,
}
