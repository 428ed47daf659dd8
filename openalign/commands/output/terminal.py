"""Output of the commands: tables of at most 80 columns, problems and JSON."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from openalign.options import option

if TYPE_CHECKING:
    from openalign.search.query.terms import Query
    from openalign.search.results.hits import Hit, Hits

CLOSEST = 3
"""Images that are shown where nothing matches."""


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
        style = None if hit.within else "dim"
        alike = Text(f"\n+{hit.alike:,} alike", style="dim") if hit.alike else Text()
        image = Text(_relative(hit.image)) + alike
        table.add_row(f"{hit.score:.3f}", image, Text(hit.caption or hit.text or ""), style=style)
    return table


def print_hits(hits: "Hits", *, show_all: bool, conditions: bool = False) -> None:
    """Print the results that match, and how many more lie beyond the mark; with `show_all` those too, dimmed.

    `conditions` says whether the search had any.
    """
    if not hits:
        why = "no image meets the conditions" if conditions else "the index has no other image"
        print(f"Nothing matches: {why}.")
        return
    if hits.nothing_matches:
        shown = hits if show_all else hits[:CLOSEST]
        closest = "most similar image, which probably shows"
        if len(shown) > 1:
            closest = f"{len(shown)} most similar images, which probably show"
        print(f"Nothing matches. The {closest} something else:")
    else:
        shown = hits if show_all else [hit for hit in hits if hit.within]
    print_table(hits_table(shown))
    if hits.note:
        print(hits.note)
    if len(shown) < len(hits):
        left, most_similar = len(hits) - len(shown), f"the {len(hits):,} most similar images"
        if hits.nothing_matches:
            print(f"{option('all')} shows {most_similar}.")
        else:
            lie = "lies" if left == 1 else "lie"
            print(f"{left:,} of {most_similar} {lie} beyond the mark where matches end; {option('all')} shows them.")


def found_json(hits: "Hits") -> dict[str, Any]:
    """All of a search's results for JSON."""
    return {"nothing_matches": hits.nothing_matches, "note": hits.note, "hits": hits_json(hits)}


def hits_json(hits: Sequence["Hit"]) -> list[dict[str, Any]]:
    """Search results for JSON, best first."""
    names = ("row", "image", "text", "texts", "page", "date", "score", "within", "alike", "caption")
    return [{name: getattr(hit, name) for name in names} for hit in hits]


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


def text_table(*headings: str) -> Table:
    """A table of texts, of which none is cut off."""
    table = _table("", *headings)
    for column in table.columns:
        column.justify, column.overflow = "left", "fold"
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
