"""A Hugging Face image folder: a metadata table beside the images, at the top or in the folder of each split.

Source: the `imagefolder` builder of `datasets`, whose tables are called `metadata.csv`, `.jsonl` or `.parquet`.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from openalign.data.files.walk import files_below
from openalign.data.pairs.combine import combined
from openalign.data.pairs.from_tables import pairs_of_each
from openalign.data.pairs.layouts.layout import Finding
from openalign.data.pairs.layouts.source import PathOrUrl, Source
from openalign.data.pairs.layouts.splits import split_folders
from openalign.data.pairs.named_images import NamedImages
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
        tables = [file for file in source.others if _is_metadata(file)]
        if not tables:
            return None
        splits = split_folders({file.rpartition("/")[0] for file in source.own_images or tables})
        if list(splits) == [""]:
            splits = {"": [""]}
        more = f" and {len(tables) - 1:,} more" if len(tables) > 1 else ""
        return Finding(f"it holds {tables[0]}{more}", source.parts(splits), source.outside(splits))

    def read(self, name: str, parts: Sequence[PathOrUrl], options: ReadOptions) -> Pairs:
        local = [part for part in parts if isinstance(part, Path)]
        if len(local) < len(parts):
            raise OpenAlignError(f"{name} is at a URL: images that a table names there are read by `openalign curate`")
        pairs = [each for part in local for each in _pairs_of(name, part, options)]
        return combined(name, pairs) if len(pairs) > 1 else replace(pairs[0], name=name)


def _pairs_of(name: str, folder: Path, options: ReadOptions) -> list[Pairs]:
    """The pairs of the images below a folder, by the tables there, else by those of the nearest folder above it."""
    files = files_below(folder)
    tables = [folder / file for file in files if _is_metadata(file)]
    above = folder
    while not tables and above != above.parent:
        above = above.parent
        tables = sorted(each for each in above.iterdir() if _is_metadata(each.name))
    below = "" if above == folder else f"{folder.relative_to(above).as_posix()}/"
    named = NamedImages(above, [below + file for file in files], below)
    read, problems = pairs_of_each(tables, options, named)
    distinct = _without_repeats(name, read)
    last = named.with_unnamed(distinct[-1])
    return [*distinct[:-1], replace(last, problems=(*last.problems, *problems))]


def _without_repeats(name: str, read: Sequence[Pairs]) -> list[Pairs]:
    """The pairs of each table without those that an earlier one has.

    Raises `OpenAlignError` if two tables give an image different texts.
    """
    known: dict[str, set[str]] = {}
    distinct = []
    for pairs in read:
        texts: dict[str, set[str]] = {}
        for image, text in zip(pairs.table["image"].to_pylist(), pairs.texts(), strict=True):
            texts.setdefault(image, set()).add(text)
        differing = [image for image, found in texts.items() if known.get(image, found) != found]
        if differing:
            raise OpenAlignError(
                f"{name}: several metadata tables give {differing[0]} different texts, {pairs.name} among them: "
                "give the table that is meant"
            )
        rows = [row for row, image in enumerate(pairs.table["image"].to_pylist()) if image not in known]
        distinct.append(pairs if len(rows) == len(pairs) else pairs.select(rows))
        known |= texts
    return distinct


def _is_metadata(file: str) -> bool:
    name = file.rpartition("/")[2].lower()
    return name.startswith("metadata.") and table_suffix(name) is not None
