"""What an index holds, to be compared with another one: everything but ids and times."""

from pathlib import Path
from typing import Any

from openalign.search import Index


def contents_of(folder: Path, *, numbered: bool = True) -> dict[Any, Any]:
    """Each image by row number and digest: row, names, vector and thumbnail; and the problems.

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
    store.close()
    return found
