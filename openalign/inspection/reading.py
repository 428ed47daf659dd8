"""The pairs of each split of a data set, as commands read them, or their numbers where there are too many."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from openalign.data.left_out import Kind, LeftOut
from openalign.data.pairs.file_images import FileImages
from openalign.data.pairs.layouts.layout import Layout
from openalign.data.pairs.layouts.source import PathOrUrl
from openalign.data.pairs.missing_texts import without_markers
from openalign.data.pairs.open import with_texts
from openalign.data.pairs.options import ReadOptions
from openalign.data.pairs.pairs import Pairs
from openalign.data.shards.index import index_path
from openalign.data.tables.delimited import WHOLE_TEXTS
from openalign.data.tables.suffixes import table_suffix
from openalign.errors import OpenAlignError
from openalign.inspection.counts import LARGE_BYTES, count_rows, head_of

_MOST_SHARDS = 32
"""Of more shards only some are read."""
_SHARDS_READ = 8


@dataclass(frozen=True)
class SplitRead:
    """The pairs of a split, or some of them."""

    pairs: Pairs
    """Those that were read."""
    rows: int
    """Those that there are."""
    problems: Sequence[str] = field(default=())
    notes: Sequence[str] = field(default=())


def read_split(layout: Layout, name: str, parts: Sequence[PathOrUrl], options: ReadOptions) -> SplitRead:
    """Read a split as commands that need texts do; without texts if it has none.

    Raises `OpenAlignError` if nothing of it can be read.
    """
    tars = [part for part in parts if str(part).endswith(".tar")]
    if len(tars) > _MOST_SHARDS and len(tars) == len(parts):
        return _some_shards(layout, name, tars, options)
    large = [part for part in parts if isinstance(part, Path) and _is_large(part)]
    if not large:
        pairs, notes = _with_or_without_texts(layout, name, parts, options)
        return SplitRead(pairs, len(pairs), pairs.problems, notes)
    return _large_tables(layout, name, parts, options)


def _is_large(part: Path) -> bool:
    return part.is_file() and table_suffix(part) is not None and part.stat().st_size > LARGE_BYTES


def _with_or_without_texts(
    layout: Layout, name: str, parts: Sequence[PathOrUrl], options: ReadOptions
) -> tuple[Pairs, list[str]]:
    try:
        return with_texts(without_markers(layout.read(name, parts, options))), []
    except OpenAlignError as error:
        without = without_markers(layout.read(name, parts, replace(options, need_text=False)))
        listed = any(problem in str(error) for problem in without.problems)  # among the notes and what is left out
        reason = str(error).partition(". The first problem")[0] if listed else str(error)
        return without, [f"no texts, which `train` and `tokenizer` need: {reason}"]


def _some_shards(layout: Layout, name: str, tars: Sequence[PathOrUrl], options: ReadOptions) -> SplitRead:
    """Read some of many shards; the others are counted by their indexes, or taken to be as large."""
    chosen = [tars[number] for number in np.unique(np.linspace(0, len(tars) - 1, _SHARDS_READ).round().astype(int))]
    pairs, notes = _with_or_without_texts(layout, name, chosen, options)
    known = [_rows_by_index(tar) for tar in tars]
    mean = len(pairs) / len(chosen)
    rows = round(sum(mean if each is None else each for each in known))
    about = " about" if None in known else ""
    notes = [*notes, f"{len(chosen)} of {len(tars):,} shards were read;{about} {rows:,} samples in all"]
    return SplitRead(pairs, rows, pairs.problems, notes)


def _rows_by_index(tar: PathOrUrl) -> int | None:
    if not isinstance(tar, Path):
        return None
    try:
        return int(pq.read_metadata(index_path(tar)).num_rows)
    except (OSError, ValueError):
        return None


def _large_tables(layout: Layout, name: str, parts: Sequence[PathOrUrl], options: ReadOptions) -> SplitRead:
    """Count the rows of tables, and read the first ones of the first."""
    tables = [part for part in parts if isinstance(part, Path)]
    with head_of(tables[0]) as head:
        pairs, notes = _with_or_without_texts(layout, str(head), [head], options)
        problems = [str(problem).replace(str(head), str(tables[0])) for problem in pairs.problems]
        if isinstance(pairs.images, FileImages):
            images = FileImages(tables[0].parent, pairs.table["image"])
            pairs = replace(pairs, images=images)
    text = pairs.columns.get("text")
    has_whole_texts = any(WHOLE_TEXTS in problem for problem in problems)
    counts = [count_rows(table, text, has_whole_texts=has_whole_texts) for table in tables]
    lost: list[str] = [problem for problem in problems if not isinstance(problem, LeftOut)]
    for kind, number in (
        (Kind.ROW_WITHOUT_TEXT, sum(each.without_text for each in counts)),
        (Kind.ROW_NOT_PARSED, sum(each.not_parsed for each in counts)),
    ):
        if number:
            lost.append(LeftOut(kind, f"{name}: {number:,} {kind}", number))
    rows = sum(each.rows - each.without_text for each in counts)
    about = "" if all(each.exact for each in counts) else " by their lines"
    notes = [*notes, f"rows were counted{about}; columns and values are those of the first {len(pairs):,} rows"]
    return SplitRead(replace(pairs, name=name), rows, lost, notes)
