"""What `openalign search` does with what was typed: a new query or a saved one, shown, saved or exported."""

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import typer
from rich.text import Text

from openalign.commands.output import terminal
from openalign.progress import say

if TYPE_CHECKING:
    from openalign.search.index import Index
    from openalign.search.query.terms import Query

_SAVED = "saved:"


class _How(TypedDict):
    where: list[str]
    top: int
    sort: str
    fold: bool
    against: str


@dataclass(frozen=True)
class Typed:
    """A search as it was typed; None where an option was not given."""

    query: str
    image: Path | None
    plus: Sequence[str]
    minus: Sequence[str]
    where: Sequence[str]
    top: int
    sort: str | None = None
    fold: bool | None = None
    against: str | None = None

    def check(self) -> None:
        """Raise UsageError if the query cannot be read; one that is saved cannot be looked up yet."""
        from openalign.search.query.language import parse_query

        if not self.query.strip().startswith(_SAVED):
            parse_query(self.query)

    def read(self, index: "Index") -> "tuple[Query, _How]":
        """The query and how it is answered; what is not typed is as in a saved query that is named."""
        from openalign.search.query.language import parse_query
        from openalign.search.results.saved import SavedQuery

        saved = SavedQuery(self.query)
        if self.query.strip().startswith(_SAVED):
            saved = index.saved.get(self.query.strip().removeprefix(_SAVED).strip())
        terms = parse_query(saved.query).with_terms([self.image] if self.image else (), (), self.plus, self.minus)
        how: _How = {
            "where": [*saved.where, *self.where],
            "top": self.top,
            "sort": self.sort or saved.sort,
            "fold": saved.fold if self.fold is None else self.fold,
            "against": self.against or saved.against,
        }
        return terms, how


def print_found(
    folder: str, model: str | None, typed: Typed, *, save: str | None, export: Path | None, show_all: bool, json: bool
) -> None:
    """Search, and print what was found; save the query under the name `save`, write what is shown to `export`."""
    if not (typed.query or typed.image or typed.plus or typed.minus):
        raise typer.BadParameter("give a text or an image to search for.", param_hint="QUERY")

    typed.check()  # before the index is opened

    from openalign.search.index import Index
    from openalign.search.results.export import export as write
    from openalign.search.results.export import writer_of
    from openalign.search.results.saved import check_name

    if export is not None:
        writer_of(export)
    if save is not None:
        check_name(save)
    index = Index.open(folder, model)
    query, how = typed.read(index)
    hits = index.search(query, **how)
    if save is not None:
        _save(index, save, query, how)
    if export is not None:
        shown = hits if show_all else [hit for hit in hits if hit.within]
        write(shown, export)
        say(f"{export} lists {len(shown):,} images" if shown else f"Nothing matches: {export} lists no image")
    if json:
        content = {"index": str(folder), "query": _query_json(typed, query, how)}
        terminal.print_json(content | terminal.found_json(hits))
    else:
        terminal.print_hits(hits, show_all=show_all, conditions=bool(how["where"]))


def print_saved(folder: str, *, json: bool) -> None:
    """Print the saved queries of an index."""
    from openalign.search.index import Index
    from openalign.search.results.saved import FULL

    queries = Index.open(folder).saved
    saved = queries.all()
    if queries.is_full:
        say(FULL)
    if json:
        terminal.print_json({"index": str(folder), "saved": [{"name": name, **asdict(saved[name])} for name in saved]})
        return
    table = terminal.text_table("name", "query", "conditions", "order")
    for name, each in saved.items():
        table.add_row(Text(name), Text(each.query), Text("\n".join(each.where)), each.sort)
    if saved:
        terminal.print_table(table)
    else:
        print("No query is saved.")


def _save(index: "Index", name: str, query: "Query", how: _How) -> None:
    """Save a query; its images by absolute paths, so that it can be asked from anywhere."""
    from dataclasses import replace

    from openalign.search.query.terms import Query
    from openalign.search.results.against import against_of
    from openalign.search.results.order import sort_of
    from openalign.search.results.saved import SavedQuery

    terms = [replace(term, image=Path(term.path).absolute()) if term.image else term for term in query.terms]
    order, against = sort_of(how["sort"]), against_of(how["against"])
    index.saved.put(name, SavedQuery(Query(tuple(terms)).text(), tuple(how["where"]), order, against, how["fold"]))
    words = f"{shlex.quote(str(index.store.folder))} {shlex.quote(_SAVED + name)}"
    say(f"Saved as {name}: `openalign search {words}` asks it again.")


def _query_json(typed: Typed, query: "Query", how: _How) -> dict[str, Any]:
    image = str(typed.image) if typed.image else None
    given = {"text": typed.query or None, "image": image, "plus": list(typed.plus), "minus": list(typed.minus)}
    return {**given, **how, "terms": terminal.terms_json(query)}
