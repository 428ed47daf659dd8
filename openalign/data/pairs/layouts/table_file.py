"""One table that names its images or holds them: a file, or the table called `pairs` or `metadata` of a folder."""

from collections.abc import Sequence
from pathlib import Path

from openalign.data.pairs.from_tables import pairs_of_table
from openalign.data.pairs.layouts.layout import Finding
from openalign.data.pairs.layouts.source import PathOrUrl, Source
from openalign.data.pairs.options import ReadOptions
from openalign.data.pairs.pairs import Pairs
from openalign.data.tables.suffixes import JSON, PACKINGS, TABLE_SUFFIXES, TEXTS, table_suffix
from openalign.errors import OpenAlignError


class TableFile:
    """A table: CSV, TSV, JSON Lines, JSON or Parquet."""

    name = "table"
    title = "table"
    recognised_by = (
        f"a file that ends with {', '.join((*TABLE_SUFFIXES, *TEXTS, JSON))} (all but Parquet also with "
        f"{', '.join(PACKINGS)}), or a `pairs` table in a folder"
    )

    def find(self, source: Source) -> Finding | None:
        if not source.is_folder:
            is_table = table_suffix(str(source.at), named=True) is not None
            return Finding("by its file extension", {"": [source.at]}) if is_table else None
        table = _table_called("pairs", source)
        return None if table is None else Finding(f"it holds {table}", {"": [source.child(table)]})

    def read(self, name: str, parts: Sequence[PathOrUrl], options: ReadOptions) -> Pairs:
        (table,) = parts
        if not isinstance(table, Path):
            raise OpenAlignError(f"{table} is the URL of a table: download the table and give the file")
        return pairs_of_table(name, table, options)


def _table_called(stem: str, source: Source) -> str | None:
    if any(file.startswith("shards/") and file.lower().endswith(".tar") for file in source.files):
        return None  # a curated folder, whose table describes its shards
    files = set(source.files)
    names = [f"{stem}{suffix}{packing}" for packing in ("", *PACKINGS) for suffix in TABLE_SUFFIXES]
    every = (f"{folder}{name}" for folder in ("shards/", "") for name in names if table_suffix(name))
    return next((file for file in every if file in files), None)
