"""Any DATA -> an index folder; images that the folder already knew, by their bytes, are not embedded again."""

import hashlib
import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openalign.data.images import decode, encode_jpeg, read_header, shrink
from openalign.data.pairs import Pairs, open_pairs
from openalign.errors import OpenAlignError
from openalign.files import whole_folder
from openalign.model.dual_encoder import DualEncoder, Pixels
from openalign.progress import bar
from openalign.search.store import Meta, Row, Store, StoreWriter

THUMBNAIL_SIDE = 256
"""Pixels of a thumbnail's shorter side, at most."""
THUMBNAIL_QUALITY = 82
BATCH = 64
THREADS = 4
_UNNUMBERED = -1
_KEPT_FILES = ("examples.json", "CREDITS")
"""What users put into an index folder, and a rebuild keeps."""


@dataclass(frozen=True)
class _Prepared:
    """One readable image: its row (numbered when it is written), and the pixels to embed or the vector it had."""

    row: Row
    thumbnail: bytes
    pixels: Pixels | None
    vector: NDArray[np.float16] | None


def build(paths: Sequence[str | Path], model: DualEncoder, to: Path) -> None:
    """Index the images of `paths` into the folder `to`, replacing what it held; it then mirrors `paths` exactly.

    An image whose bytes the folder already holds, made by the same model, keeps its vector and thumbnail.

    Raises:
        OpenAlignError: `to` holds something else than an index, a path is no DATA, or no image at all can be read.
    """
    older = _older(to, model)
    sources = [open_pairs(path, need_text=False) for path in paths]
    problems = [problem for pairs in sources for problem in pairs.problems]
    with whole_folder(to) as partial, closing(StoreWriter(partial)) as writer:
        for name in _KEPT_FILES:
            if (to / name).is_file():
                shutil.copy2(to / name, partial / name)
        with bar("index images", sum(len(pairs) for pairs in sources)) as running:
            for batch in _prepared(sources, model, older):
                problems += [item for item in batch if isinstance(item, str)]
                _write(writer, [item for item in batch if isinstance(item, _Prepared)], model)
                running.advance(len(batch))
        if not writer.rows:
            tail = f", the first because: {problems[0]}" if problems else "."
            raise OpenAlignError(f"None of the images of {', '.join(map(str, paths))} could be read{tail}")
        places = [str(Path(path).resolve()) for path in paths]
        writer.finish(Meta(writer.rows, model.width, _place_of(model), model.name, model.fingerprint, places), problems)


def read_original(pairs: Pairs, row: Row) -> bytes:
    """The image file that `row` was made from; raises OpenAlignError if it is gone or another one by now."""
    if row.source_row < len(pairs):
        data = pairs.image_bytes(row.source_row)
        if _digest(data) == row.digest:
            return data
    raise OpenAlignError(f"{row.image} changed after it was indexed; index it again.")


def _older(to: Path, model: DualEncoder) -> Store | None:
    """The index that stands at `to`, if the same model made it; a folder of something else is never replaced."""
    if not to.exists() or (to.is_dir() and not any(to.iterdir())):
        return None
    if not (to / "meta.json").is_file():
        raise OpenAlignError(f"{to} exists and is not an index; name a new folder with --to.")
    try:
        older = Store(to)
    except OpenAlignError:  # damaged or of another version: the rebuild that its message asks for
        return None
    return older if older.meta.fingerprint == model.fingerprint else None


def _place_of(model: DualEncoder) -> str:
    """Where to load the model from later: an absolute path for a folder, the name for one from a hub."""
    return str(Path(model.name).resolve()) if Path(model.name).is_dir() else model.name


def _prepared(sources: Sequence[Pairs], model: DualEncoder, older: Store | None) -> Iterator[list[_Prepared | str]]:
    """Read, shrink and prepare all images in threads, in order, a batch ahead of the model."""
    pending: deque[list[Future[_Prepared | str]]] = deque()
    with ThreadPoolExecutor(THREADS) as threads:
        for number, pairs in enumerate(sources):
            for start in range(0, len(pairs), BATCH):
                rows = range(start, min(start + BATCH, len(pairs)))
                pending.append([threads.submit(_prepare, pairs, row, number, model, older) for row in rows])
                if len(pending) > 1:
                    yield [future.result() for future in pending.popleft()]
        while pending:
            yield [future.result() for future in pending.popleft()]


def _prepare(pairs: Pairs, source_row: int, source: int, model: DualEncoder, older: Store | None) -> _Prepared | str:
    """One image, or the sentence that says why it is left out."""
    try:
        data = pairs.image_bytes(source_row)
        digest = _digest(data)
        before = older.row_of(digest) if older else None
        if older is not None and before is not None:
            thumbnail, size = older.thumbnail(before.row), (before.width, before.height)
            pixels, vector = None, older.vectors[before.row]
        else:
            small = shrink(decode(data, min_side=THUMBNAIL_SIDE), THUMBNAIL_SIDE)
            thumbnail, size = encode_jpeg(small, THUMBNAIL_QUALITY), _shown_size(data, small)
            pixels, vector = model.prepare(data), None
    except OpenAlignError as error:
        sentence, name = str(error), pairs.row_name(source_row)
        return sentence if name in sentence else f"{name}: {sentence}"
    text, label, page = (_cell(pairs, column, source_row) for column in ("text", "label", "page"))
    row = Row(_UNNUMBERED, _image_name(pairs, source_row), text or label, page, *size, source, source_row, digest)
    return _Prepared(row, thumbnail, pixels, vector)


def _write(writer: StoreWriter, items: list[_Prepared], model: DualEncoder) -> None:
    """Embed what is new, copy what is known, append."""
    vectors_ND = np.empty((len(items), model.width), dtype=np.float32)
    new = {place: item.pixels for place, item in enumerate(items) if item.pixels is not None}
    if new:
        vectors_ND[list(new)] = model.embed_prepared(np.stack(list(new.values())))
    for place, item in enumerate(items):
        if item.vector is not None:
            vectors_ND[place] = item.vector
    writer.add((item.row for item in items), (item.thumbnail for item in items), vectors_ND)


def _shown_size(data: bytes, small: NDArray[np.uint8]) -> tuple[int, int]:
    """Width and height in pixels as a viewer shows them: `small` is upright, the header may tell of a turned one."""
    header = read_header(data)
    turned = (small.shape[1] > small.shape[0]) != (header.width > header.height)
    return (header.height, header.width) if turned else (header.width, header.height)


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def _image_name(pairs: Pairs, row: int) -> str:
    """A path that can be opened from where the user stands, if the image is a file; else what its source says."""
    name = str(pairs.table["image"][row])
    source = Path(pairs.name)
    path = (source if source.is_dir() else source.parent) / name
    return str(path) if "://" not in name and path.is_file() else name


def _cell(pairs: Pairs, column: str, row: int) -> str | None:
    value = pairs.table[column][row].as_py() if column in pairs.table.column_names else None
    return str(value) if value else None
