"""What an index holds, to be compared with another one: everything but ids and times."""

from pathlib import Path
from typing import Any

from openalign.search import Index
from openalign.search.store import Store


def contents_of(folder: Path, *, numbered: bool = True) -> dict[Any, Any]:
    """Each image by row number and digest: row, names, vector and thumbnail; the problems, and what is derived.

    Without `numbered`, by digest alone, and without the numbers of sources.
    """
    store = Index.open(folder).store
    store.check_thoroughly()
    assert store.meta.finished
    found: dict[Any, Any] = {"problems": store.problems()}
    for row in store.rows(store.numbers.tolist()):
        names = sorted((source, name, copy) for source, name, copy, _ in store.names(row.row))
        about = {**vars(row), "row": None}
        if not numbered:
            about["source"], names = None, [(0, name, copy) for _, name, copy in names]
        key = (row.row, row.digest) if numbered else row.digest
        found[key] = [about, names, store.vector(row.row).tobytes(), store.thumbnail(row.row)]
    return found | derived(store)


def derived(store: Store) -> dict[str, Any]:
    """The near-duplicates, the texts with their vectors, and which images are on the map, by digests."""
    digests = {row.row: row.digest for row in store.rows(store.numbers.tolist())}
    found = {
        "alike": {frozenset(digests[row] for row in rows) for rows in store.groups.members.values()},
        "texts": {text: store.texts.vectors_TD[number].tobytes() for number, text in enumerate(store.texts.texts)},
        "map": None if store.map is None else sorted(digests[row] for row in store.map.rows_N.tolist()),
    }
    store.close()
    return found
