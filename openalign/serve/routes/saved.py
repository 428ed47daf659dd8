"""The routes of saved queries: everyone who is answered may read them, and write where the service allows it."""

from typing import Annotated

from fastapi import FastAPI, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from openalign.search.query.language import parse_query
from openalign.search.results.against import Against
from openalign.search.results.order import Sort
from openalign.search.results.saved import SavedQuery
from openalign.serve.failures import NotAllowed
from openalign.serve.service import FAILURES, MAX_TEXT, MAX_TEXTS, MAX_TOP, PREFIXES, Service, Words
from openalign.serve.wire import Reply

_LONGEST_NAME = 100
_Name = Annotated[
    str, Path(min_length=1, max_length=_LONGEST_NAME, description="Of 1 to 100 characters, no slash among them")
]


class QueryToSave(BaseModel):
    """A query, its conditions, and how it is answered; as in `/search`."""

    model_config = ConfigDict(extra="forbid")

    query: Annotated[Words, Field(min_length=1, max_length=MAX_TEXT)]
    where: Annotated[list[Words], Field(max_length=MAX_TEXTS)] = []
    sort: Sort = "score"
    against: Against = "image"
    fold: bool = True


class Saved(Reply):
    """A saved query."""

    name: str
    query: str
    where: list[str]
    sort: Sort
    against: Against
    fold: bool

    @classmethod
    def of(cls, name: str, saved: SavedQuery) -> "Saved":
        return cls(
            name=name,
            query=saved.query,
            where=list(saved.where),
            sort=saved.sort,
            against=saved.against,
            fold=saved.fold,
        )


class SomeSaved(Reply):
    """Saved queries, in the order of their names."""

    saved: list[Saved]
    next: str | None
    """The `after` of the request for those that follow; null if there are none."""
    total: int
    """Saved queries of the index."""
    full: bool
    """Whether the index takes no others."""
    writable: bool
    """Whether this service saves and removes queries."""


def add_saved(app: FastAPI, service: Service) -> None:
    def list_saved(
        after: Annotated[Words, Query(max_length=_LONGEST_NAME, description="The name that these follow")] = "",
        count: Annotated[int, Query(ge=1, le=MAX_TOP, description="How many at most")] = 100,
    ) -> SomeSaved:
        """Saved queries in the order of their names: the first ones, or those that follow `after`."""
        queries = service.index.saved
        found = queries.after(after, count + 1)
        saved = [Saved.of(name, found[name]) for name in found][:count]
        following = saved[-1].name if len(found) > count else None
        return SomeSaved(
            saved=saved, next=following, total=queries.count(), full=queries.is_full, writable=service.writable
        )

    def get_saved(name: _Name) -> Saved:
        """One saved query."""
        return Saved.of(name, service.index.saved.get(name))

    def save_query(name: _Name, given: QueryToSave) -> Saved:
        """Save a query, in place of one of this name."""
        _check_writable(service)
        parse_query(given.query, files=False)
        saved = SavedQuery(given.query, tuple(given.where), given.sort, given.against, given.fold)
        service.index.saved.put(name, saved)
        return Saved.of(name, saved)

    def remove_saved(name: _Name) -> Saved:
        """Remove a saved query; answers what it was."""
        _check_writable(service)
        saved = service.index.saved.get(name)
        service.index.saved.remove(name)
        return Saved.of(name, saved)

    for prefix in PREFIXES:
        app.get(f"{prefix}/saved", responses=FAILURES)(list_saved)
        app.get(f"{prefix}/saved/{{name}}", responses=FAILURES)(get_saved)
        app.put(f"{prefix}/saved/{{name}}", responses=FAILURES)(save_query)
        app.delete(f"{prefix}/saved/{{name}}", responses=FAILURES)(remove_saved)


def _check_writable(service: Service) -> None:
    if not service.writable:
        raise NotAllowed(
            "This service saves no queries: it answers other machines and has no key (see the variable "
            "OPENALIGN_API_KEY)."
        )
