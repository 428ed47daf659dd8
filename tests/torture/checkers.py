"""What a user gets from files that may be damaged: called in a process of its own, which damage may end.

Each returns `answer`, to be compared with that of undamaged files, and `told`, the error messages that a user sees.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from openalign.data.pairs.open import open_pairs
from openalign.data.tokenizer.wordpiece import Tokenizer
from openalign.errors import OpenAlignError
from openalign.model import hub
from openalign.model.onnx.encoder import exported
from openalign.search.index import Index

TEXTS = ["a red drawing number 4", "a blue drawing", "shapes on page 1"]


def checked(check: Callable[[Path, list[str]], Any]) -> Callable[[str], dict[str, Any]]:
    def run(path: str) -> dict[str, Any]:
        told: list[str] = []
        try:
            answer = check(Path(path), told)
        except OpenAlignError as error:
            answer = None
            told.append(str(error))
        return {"answer": answer, "told": told}

    return run


@checked
def pairs(folder: Path, told: list[str]) -> Any:
    """All texts and images, as curation, indexing and evaluation read them."""
    opened = open_pairs(folder)
    told += opened.problems
    images = []
    for row in range(len(opened)):
        try:
            images.append(digest(opened.image_bytes(row)))
        except OpenAlignError as error:
            told.append(str(error))
            images.append(None)
    return [opened.texts(), images]


@checked
def search(folder: Path, told: list[str]) -> Any:
    """Answers to texts and to a row, and everything that a page shows of them."""
    index = Index.open(folder)
    hits = [index.search(text, top=7) for text in TEXTS] + [index.search(row=3, top=7)]
    shown = [[[hit.row, hit.image, hit.text, hit.score] for hit in answers] for answers in hits]
    thumbnails = [digest(index.thumbnail(row)) for row in range(len(index))]
    originals = [digest(index.original(row)) for row in range(0, len(index), 5)]
    return [shown, thumbnails, originals, index.problems]


@checked
def model(folder: Path, told: list[str]) -> Any:
    """The vectors of some texts and of an image."""
    loaded = hub.load(folder)
    return [digest(loaded.embed_texts(TEXTS).tobytes()), digest(loaded.embed_images([sample()]).tobytes())]


@checked
def export(folder: Path, told: list[str]) -> Any:
    """The vectors of a model that lies in `folder` with its export in `onnx`."""
    found = exported(folder, hub.load(folder).fingerprint)
    if found is None:
        raise OpenAlignError("no export of this model")
    return [digest(found.embed_texts(TEXTS).tobytes()), digest(found.embed_images([sample()]).tobytes())]


@checked
def tokenizer(file: Path, told: list[str]) -> Any:
    """The ids of some texts."""
    ids, mask = Tokenizer.load(file)(TEXTS)
    return [ids.tolist(), mask.tolist()]


def sample() -> Any:
    import numpy as np

    return np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
