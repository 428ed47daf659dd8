"""What the commands print: tables that fit 80 columns, what was left out, and JSON."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from openalign.search.index import Hit


def print_table(table: Table) -> None:
    """Print a table on standard output."""
    Console().print(table)


def print_json(content: Mapping[str, Any]) -> None:
    """Print one object on standard output."""
    print(json.dumps(content, ensure_ascii=False, indent=2))


def curated_table(report: Mapping[str, Any]) -> Table:
    """Each rule of a curation: the pairs that break it, their share, and the pairs left after it."""
    pairs = report["pairs"]
    table = _table(f"{pairs['pairs']:,} pairs, {pairs['kept']:,} kept", "rule", "pairs that break it", "share", "left")
    scored = any("precision" in rule for rule in report["rules"])
    for heading in ("precision", "recall") if scored else ():
        table.add_column(heading, justify="right")
    for rule in report["rules"]:
        if not rule["ran"]:
            table.add_row(rule["name"], "not run", style="dim")
            continue
        scores = [_percent(rule.get(name)) for name in ("precision", "recall")] if scored else []
        table.add_row(rule["name"], f"{rule['broken']:,}", _percent(rule["share"]), f"{rule['remaining']:,}", *scores)
    return table


def hits_table(hits: Sequence["Hit"]) -> Table:
    """The answers to a query, best first."""
    table = _table("", "score", "image", "text")
    table.columns[1].justify = table.columns[2].justify = "left"
    table.columns[1].overflow = "fold"  # a path that is cut cannot be opened
    for hit in hits:
        table.add_row(f"{hit.score:.3f}", Text(_near(hit.image)), Text(hit.text or ""))
    return table


def hits_json(hits: Sequence["Hit"]) -> list[dict[str, Any]]:
    """The results of a query, best first."""
    return [{name: getattr(hit, name) for name in ("row", "image", "text", "page", "score")} for hit in hits]


def labels_json(found: Mapping[str, Sequence[tuple[str, float]]]) -> list[dict[str, Any]]:
    """The most probable labels of each image."""
    return [
        {"image": image, "labels": [{"label": label, "probability": share} for label, share in labels]}
        for image, labels in found.items()
    ]


def labels_table(found: Mapping[str, Sequence[tuple[str, float]]]) -> Table:
    """The most probable labels of each image."""
    table = _table("", "image", "label", "share")
    table.columns[0].overflow = "fold"
    table.columns[1].justify = "left"
    for image, labels in found.items():
        for place, (label, share) in enumerate(labels):
            table.add_row(Text(image if place == 0 else ""), Text(label), _percent(share))
    return table


def _table(title: str, *headings: str) -> Table:
    """A table whose first column holds names and whose others hold numbers."""
    table = Table(title=title or None, title_justify="left")
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place else "left")
    return table


def _near(image: str) -> str:
    """A path below the working folder as the user would type it; others, and URLs, as they are."""
    return image.removeprefix(f"{Path.cwd()}/")


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"
