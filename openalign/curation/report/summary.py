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
from openalign.curation.rules.table import RULES, Rule, why_not_run
from openalign.curation.sources.extract import Extracted
from openalign.data.pairs.pairs import Pairs

_PROBLEMS_LISTED = 200
_TOP = 15


@dataclass(frozen=True)
class Curated:
    """What a curation found, for the report to count and show: tables still in the engine, and what was read."""

    engine: Engine
    judged: ir.Table  # a row a pair, see relations.judge_pairs
    seen: ir.Table  # a row a judged image, see judge.JUDGED
    extracted: Extracted
    tests: tuple[Pairs, ...]
    problems: tuple[str, ...]
    folder: Path  # where the outputs are being written
    recipe: CurateRecipe


def summarise(curated: Curated, run: dict[str, Any], truth: Path | None) -> dict[str, Any]:
    """The content of report.json: every number of a run, none of its images.

    `run` says what was run; `truth` is the table that rules are scored against (see `truth.score_rules`).
    """
    judged, seen = curated.judged, curated.seen
    pairs = judged.agg(
        pairs=_.count(),
        kept=(~judged.dropped).sum(),
        dropped=judged.dropped.sum(),
        images=_.image.nunique(),
        texts=_.text.nunique(),
    )
    running = [rule for rule in RULES if why_not_run(rule, curated.recipe, test_set=bool(curated.tests)) is None]
    scores = score_rules(curated.engine, judged, truth, running) if truth else None
    problems = [*curated.extracted.problems, *_unexpected(seen), *curated.problems]
    report = {
        "pairs": {"occurrences": curated.extracted.occurrences.count().execute()} | _only_row(pairs),
        "pages": curated.extracted.pages,
        "records": curated.extracted.records,
        "images": _only_row(seen.agg(judged=_.count(), readable=_.problem.isnull().sum())),
        "rules": _rule_numbers(curated, running, scores),
        "histograms": {
            "words_per_text": histograms.words_per_text(judged, curated.recipe),
            "shorter_side": histograms.shorter_sides(seen, curated.recipe),
            "aspect_ratio": histograms.aspect_ratios(seen, curated.recipe),
            "language": histograms.languages(curated.folder / "pairs.parquet"),
        },
        "most_shared_texts": _most_shared(judged),
        "hosts": _frequent(judged, "host"),
        "image_problems": _frequent(seen.mutate(problem=seen.problem.re_replace(r"\S*/\S*", "...")), "problem"),
        "problems": {"count": len(problems), "first": problems[:_PROBLEMS_LISTED]},
        "run": run,
    }
    if scores is not None:
        report["truth"] = {name: scores[name] for name in ("matched", "unknown", "missing")}
    return report


def _unexpected(seen: ir.Table) -> list[str]:
    """A line for each image at which code of ours or of a library failed as nobody foresaw."""
    failed = seen.filter(seen.problem.startswith(UNEXPECTED)).select("image", "problem").order_by("image")
    return [Problem(row["problem"]).of(row["image"]) for row in failed.to_pyarrow().to_pylist()]


def _rule_numbers(curated: Curated, running: list[Rule], scores: dict[str, Any] | None) -> list[dict[str, Any]]:
    """One entry a rule, in order: how many pairs break it, and how many of them no rule before it dropped (`first`)."""
    judged, recipe = curated.judged, curated.recipe
    counts: dict[str, Any] = {rule.name: judged[rule.name].sum() for rule in running}
    counts |= {f"{rule.name} first": (judged["first"] == place).sum() for place, rule in enumerate(running)}
    row = _only_row(judged.agg(**counts, looked_at=judged.looked_at.sum(), pairs=judged.count()))
    remaining = row["pairs"]
    entries = []
    for rule in RULES:
        entry: dict[str, Any] = {"name": rule.name, "section": rule.section, "says": rule.described(recipe)}
        entry["threshold"] = rule.threshold(recipe)
        if rule not in running:
            entries.append(entry | {"ran": False, "why_not": why_not_run(rule, recipe, test_set=bool(curated.tests))})
            continue
        remaining -= row[f"{rule.name} first"]
        entry |= {
            "ran": True,
            "judged": row["looked_at"] if rule.of_image else row["pairs"],
            "broken": row[rule.name],
            "share": row[rule.name] / max(1, row["pairs"]),
            "first": row[f"{rule.name} first"],
            "remaining": remaining,
        }
        entries.append(entry | (scores["rules"][rule.name] if scores else {}))
    return entries


def _most_shared(judged: ir.Table) -> list[dict[str, Any]]:
    texts = judged.filter(judged.text.notnull()).group_by("text").agg(images=_.images_of_text.max())
    rows: list[dict[str, Any]] = texts.order_by(ibis.desc("images"), "text").limit(_TOP).to_pyarrow().to_pylist()
    return rows


def _frequent(table: ir.Table, column: str) -> dict[str, int]:
    """The most frequent values of a column with their counts, most frequent first."""
    counts = table.filter(table[column].notnull()).group_by(column).agg(times=_.count())
    rows: pa.Table = counts.order_by(ibis.desc("times"), column).limit(_TOP).to_pyarrow()
    return dict(zip(rows[column].to_pylist(), rows["times"].to_pylist(), strict=True))


def _only_row(table: ir.Table) -> dict[str, int]:
    return {name: int(value or 0) for name, value in table.to_pyarrow().to_pylist()[0].items()}
