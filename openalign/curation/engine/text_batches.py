"""A function of each text of a piece, and the lines for those texts of which it raised."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from openalign.curation.isolation.records import Problem

_SHOWN = 60  # characters of a text in the report's line


def table_of_texts(texts: pa.ChunkedArray, function: Callable[[str], str | Problem], schema: pa.Schema) -> pa.Table:
    """`schema`: a text, what `function` (one that `records.one_record` wraps) makes of it or null, and the problem."""
    found = [function(text) for text in texts.to_pylist()]
    values = [None if isinstance(each, Problem) else each for each in found]
    reasons = [each.reason if isinstance(each, Problem) else None for each in found]
    return pa.table([texts, pa.array(values, pa.string()), pa.array(reasons, pa.string())], schema=schema)


def problems_of_texts(files: Sequence[Path]) -> list[str]:
    """A line for each text of these files that has a `problem`."""
    lines = []
    for file in files:
        table = pq.read_table(file, columns=["text", "problem"])
        failed = table.filter(table["problem"].is_valid())
        lines += [problem_of_text(row["text"], Problem(row["problem"])) for row in failed.to_pylist()]
    return lines


def problem_of_text(text: str, problem: Problem) -> str:
    return problem.of(f"text {text[:_SHOWN]!r}")
