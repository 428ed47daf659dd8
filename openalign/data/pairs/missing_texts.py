"""Texts that say nothing of an image: the markers of missing values, the names of image files, JSON objects."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from openalign.data.images.formats import is_image_name
from openalign.data.pairs.pairs import Pairs
from openalign.options import option

_NO_TEXT = ("\\N", "<NA>", "#N/A")
"""The markers of MySQL and PostgreSQL, of pandas and of Excel, which are no words of any language."""
_PERHAPS_NO_TEXT = ("nan", "NaN", "NAN", "NULL", "Null", "null", "None", "none", "N/A", "n/a", "NA")
"""Markers that may be texts: nan is also a bread."""
_LONGEST = max(map(len, (*_NO_TEXT, *_PERHAPS_NO_TEXT)))
"""Bytes of the longest; others are not compared, since tables may have millions of texts."""


_SAMPLE = 1000
_MOST_LISTED = 3
_MOST_SHOWN = 40


def without_markers(pairs: Pairs) -> Pairs:
    """The pairs without a text where it is a marker of a missing value, or the name of a file; others are noted."""
    if pairs.table["text"].null_count == len(pairs):
        return pairs
    problems: list[str] = []
    table = cleared_of_markers(pairs.table, pairs.name, problems)
    if table is pairs.table and not problems:
        return pairs
    return replace(pairs, table=table, problems=(*pairs.problems, *problems))


def cleared_of_markers(table: pa.Table, where: str, problems: list[str]) -> pa.Table:
    """A table without such texts in its column `text`; a note on others is added to `problems`."""
    table = _cleared_of_objects(_cleared_of_file_names(table, where, problems), where, problems)
    texts = table["text"]
    short = texts.filter(pc.less_equal(pc.binary_length(texts), _LONGEST))
    kept = _among(short, _PERHAPS_NO_TEXT)
    if some := pc.value_counts(kept).to_pylist():
        listed = ", ".join(f"`{each['values']}` {each['counts']:,}" for each in some)
        problems.append(
            f"{where}: {len(kept):,} texts may be markers of missing values ({listed}), and are read as texts: "
            "leave them empty if they are none"
        )
    if not len(_among(short, _NO_TEXT)):
        return table
    is_marker = pc.fill_null(pc.is_in(texts, pa.array(_NO_TEXT)), False)
    cleared = pc.if_else(is_marker, pa.scalar(None, pa.string()), texts)
    return table.set_column(table.column_names.index("text"), "text", cleared)


def _cleared_of_file_names(table: pa.Table, where: str, problems: list[str]) -> pa.Table:
    """The table without texts such as `IMG_2041.jpg`, if most are; as titles are of photos that nobody gave one."""
    texts: list[str | None] = table["text"].slice(0, _SAMPLE).to_pylist()
    some = [text for text in texts if text]
    if not some or 2 * sum(map(_is_file_name, some)) <= len(some):
        return table
    every: list[str | None] = table["text"].to_pylist()
    names = [text for text in every if text and _is_file_name(text)]
    problems.append(
        f"{where}: {len(names):,} texts are names of image files ({', '.join(names[:_MOST_LISTED])}), and are not "
        f"taken for what the images show: {option('text_column')} takes other ones"
    )
    cleared = pa.array([None if text and _is_file_name(text) else text for text in every], pa.string())
    return table.set_column(table.column_names.index("text"), "text", cleared)


def _cleared_of_objects(table: pa.Table, where: str, problems: list[str]) -> pa.Table:
    """The table without texts that are objects as JSON writes them: data about an image, not what it shows."""
    begins = pc.or_(pc.starts_with(table["text"], "{"), pc.less(table["text"], "!"))  # or with whitespace
    begins = pc.fill_null(begins, False)
    if not pc.any(begins).as_py():
        return table
    texts: list[str | None] = table["text"].to_pylist()
    rows = [row for row in np.flatnonzero(begins.to_numpy()).tolist() if _is_object(texts[row] or "")]
    if not rows:
        return table
    problems.append(
        f"{where}: {len(rows):,} texts are JSON objects ({(texts[rows[0]] or '').strip()[:_MOST_SHOWN]}), and are not "
        f"taken for what the images show: {option('text_column')} takes other ones"
    )
    for row in rows:
        texts[row] = None
    return table.set_column(table.column_names.index("text"), "text", pa.array(texts, pa.string()))


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _is_file_name(text: str) -> bool:
    return is_image_name(text.strip()) and "." in text and len(text.split()) == 1


def _among(texts: pa.ChunkedArray, markers: tuple[str, ...]) -> pa.ChunkedArray:
    return texts.filter(pc.is_in(texts, pa.array(markers)))
