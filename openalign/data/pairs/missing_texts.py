"""Texts that are the marker of a missing value, as programs write it into tables of text."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from openalign.data.pairs.pairs import Pairs

_NO_TEXT = ("\\N", "<NA>", "#N/A")
"""The markers of MySQL and PostgreSQL, of pandas and of Excel, which are no words of any language."""
_PERHAPS_NO_TEXT = ("nan", "NaN", "NAN", "NULL", "Null", "null", "None", "none", "N/A", "n/a", "NA")
"""Markers that may be texts: nan is also a bread."""
_LONGEST = max(map(len, (*_NO_TEXT, *_PERHAPS_NO_TEXT)))
"""Bytes of the longest; others are not compared, since tables may have millions of texts."""


def without_markers(pairs: Pairs) -> Pairs:
    """The pairs without a text where it is a marker of a missing value that is no word; others are noted."""
    problems: list[str] = []
    table = cleared_of_markers(pairs.table, pairs.name, problems)
    if table is pairs.table and not problems:
        return pairs
    return replace(pairs, table=table, problems=(*pairs.problems, *problems))


def cleared_of_markers(table: pa.Table, where: str, problems: list[str]) -> pa.Table:
    """A table without such texts in its column `text`; a note on others is added to `problems`."""
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


def _among(texts: pa.ChunkedArray, markers: tuple[str, ...]) -> pa.ChunkedArray:
    return texts.filter(pc.is_in(texts, pa.array(markers)))
