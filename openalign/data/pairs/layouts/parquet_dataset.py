"""A dataset's Parquet files, as on the Hugging Face hub or as Spark writes them: in parts, in partitions."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from openalign.data.pairs.from_tables import pairs_of_tables
from openalign.data.pairs.layouts.layout import Finding
from openalign.data.pairs.layouts.source import PathOrUrl, Source
from openalign.data.pairs.layouts.splits import split_of
from openalign.data.pairs.options import ReadOptions
from openalign.data.pairs.pairs import Pairs
from openalign.errors import OpenAlignError


class ParquetDataset:
    """Parquet files that are parts of one table."""

    name = "parquet"
    title = "Parquet dataset"
    recognised_by = "`.parquet` files in the folder, in its `data/`, or in partitions (`lang=en/`) below"

    def find(self, source: Source) -> Finding | None:
        if not source.is_folder:
            return None
        files = [file for file in source.files if file.lower().endswith(".parquet") and not _is_of_a_shard(file)]
        if not files:
            return None
        splits: dict[str, list[PathOrUrl]] = {}
        for file in files:
            splits.setdefault(split_of(file), []).append(source.child(file))
        more = f" and {len(files) - 1:,} more" if len(files) > 1 else ""
        return Finding(f"it holds {files[0]}{more}", splits)

    def read(self, name: str, parts: Sequence[PathOrUrl], options: ReadOptions) -> Pairs:
        local = [part for part in parts if isinstance(part, Path)]
        if len(local) < len(parts):
            raise OpenAlignError(f"{name} is at a URL: Parquet files there are read by `openalign curate`")
        return pairs_of_tables(name, local, options)


def _is_of_a_shard(file: str) -> bool:
    return PurePosixPath(file).name.endswith(".index.parquet")
