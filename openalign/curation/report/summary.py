"""The numbers of a curation, as report.json holds them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
from ibis import _

from openalign.curation.engine.base import Engine
from openalign.curation.isolation.records import UNEXPECTED, Problem
from openalign.curation.recipe import CurateRecipe
from openalign.curation.report import histograms
from openalign.curation.report.truth import score_rules
from openalign.curation.rules.rule import Rule
from openalign.curation.rules.table import RULES
from openalign.curation.sources.extract import Extracted
from openalign.data.images.frames import further_frames
from openalign.data.left_out import counted
from openalign.data.pairs.pairs import Pairs

Fetch = Callable[[ir.Table], list[dict[str, Any]]]
"""`Engine.fetch`."""
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
    pairs, inspected, fetch = curated.pairs, curated.inspected, curated.engine.fetch
    counts = _counts(curated)
    sides, ratios = histograms.shorter_sides_and_aspect_ratios(curated.engine, inspected, curated.recipe)
    scores = score_rules(curated.engine, pairs, truth, curated.rules) if truth else None
    unexpected = inspected.problem.startswith(UNEXPECTED)
    images = _only_row(
        fetch, inspected.agg(judged=_.count(), readable=_.problem.isnull().sum(), unexpected=unexpected.sum())
    )
    unexpected_ones = _unexpected(fetch, inspected) if images.pop("unexpected") else ()
    problems = [*curated.problems, *unexpected_ones, *_further_frames(fetch, inspected)]
    report = {
        "pairs": {"occurrences": curated.engine.count(curated.extracted.occurrences)}
        | {name: counts[name] for name in ("pairs", "kept", "dropped", "images", "texts")},
        "pages": curated.extracted.pages,
        "records": curated.extracted.records,
        "images": images,
        "rules": _rule_numbers(curated, counts, scores),
        "histograms": {
            "words_per_text": histograms.words_per_text(curated.engine, pairs, curated.recipe),
            "shorter_side": sides,
            "aspect_ratio": ratios,
            "language": histograms.languages(curated.folder / "pairs.parquet"),
        },
        "most_shared_texts": _most_shared(fetch, pairs),
        "hosts": _frequent(fetch, pairs, "host"),
        "image_problems": _frequent(
            fetch, inspected.mutate(problem=inspected.problem.re_replace(r"\S*/\S*", "...")), "problem"
        ),
        "problems": {"count": len(problems), "lost": counted(problems), "first": problems[:_PROBLEMS_LISTED]},
        "read_as": curated.extracted.readings,
        "run": run,
    }
    if scores is not None:
        report["truth"] = {name: scores[name] for name in ("matched", "unknown", "missing")}
    return report


def _counts(curated: Curated) -> dict[str, int]:
    """All that is counted over the pairs, in one query."""
    pairs = curated.pairs
    counts: dict[str, Any] = {
        "pairs": _.count(),
        "kept": (~pairs.dropped).sum(),
        "dropped": pairs.dropped.sum(),
        "images": _.image.nunique(),
        "texts": _.text.nunique(),
        "inspected": pairs.inspected.sum(),
    }
    for number, rule in enumerate(curated.rules):
        counts |= {f"rule {rule.name}": pairs[rule.name].sum(), f"first {rule.name}": (pairs["first"] == number).sum()}
    return _only_row(curated.engine.fetch, pairs.agg(**counts))


def _unexpected(fetch: Fetch, inspected: ir.Table) -> list[str]:
    """A line for each image on which openalign or a library failed with an error that it does not expect."""
    failed = inspected.filter(inspected.problem.startswith(UNEXPECTED)).select("image", "problem").order_by("image")
    return [Problem(row["problem"]).of(row["image"]) for row in fetch(failed)]


def _further_frames(fetch: Fetch, inspected: ir.Table) -> list[str]:
    """A message on the images of which only the first page or frame was looked at."""
    several = inspected.filter(inspected.frames > 1).select("image", "frames").order_by("image")
    return further_frames({row["image"]: row["frames"] for row in fetch(several)}, "images that were inspected")


def _rule_numbers(curated: Curated, counts: dict[str, int], scores: dict[str, Any] | None) -> list[dict[str, Any]]:
    """One entry per rule, in order: pairs that break it, and those of them that no rule before it drops (`first`)."""
    recipe, remaining = curated.recipe, counts["pairs"]
    entries = []
    for rule in RULES:
        entry: dict[str, Any] = {"name": rule.name, "section": rule.section, "says": rule.described(recipe)}
        entry["threshold"] = rule.threshold(recipe)
        if rule not in curated.rules:
            entries.append(entry | {"ran": False, "why_not": rule.why_not_run(recipe, bool(curated.test_sets))})
            continue
        broken, first = counts[f"rule {rule.name}"], counts[f"first {rule.name}"]
        remaining -= first
        entry |= {
            "ran": True,
            "judged": counts["inspected" if rule.of_image else "pairs"],
            "broken": broken,
            "share": broken / max(1, counts["pairs"]),
            "first": first,
            "remaining": remaining,
        }
        entries.append(entry | (scores["rules"][rule.name] if scores else {}))
    return entries


def _most_shared(fetch: Fetch, pairs: ir.Table) -> list[dict[str, Any]]:
    texts = pairs.filter(pairs.text.notnull()).group_by("text").agg(images=_.images_of_text.max())
    return fetch(texts.order_by(ibis.desc("images"), "text").limit(_TOP))


def _frequent(fetch: Fetch, table: ir.Table, column: str) -> dict[str, int]:
    """The most frequent values of a column with their counts, most frequent first."""
    counts = table.filter(table[column].notnull()).group_by(column).agg(times=_.count())
    return {row[column]: row["times"] for row in fetch(counts.order_by(ibis.desc("times"), column).limit(_TOP))}


def _only_row(fetch: Fetch, table: ir.Table) -> dict[str, int]:
    [row] = fetch(table)
    return {name: int(value or 0) for name, value in row.items()}
