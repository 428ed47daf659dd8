"""Two tables of one data set: one names the images, the other has their texts, and a column of both tells whose.

So are published Indiana University's chest X-rays (`uid`), and exports of databases (`images.csv`, `captions.csv`).
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from openalign.data.left_out import Kind, LeftOut
from openalign.data.pairs.class_names import are_ids, tables_of_names
from openalign.data.pairs.evidence.peek import UNNAMED_COLUMN, Columns, first_columns, is_image_file
from openalign.data.split_names import split_of
from openalign.data.tables.columns import TEXT_NAMES, is_text, usual_name
from openalign.data.tables.read import read_raw_table
from openalign.data.tables.suffixes import table_suffix
from openalign.errors import OpenAlignError

_MOST_BESIDE = 20
"""Tables in a folder that are compared with one that names images."""
_MOST_BYTES = 256 << 20
_ENOUGH, _NEARLY_ALL = 0.5, 0.9
"""Share of the keys of each table that the other one must have; of those of a split in a table of all splits."""
NameImages = Callable[[Sequence[str | None], Path], bool]
"""Whether values, of a table in this file, name images that are there."""
_ID = "id"
_OF_IMAGES = ("image_id", "img_id", "imageid", "photo_id", "picture_id")
"""What the key of the other table is called in one of texts that have numbers of their own."""


@dataclass(frozen=True)
class Partner:
    """The table with the texts of the images that another one names."""

    path: Path
    key: str
    """The column of both, as the table of the images calls it."""
    other_key: str
    table: pa.Table
    is_of_all: bool
    """Whether it has the texts of all splits, and the other table is of one."""

    @property
    def shown(self) -> str:
        """Where its texts come from: `captions.csv, by id`."""
        return f"{self.path.name}, by {self.key}"

    def joined(self, table: pa.Table, problems: list[str]) -> pa.Table:
        """The table of the images with the columns of this one; lists of texts, where several rows are of an image."""
        ours, theirs = _keys(table[self.key]), _keys(self.table[self.other_key])
        lost = np.flatnonzero(~pc.is_in(theirs, ours).to_numpy(zero_copy_only=False)).tolist()
        if lost and not self.is_of_all:
            first = f"row {lost[0] + 1} ({self.other_key} {theirs[lost[0]].as_py()})"
            message = f"{self.path}: {len(lost):,} rows are of images that no table names, the first: {first}"
            problems.append(LeftOut(Kind.CAPTION_WITHOUT_IMAGE, message, len(lost)))
        others = self.table.select([name for name in self.table.column_names if name != self.other_key])
        others = others.select([name for name in others.column_names if name not in table.column_names])
        if _are_distinct(theirs):
            found = others.take(pc.index_in(ours, theirs))
        else:
            found = _as_lists(others, pc.index_in(theirs, ours), len(table))
        for name in found.column_names:
            table = table.append_column(name, found[name])
        return table


def partner_of(table: Path, are_images: NameImages) -> Partner | None:
    """The only table beside `table`, which names images, with texts for these; None if there is not one."""
    columns = _peeked(table)
    if table_suffix(table) is None or not _has_header(columns) or usual_name(list(columns), TEXT_NAMES) is not None:
        return None
    beside = [each for each in sorted(table.parent.iterdir()) if table_suffix(each) and each.name != table.name]
    beside = [each for each in beside if split_of(each.name) in ("", split_of(table.name))]
    names = {each.name for each in tables_of_names([table.parent.absolute()])}
    found = [
        partner
        for each in beside[:_MOST_BESIDE]
        if each.name not in names and (partner := _joinable(table, columns, each, are_images)) is not None
    ]
    return found[0] if len(found) == 1 else None


def why_not_joined(table: Path, naming: Sequence[Path]) -> str:
    """What to do with a table that names no image, and has a column of one of `naming`, which do; "" if it has none."""
    if table_suffix(table) is None or not _has_header(columns := _peeked(table)):
        return ""
    for other in naming:
        others = _peeked(other) if table_suffix(other) and other.parent == table.parent else {}
        if _has_header(others) and (shared := shared_columns(others, columns)):
            names = ", ".join(f"`{theirs}`" for _, theirs in shared[:3])
            return (
                f"; its {names} may tell rows of {other.name}, which names images, but not surely: for these texts, "
                "make one table of both"
            )
    return ""


def shared_columns(columns: Columns, others: Columns) -> list[tuple[str, str]]:
    """The columns of two tables that may tell which rows belong together, as both call them."""
    ours, theirs = ({name.strip().lower(): name for name in each} for each in (columns, others))
    of_images = next((theirs[name] for name in _OF_IMAGES if name in theirs), None)
    if of_images is not None and of_images.lower() not in ours and _ID in ours:
        return [(ours[_ID], of_images)]
    if of_images is not None and of_images.lower() in ours:
        return [(ours[of_images.lower()], of_images)]
    return [(ours[name], theirs[name]) for name in ours if name in theirs]


def _joinable(table: Path, columns: Columns, other: Path, are_images: NameImages) -> Partner | None:
    others = _peeked(other)
    keys = shared_columns(columns, others) if _has_header(others) else []
    if len(keys) != 1 or not any(map(could_be_texts, (others[name] for name in others if name != keys[0][1]))):
        return None
    key, other_key = keys[0]
    naming = [name for name in others if are_images(others[name], other)]
    if naming and not (naming == [other_key] and _names_files(columns, key) and not _names_files(others, "")):
        return None  # unless an id happens to be the number of an image, of which the first table tells the file
    try:
        if max(table.stat().st_size, other.stat().st_size) > _MOST_BYTES:
            return None
        first, found = (read_raw_table(each, None, None, []) for each in (table, other))
        if any(len(set(each.column_names)) < each.num_columns for each in (first, found)):
            return None
        ours = _keys(first[key])
        theirs = _keys(found[other_key])
    except (OSError, KeyError, OpenAlignError, pa.ArrowException):
        return None
    is_of_all = bool(split_of(table.name)) and not split_of(other.name)
    agree = (
        _share(ours, theirs) >= _NEARLY_ALL if is_of_all else min(_share(ours, theirs), _share(theirs, ours)) >= _ENOUGH
    )
    is_key = _are_distinct(ours) or _are_distinct(theirs)
    return Partner(other, key, other_key, found, is_of_all) if is_key and agree else None


def _names_files(columns: Columns, besides: str) -> bool:
    """Whether a column other than `besides` has the names of image files."""
    return any(is_image_file(value) for name, values in columns.items() if name != besides for value in values)


def _share(some: pa.Array, others: pa.Array) -> float:
    """The share of the keys of a table that another one has."""
    return float(pc.mean(pc.is_in(pc.unique(some.drop_null()), others).cast(pa.int8())).as_py() or 0)


def _peeked(table: Path) -> Columns:
    try:
        return first_columns(table)
    except (OSError, ValueError, pa.ArrowException, OpenAlignError, csv.Error, RecursionError):
        return {}


def _has_header(columns: Columns) -> bool:
    return bool(columns) and not any(name.startswith(UNNAMED_COLUMN) for name in columns)


def could_be_texts(values: list[str | None]) -> bool:
    """Whether values are neither all ids and numbers nor names of files, as lists of images and boxes have beside them.

    Of JSON only the names are looked at.
    """
    filled = [value for value in values if value]
    return bool(filled) and not are_ids(filled) and not all(map(is_image_file, filled))


def _keys(column: pa.ChunkedArray) -> pa.Array:
    """The keys as texts, null for none: `17` also for the 17.0 that pandas writes."""
    texts = pc.utf8_trim_whitespace(column.cast(pa.string()).combine_chunks())
    texts = pc.replace_substring_regex(texts, r"^(\d+)\.0+$", r"\1")
    return pc.if_else(pc.equal(texts, ""), None, texts)


def _are_distinct(keys: pa.Array) -> bool:
    filled = keys.drop_null()
    return len(pc.unique(filled)) == len(filled)


def _as_lists(table: pa.Table, places: pa.Array, rows: int) -> pa.Table:
    """The texts of each of `rows` places, as lists; `places` has that of each row, null for none."""
    known = np.flatnonzero(places.is_valid().to_numpy(zero_copy_only=False))
    place_N = places.take(pa.array(known)).to_numpy(zero_copy_only=False).astype(np.int64)
    order = known[np.argsort(place_N, kind="stable")]
    ends = np.concatenate([[0], np.cumsum(np.bincount(place_N, minlength=rows))])
    offsets = pa.array(ends, pa.int64())
    columns = {}
    for name in table.column_names:
        if is_text(table[name].type):
            values = table[name].cast(pa.string()).take(pa.array(order)).combine_chunks()
            columns[name] = pa.LargeListArray.from_arrays(offsets, values)
    return pa.table(columns)
