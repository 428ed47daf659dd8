"""One table that names its images or holds them: a file, or the table called `pairs` or `metadata` of a folder."""

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from openalign.data.files import remote
from openalign.data.files.walk import files_below
from openalign.data.left_out import Kind, LeftOut
from openalign.data.pairs.file_images import FileImages
from openalign.data.pairs.folder_files import image_files
from openalign.data.pairs.from_tables import pairs_of_table
from openalign.data.pairs.layouts.layout import Finding
from openalign.data.pairs.layouts.source import PathOrUrl, Source
from openalign.data.pairs.named_images import NamedImages
from openalign.data.pairs.options import ReadOptions
from openalign.data.pairs.pairs import Pairs
from openalign.data.split_names import standard_split_of
from openalign.data.tables.suffixes import JSON, PACKINGS, TABLE_SUFFIXES, TEXTS, table_suffix
from openalign.errors import OpenAlignError

_MOST_BESIDE = 200_000
"""Files below the folder of a table; walking over them takes a second or two."""


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
        pairs = pairs_of_table(name, table, options, beside=partial(_images_beside, table.parent))
        folder = Path(remote.local_path(name))
        return _with_unnamed(pairs, table, folder) if folder.is_dir() else pairs


def _images_beside(folder: Path) -> NamedImages:
    """The images that a table may name by less than their paths: none in a folder of more files than a data set has.

    A table may lie among all files of a person or of a project.
    """
    files = files_below(folder, most=_MOST_BESIDE)
    return NamedImages(folder, files if len(files) < _MOST_BESIDE else [], split_of=standard_split_of)


def _with_unnamed(pairs: Pairs, table: Path, folder: Path) -> Pairs:
    """The pairs, with a message on the images in `folder` that no row of the table names."""
    base = (pairs.images.folder if isinstance(pairs.images, FileImages) else table.parent).absolute()
    images = image_files(files_below(folder), folder)
    paths = [os.path.relpath(folder.absolute() / image, base) for image in images]
    is_named = pc.is_in(pa.array(paths, pa.string()), pairs.table["image"].combine_chunks()).to_pylist()
    unnamed = [image for image, each in zip(images, is_named, strict=True) if not each]
    if unnamed and (rest := _otherwise_named(pairs.table["image"], base)):
        unnamed = [image for image in unnamed if os.path.normpath(folder.absolute() / image) not in rest]
    if not unnamed:
        return pairs
    message = f"{table}: {len(unnamed):,} images of {folder} are not named by it, the first: {unnamed[0]}"
    return replace(pairs, problems=(*pairs.problems, LeftOut(Kind.IMAGE_NOT_NAMED, message, len(unnamed))))


def _otherwise_named(names: pa.ChunkedArray, base: Path) -> set[str]:
    """The files that are named in another way than by a path below `base`."""
    odd = names.filter(pc.match_substring_regex(names, r"^/|^\.\./|\\"))
    return {os.path.normpath(base / each.replace("\\", "/")) for each in odd.to_pylist() if each}


def _table_called(stem: str, source: Source) -> str | None:
    if any(file.startswith("shards/") and file.lower().endswith(".tar") for file in source.others):
        return None  # a curated folder, whose table describes its shards
    files = set(source.others)
    names = [f"{stem}{suffix}{packing}" for packing in ("", *PACKINGS) for suffix in TABLE_SUFFIXES]
    every = (f"{folder}{name}" for folder in ("shards/", "") for name in names if table_suffix(name))
    return next((file for file in every if file in files), None)
