"""The image files that tables name: a run depends on them as on the tables."""

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from openalign.curation.sources.parquet_images import holds_images
from openalign.data.files.walk import files_below
from openalign.data.sites import is_list_at_top
from openalign.data.tables.read import read_table
from openalign.data.tables.suffixes import table_suffix
from openalign.errors import OpenAlignError

_URL = r"^\s*[A-Za-z][A-Za-z0-9+.-]*://"


def named_file_states(source: Path, image_column: str | None) -> Iterator[str]:
    """The state of each local file that the table `source`, or a table that lists the pairs of a folder, names.

    A state is the path with size and modification time, or the path alone of a file that is missing. For a table of
    a million files, on a local disk, this takes 5 s; to inspect their images takes hours. Nothing comes of a table that
    cannot be read, or that holds the images themselves: reading it in the run reports that.
    """
    for table in _tables_of(source):
        if table.suffix.lower() == ".parquet" and holds_images(table, image_column):
            continue
        try:
            images = read_table(table, image_column, need_text=False)["image"]
        except (OpenAlignError, OSError):
            continue
        yield from _states(table.parent, images)


def _tables_of(source: Path) -> list[Path]:
    if not source.is_dir():
        return [source] if table_suffix(source, named=True) else []
    return [source / name for name in files_below(source) if is_list_at_top(name) and table_suffix(name)]


def _states(folder: Path, images: pa.ChunkedArray) -> Iterator[str]:
    paths = pc.replace_substring_regex(images.drop_null(), "^file://", "")
    paths = paths.filter(pc.invert(pc.match_substring_regex(paths, _URL)))
    for name in pc.unique(paths).to_pylist():
        path = os.path.join(folder, name)  # noqa: PTH118 - a million paths
        try:
            status = os.stat(path)  # noqa: PTH116
            yield f"{path}\0{status.st_size}\0{status.st_mtime_ns}"
        except (OSError, ValueError):  # ValueError: a zero byte
            yield path
