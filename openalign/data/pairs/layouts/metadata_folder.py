"""A Hugging Face image folder: a metadata table beside the images, at the top or in the folder of each split.

Source: the `imagefolder` builder of `datasets`, whose tables are called `metadata.csv`, `.jsonl` or `.parquet`.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from openalign.data.pairs.from_tables import pairs_of_tables
from openalign.data.pairs.layouts.layout import Finding
from openalign.data.pairs.layouts.source import PathOrUrl, Source
from openalign.data.pairs.layouts.splits import split_of
from openalign.data.pairs.options import ReadOptions
from openalign.data.pairs.pairs import Pairs
from openalign.data.tables.suffixes import TABLE_SUFFIXES, table_suffix
from openalign.errors import OpenAlignError


class MetadataFolder:
    """Images beside a table called `metadata`, whose `file_name` is relative to it."""

    name = "metadata"
    title = "Hugging Face image folder with a metadata table"
    recognised_by = f"`metadata{'`, `metadata'.join(TABLE_SUFFIXES)}` in the folder or in folders below"

    def find(self, source: Source) -> Finding | None:
        if not source.is_folder:
            return None
        tables = [file for file in source.files if _is_metadata(file)]
        if not tables:
            return None
        splits: dict[str, list[PathOrUrl]] = {}
        for file in tables:
            splits.setdefault(split_of(str(PurePosixPath(file).parent)), []).append(source.child(file))
        more = f" and {len(tables) - 1:,} more" if len(tables) > 1 else ""
        return Finding(f"it holds {tables[0]}{more}", splits)

    def read(self, name: str, parts: Sequence[PathOrUrl], options: ReadOptions) -> Pairs:
        local = [part for part in parts if isinstance(part, Path)]
        if len(local) < len(parts):
            raise OpenAlignError(f"{name} is at a URL: images that a table names there are read by `openalign curate`")
        return pairs_of_tables(name, local, options)


def _is_metadata(file: str) -> bool:
    name = PurePosixPath(file).name.lower()
    return name.startswith("metadata.") and table_suffix(name) is not None
