"""Output of the commands: tables of at most 80 columns, problems and JSON."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from openalign.search.index import Hit
    from openalign.search.query.terms import Query


def print_table(table: Table) -> None:
    """Print a table on standard output."""
    Console().print(table)


def print_json(content: Mapping[str, Any]) -> None:
    """Print a JSON object on standard output."""
    print(json.dumps(content, ensure_ascii=False, indent=2))


def print_curated(report: Mapping[str, Any]) -> None:
    """Print what each rule of a curation dropped."""
    print_table(curated_table(report))


def curated_table(report: Mapping[str, Any]) -> Table:
    """A table of the rules of a curation: pairs that break it, their share, and pairs left after it."""
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
    """A table of search results, best first."""
    table = _table("", "score", "image", "text")
    table.columns[1].justify = table.columns[2].justify = "left"
    table.columns[1].overflow = "fold"  # a truncated path cannot be opened
    for hit in hits:
        table.add_row(f"{hit.score:.3f}", Text(_relative(hit.image)), Text(hit.text or ""))
    return table


def hits_json(hits: Sequence["Hit"]) -> list[dict[str, Any]]:
    """Search results for JSON, best first."""
    return [{name: getattr(hit, name) for name in ("row", "image", "text", "texts", "page", "score")} for hit in hits]


def terms_json(query: "Query") -> list[dict[str, Any]]:
    """The terms of a query for JSON: a text, the path of an image or a row, and its weight with its sign."""
    content = []
    for term, weight in zip(query.terms, query.weights, strict=True):
        path = None if term.image is None else term.path
        given = {"text": term.text, "image": path, "row": term.row}
        content.append({key: value for key, value in given.items() if value is not None} | {"weight": weight})
    return content


def labels_json(found: Mapping[str, Sequence[tuple[str, float]]]) -> list[dict[str, Any]]:
    """The most probable labels of each image, for JSON."""
    return [
        {"image": image, "labels": [{"label": label, "probability": share} for label, share in labels]}
        for image, labels in found.items()
    ]


def labels_table(found: Mapping[str, Sequence[tuple[str, float]]]) -> Table:
    """A table of the most probable labels of each image."""
    table = _table("", "image", "label", "share")
    table.columns[0].overflow = "fold"
    table.columns[1].justify = "left"
    for image, labels in found.items():
        for rank, (label, share) in enumerate(labels):
            table.add_row(Text(image if rank == 0 else ""), Text(label), _percent(share))
    return table


def _table(title: str, *headings: str) -> Table:
    """A table with names in the first column and numbers in the others."""
    table = Table(title=title or None, title_justify="left")
    for column, heading in enumerate(headings):
        table.add_column(heading, justify="right" if column else "left")
    return table


def _relative(image: str) -> str:
    """A path relative to the working directory if it is inside; other paths and URLs unchanged."""
    return image.removeprefix(f"{Path.cwd()}/")


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"
