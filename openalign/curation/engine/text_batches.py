"""A function applied to each text of a partition, and error messages for the texts on which it failed."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from openalign.curation.isolation.records import Problem

_SHOWN = 60  # characters of a text in an error message


def table_of_texts(texts: pa.ChunkedArray, function: Callable[[str], str | Problem], schema: pa.Schema) -> pa.Table:
    """A table of `schema`: text, result of `function` (wrapped by `records.one_record`) or null, problem or null."""
    results = [function(text) for text in texts.to_pylist()]
    values = [None if isinstance(result, Problem) else result for result in results]
    reasons = [result.reason if isinstance(result, Problem) else None for result in results]
    return pa.table([texts, pa.array(values, pa.string()), pa.array(reasons, pa.string())], schema=schema)


def problems_of_texts(files: Sequence[Path]) -> list[str]:
    """An error message for each text in these files that has a `problem`."""
    lines = []
    for file in files:
        table = pq.ParquetFile(file).read(["text", "problem"])
        failed = table.filter(table["problem"].is_valid())
        lines += [problem_of_text(row["text"], Problem(row["problem"])) for row in failed.to_pylist()]
    return lines


def problem_of_text(text: str, problem: Problem) -> str:
    """The error message for one text."""
    return problem.of(f"text {text[:_SHOWN]!r}")
