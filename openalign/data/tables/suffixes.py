"""Tables are recognised by the suffix of the file name."""

from pathlib import Path, PurePath

DELIMITED = (".csv", ".tsv")
JSON_LINES = (".jsonl", ".ndjson")
TABLE_SUFFIXES = (*DELIMITED, *JSON_LINES, ".parquet")


def table_suffix(path: Path | str) -> str | None:
    """The one of `TABLE_SUFFIXES` that a path or URL ends with; None if it is not a table.

    `.gz` may follow, except after `.parquet`.
    """
    suffixes = [suffix.lower() for suffix in PurePath(path).suffixes]
    if suffixes and suffixes[-1] == ".gz":
        return suffixes[-2] if suffixes[-2:-1] and suffixes[-2] in (*DELIMITED, *JSON_LINES) else None
    return suffixes[-1] if suffixes and suffixes[-1] in TABLE_SUFFIXES else None
