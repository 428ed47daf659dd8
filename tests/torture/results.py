"""What a run came to, to be compared with that of another run."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from openalign.errors import OpenAlignError
from openalign.search import Index
from openalign.search.store.any_store import AnyStore
from tests.torture.commands import contents


def result_of_training(run: Path) -> dict[str, str]:
    """The model and the newest training state of a run; its logs hold times."""
    newest = max((run / "checkpoints").glob("step-*"))
    return {f"model/{name}": digest for name, digest in contents(run / "model").items()} | contents(newest)


def result_of_indexing(folder: Path) -> dict[str, str]:
    """All images of an index by digest, with names, texts, vector and thumbnail, and what is derived from them.

    `refused` if it is damaged.
    """
    if not folder.exists():
        return {}
    try:
        store = Index.open(folder).store
        found = {"finished": str(store.meta.finished), "problems": str(store.problems())}
        for row in store.rows(store.numbers.tolist()):
            about = [row.name, row.text, row.page, row.width, row.height, row.label, row.fields, row.bytes]
            names = [each[:3] for each in store.names(row.row)]
            data = repr([about, names]).encode() + store.vector(row.row).tobytes() + store.thumbnail(row.row)
            found[row.digest.hex()] = hashlib.sha256(data).hexdigest()
        found |= _derived(store)
    except OpenAlignError as error:
        return {"refused": str(error)}
    return found


def _derived(store: AnyStore) -> dict[str, str]:
    """The texts with their vectors, and by digest which images are on the map and near-duplicates of each other."""
    digests = {row.row: row.digest.hex() for row in store.rows(store.numbers.tolist())}
    texts = zip(store.texts.texts, store.texts.vectors_TD, strict=True)
    found = {f"text {text}": hashlib.sha256(vector_D.tobytes()).hexdigest() for text, vector_D in texts}
    if store.map is not None:
        found |= {f"map {digests[row]}": "is on it" for row in store.map.rows_N.tolist()}
    for rows in store.groups.members.values():
        found |= {f"alike {digests[row]}": digests[min(rows)] for row in rows}
    return found


RESULTS: dict[str, Callable[[Path], dict[str, str]]] = {
    "curate": contents,
    "make_index": result_of_indexing,
    "add_to_index": result_of_indexing,
    "train": result_of_training,
}
"""By the name of a command of `Material`: what it writes into its folder, which two runs must have in common."""


def finished_work(folder: Path) -> dict[str, int]:
    """What killed runs into `folder` have finished, by name, with its inode: a file that is made again has another.

    A curation keeps finished batches in a folder beside its own, a training its checkpoints. An index has its images,
    each in a row that stays.
    """
    found = [*folder.with_name(f".{folder.name}.cache").glob("steps/**/*.*")]
    found += folder.glob("checkpoints/step-*/model.safetensors")
    files = {str(path): path.stat().st_ino for path in found if path.is_file() and path.name[0] != "."}
    return files | _rows_of(folder)


def _rows_of(folder: Path) -> dict[str, int]:
    """The row of each image of an index, by digest; empty if there is none yet."""
    if not (folder / "rows.sqlite").exists():
        return {}
    store = Index.open(folder).store
    return {row.digest.hex(): row.row for row in store.rows(store.numbers.tolist())}
