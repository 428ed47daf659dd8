"""The numbers of a curation, as report.json holds them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
from ibis import _

from openalign.curation.engine.base import Engine
from openalign.curation.isolation.records import UNEXPECTED, Problem
from openalign.curation.recipe import CurateRecipe
from openalign.curation.report import histograms
from openalign.curation.report.truth import score_rules
from openalign.curation.rules.rule import Rule
from openalign.curation.rules.table import RULES
from openalign.curation.sources.extract import Extracted
from openalign.data.left_out import counted
from openalign.data.pairs.pairs import Pairs

_PROBLEMS_LISTED = 200
_TOP = 15


@dataclass(frozen=True)
class Curated:
    """The result of a curation, for the report to count and show; its tables are still in the engine."""

    engine: Engine
    pairs: ir.Table
    """One row per pair, see `evaluation.evaluate`."""
    inspected: ir.Table
    """One row per inspected image, see `inspection.INSPECTED`."""
    rules: tuple[Rule, ...]
    """Those that ran, in order."""
    extracted: Extracted
    test_sets: tuple[Pairs, ...]
    problems: tuple[str, ...]
    folder: Path
    """Where the outputs are being written."""
    recipe: CurateRecipe


def summarise(curated: Curated, run: dict[str, Any], truth: Path | None) -> dict[str, Any]:
    """The content of report.json: every number of a run, none of its images.

    `run` says what was run; `truth` is the table that rules are scored against (see `truth.score_rules`).
    """
    pairs, inspected = curated.pairs, curated.inspected
    counts = pairs.agg(
        pairs=_.count(),
        kept=(~pairs.dropped).sum(),
        dropped=pairs.dropped.sum(),
        images=_.image.nunique(),
        texts=_.text.nunique(),
    )
    scores = score_rules(curated.engine, pairs, truth, curated.rules) if truth else None
    problems = [*curated.problems, *_unexpected(inspected)]
    report = {
        "pairs": {"occurrences": curated.extracted.occurrences.count().to_pyarrow().as_py()} | _only_row(counts),
        "pages": curated.extracted.pages,
        "records": curated.extracted.records,
        "images": _only_row(inspected.agg(judged=_.count(), readable=_.problem.isnull().sum())),
        "rules": _rule_numbers(curated, scores),
        "histograms": {
            "words_per_text": histograms.words_per_text(pairs, curated.recipe),
            "shorter_side": histograms.shorter_sides(inspected, curated.recipe),
            "aspect_ratio": histograms.aspect_ratios(inspected, curated.recipe),
            "language": histograms.languages(curated.folder / "pairs.parquet"),
        },
        "most_shared_texts": _most_shared(pairs),
        "hosts": _frequent(pairs, "host"),
        "image_problems": _frequent(
            inspected.mutate(problem=inspected.problem.re_replace(r"\S*/\S*", "...")), "problem"
        ),
        "problems": {"count": len(problems), "lost": counted(problems), "first": problems[:_PROBLEMS_LISTED]},
        "read_as": curated.extracted.readings,
        "run": run,
    }
    if scores is not None:
        report["truth"] = {name: scores[name] for name in ("matched", "unknown", "missing")}
    return report


def _unexpected(inspected: ir.Table) -> list[str]:
    """A line for each image on which openalign or a library failed with an error that it does not expect."""
    failed = inspected.filter(inspected.problem.startswith(UNEXPECTED)).select("image", "problem").order_by("image")
    return [Problem(row["problem"]).of(row["image"]) for row in failed.to_pyarrow().to_pylist()]


def _rule_numbers(curated: Curated, scores: dict[str, Any] | None) -> list[dict[str, Any]]:
    """One entry per rule, in order: pairs that break it, and those of them that no rule before it drops (`first`)."""
    pairs, recipe = curated.pairs, curated.recipe
    counts: dict[str, Any] = {rule.name: pairs[rule.name].sum() for rule in curated.rules}
    counts |= {f"{rule.name} first": (pairs["first"] == number).sum() for number, rule in enumerate(curated.rules)}
    row = _only_row(pairs.agg(**counts, inspected=pairs.inspected.sum(), pairs=pairs.count()))
    remaining = row["pairs"]
    entries = []
    for rule in RULES:
        entry: dict[str, Any] = {"name": rule.name, "section": rule.section, "says": rule.described(recipe)}
        entry["threshold"] = rule.threshold(recipe)
        if rule not in curated.rules:
            entries.append(entry | {"ran": False, "why_not": rule.why_not_run(recipe, bool(curated.test_sets))})
            continue
        remaining -= row[f"{rule.name} first"]
        entry |= {
            "ran": True,
            "judged": row["inspected"] if rule.of_image else row["pairs"],
            "broken": row[rule.name],
            "share": row[rule.name] / max(1, row["pairs"]),
            "first": row[f"{rule.name} first"],
            "remaining": remaining,
        }
        entries.append(entry | (scores["rules"][rule.name] if scores else {}))
    return entries


def _most_shared(pairs: ir.Table) -> list[dict[str, Any]]:
    texts = pairs.filter(pairs.text.notnull()).group_by("text").agg(images=_.images_of_text.max())
    rows: list[dict[str, Any]] = texts.order_by(ibis.desc("images"), "text").limit(_TOP).to_pyarrow().to_pylist()
    return rows


def _frequent(table: ir.Table, column: str) -> dict[str, int]:
    """The most frequent values of a column with their counts, most frequent first."""
    counts = table.filter(table[column].notnull()).group_by(column).agg(times=_.count())
    rows: pa.Table = counts.order_by(ibis.desc("times"), column).limit(_TOP).to_pyarrow()
    return dict(zip(rows[column].to_pylist(), rows["times"].to_pylist(), strict=True))


def _only_row(table: ir.Table) -> dict[str, int]:
    return {name: int(value or 0) for name, value in table.to_pyarrow().to_pylist()[0].items()}
