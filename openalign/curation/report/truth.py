"""Precision and recall of each rule, where the truth about the pairs is known."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow.parquet as pq
from ibis import _

from openalign.curation.engine.base import Engine
from openalign.curation.rules.rule import Rule
from openalign.errors import OpenAlignError


def score_rules(engine: Engine, pairs: ir.Table, path: Path, rules: Sequence[Rule]) -> dict[str, Any]:
    """Precision and recall of each rule against the truth in `path` (Parquet: `image`, `text`, `reasons`).

    A rule is scored over the pairs that it was evaluated on and the truth knows; the other counts are of the pairs that
    only one side has. A precision or recall of 0 / 0 is None. Raises OpenAlignError if the file is no such table.
    """
    known = _read_truth(engine, path)
    keyed = pairs.mutate(text_key=pairs.text.fill_null(""))
    both = keyed.inner_join(known, ["image", "text_key"])
    counts: dict[str, Any] = {"matched": _.count()}
    for rule in rules:
        broken, true = both[rule.name], both.truth.contains(rule.name)
        evaluated = both.inspected if rule.of_image else ibis.literal(True)
        counts[f"{rule.name} both"] = (broken & true & evaluated).sum()
        counts[f"{rule.name} broken"] = (broken & evaluated).sum()
        counts[f"{rule.name} true"] = (true & evaluated).sum()
    row = {name: int(value or 0) for name, value in engine.fetch(both.agg(**counts))[0].items()}
    return {
        "matched": row["matched"],
        "unknown": engine.count(pairs) - row["matched"],
        "missing": engine.count(known) - row["matched"],
        "rules": {
            rule.name: {
                "precision": _share(row[f"{rule.name} both"], row[f"{rule.name} broken"]),
                "recall": _share(row[f"{rule.name} both"], row[f"{rule.name} true"]),
                "true": row[f"{rule.name} true"],
            }
            for rule in rules
        },
    }


def _read_truth(engine: Engine, path: Path) -> ir.Table:
    """One row per distinct pair: `image`, `text_key`, and `truth`, the list of the rules it breaks."""
    try:
        columns = set(pq.read_schema(path).names)
    except (OSError, ValueError) as error:
        raise OpenAlignError(f"the truth {path} cannot be read as Parquet: {error}") from None
    missing = sorted({"image", "text", "reasons"} - columns)
    if missing:
        raise OpenAlignError(f"the truth {path} has no column {missing[0]}: it needs image, text and reasons")
    table = engine.read([path])
    # Spread and collected again, so that a pair on many pages is one row with all its reasons.
    reasons = table.select("image", text_key=table.text.fill_null(""), reason=table.reasons).unnest(
        "reason", keep_empty=True
    )
    return reasons.group_by("image", "text_key").agg(truth=_.reason.fill_null("").collect(distinct=True))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
