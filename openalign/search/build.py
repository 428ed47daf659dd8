"""Build an index folder from any DATA; images with known bytes are not embedded again."""

import hashlib
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

import numpy as np

from openalign.checksums import CHECKSUMS
from openalign.data.announce import tell_left_out
from openalign.data.left_out import Kind, LeftOut, counted, refuse_left_out
from openalign.data.pairs.pairs import Pairs
from openalign.errors import OpenAlignError
from openalign.files import whole_folder
from openalign.locks import locked
from openalign.model.dual_encoder import DualEncoder, NotFinite
from openalign.options import option
from openalign.progress import bar, say
from openalign.search.meta import VERSION, Meta
from openalign.search.prepare import (
    THUMBNAIL_QUALITY,
    THUMBNAIL_SIDE,
    Known,
    Prepared,
    digest_of,
    prepared_batches,
)
from openalign.search.rows import Row
from openalign.search.sources import open_source, permanent_name
from openalign.search.store import FILES, GRAPH, Store
from openalign.search.work import Embedded, Work
from openalign.search.writer import StoreWriter

_USERS_FILES = ("examples.json", "CREDITS")
"""Files that users put into an index folder; a rebuild keeps them."""
_LARGEST_USERS_FILE = 2**20
"""Bytes."""
_PARTIAL = re.compile(r"\..*\.partial(\.|$)")
_TYPICAL_FILES = {"meta.json", "vectors.f16", "rows.sqlite"}
"""A folder with two of these is an index."""


def build(
    paths: Sequence[str | Path],
    model: DualEncoder,
    to: Path,
    options: Mapping[str, str] | None = None,
    *,
    strict: bool = False,
) -> None:
    """Index the images of `paths` into the folder `to`, replacing its contents, so that it holds exactly these images.

    `options` are those of `open_pairs` about columns, split and layout. Images with equal bytes are one row.

    An image whose bytes are in the existing index of the same model keeps its vector and thumbnail; so does one that
    an interrupted run embedded. The index is then byte for byte the one that an uninterrupted run writes, except for
    the graph of a large index.

    Raises:
        OpenAlignError: `to` is not an index, or another run writes it; a path is no DATA; no image can be read; or,
            with `strict`, anything is left out.
        KeyboardInterrupt: stopped by Ctrl-C; the vectors computed so far are kept beside `to`.
    """
    to = to.resolve() if to.is_symlink() else to  # replace the folder, not the link to it
    _check_replaceable(to)
    options = options or {}
    sources = [open_source(path, options, announced=True) for path in paths]
    names = [permanent_name(path) for path in paths]
    with locked(to), _kept_work(to, model) as work, whole_folder(to) as partial:
        _copy_users_files(to, partial)
        with closing(StoreWriter(partial)) as writer, _older(to, model) as older:
            unreadable = _write_all(writer, sources, model, Known(older, work))
            problems = [*(problem for pairs in sources for problem in pairs.problems), *unreadable]
            if strict:
                refuse_left_out(", ".join(map(str, paths)), problems)
            if not writer.rows:
                raise _nothing_read(paths, problems)
            read_as = [pairs.read_as for pairs in sources]
            made_by = (permanent_name(model.name), model.name, model.fingerprint)
            meta = Meta(writer.rows, model.width, *made_by, names, dict(options), read_as, counted(problems))
            writer.finish(meta, problems)
    _tell(writer, unreadable)


def _tell(writer: StoreWriter, unreadable: Sequence[str]) -> None:
    if writer.copies:
        say(f"{writer.copies:,} images are byte for byte equal to earlier ones and share their rows")
    tell_left_out(unreadable, writer.rows)


def _nothing_read(paths: Sequence[str | Path], problems: Sequence[str]) -> OpenAlignError:
    tail = f", the first because: {problems[0]}" if problems else "."
    return OpenAlignError(f"None of the images of {', '.join(map(str, paths))} could be read{tail}")


def read_original(pairs: Pairs, row: Row) -> bytes:
    """The image file of `row`; raises OpenAlignError if it is missing or has changed since it was indexed."""
    if row.source_row < len(pairs):
        data = pairs.image_bytes(row.source_row)
        if digest_of(data) == row.digest:
            return data
    raise OpenAlignError(f"{row.image} changed after it was indexed; index it again.")


def _check_replaceable(to: Path) -> None:
    """Raise OpenAlignError unless `to` is absent, empty, or an index (whole or damaged) without other files."""
    if not to.exists():
        return
    if to.is_dir() and not any(to.iterdir()):
        return
    # Files left by a killed `whole_file` do not count.
    names = {path.name for path in to.iterdir() if not _PARTIAL.match(path.name)} if to.is_dir() else set()
    if len(names & _TYPICAL_FILES) < 2:  # one may be missing; other programs also write a meta.json
        raise OpenAlignError(f"{to} exists and is not an index; name a new folder with {option('to')}.")
    if others := sorted(names - {*FILES, GRAPH, CHECKSUMS, *_USERS_FILES}):
        raise OpenAlignError(
            f"{to} also holds {others[0]}, which is not part of an index and would be lost: move it elsewhere, or "
            f"name a new folder with {option('to')}."
        )


def _copy_users_files(to: Path, partial: Path) -> None:
    for name in _USERS_FILES:
        path = to / name
        if path.exists():
            if not path.is_file() or path.stat().st_size > _LARGEST_USERS_FILE:
                raise OpenAlignError(f"{path} is not a file of at most 1 MB: move it elsewhere, then index again.")
            shutil.copy2(path, partial / name)


@contextmanager
def _older(to: Path, model: DualEncoder) -> Iterator[Store | None]:
    """The existing index at `to`, if it is whole and was made by the same model."""
    if not (to.is_dir() and any(to.iterdir())):
        yield None
        return
    why = ""
    older = None
    try:
        older = Store(to)
    except OpenAlignError as error:
        why = str(error)
    with closing(older) if older is not None else nullcontext():
        if older is not None and not older.checked:
            why = f"{to} has no {CHECKSUMS}, so it may be damaged"
        elif older is not None and older.meta.fingerprint != model.fingerprint:
            why = f"{to} was made by another model, {older.meta.model_name}"
        if why:
            say(f"The existing index cannot be reused, so all images are embedded again: {why}")
        yield None if why else older


@contextmanager
def _kept_work(to: Path, model: DualEncoder) -> Iterator[Work]:
    """The vectors of this run, kept beside `to` until the block ends without an exception."""
    depends_on = f"{VERSION} {model.fingerprint} {model.width} {THUMBNAIL_SIDE} {THUMBNAIL_QUALITY}"
    work = Work(to, hashlib.sha256(depends_on.encode()).hexdigest()[:16])
    if len(work):
        say(f"{len(work):,} images were embedded by an interrupted run and are not embedded again")
    try:
        with closing(work):
            yield work
    except BaseException:
        if work.folder.exists():
            say(f"The images embedded so far are kept in {work.folder.parent}: the same command resumes from there")
        raise
    work.remove()


def _write_all(writer: StoreWriter, sources: Sequence[Pairs], model: DualEncoder, known: Known) -> list[str]:
    """Write all images of the sources; returns one message for each image that is left out."""
    problems: list[str] = []
    with bar("index images", sum(map(len, sources))) as running:
        for batch in prepared_batches(sources, model, known):
            problems += [LeftOut(Kind.IMAGE_NOT_READ, item) for item in batch if isinstance(item, str)]
            problems += _write(writer, [item for item in batch if isinstance(item, Prepared)], model, known.work)
            running.advance(len(batch))
    return problems


def _write(writer: StoreWriter, items: Sequence[Prepared], model: DualEncoder, work: Work) -> list[str]:
    """Embed new images, copy known ones, append both; returns one message for each image that cannot be embedded.

    The last bits of a vector depend on the other images of its batch. An image that occurs twice in the sources is
    embedded only the first time, so that a resumed run calls the model with the same batches as an uninterrupted one.
    """
    vectors = {item.row.digest: item.vector for item in items if item.vector is not None}
    for item in items:
        if item.row.digest not in vectors and (earlier := writer.vector_of(item.row.digest)) is not None:
            vectors[item.row.digest] = earlier
    new: dict[bytes, Prepared] = {}
    for item in items:
        if item.row.digest not in vectors:
            new.setdefault(item.row.digest, item)
    if new:
        made = _embed(list(new.values()), model)
        vectors |= {image.digest: image.vector for image in made}
        work.keep(made)
    readable = [item for item in items if item.row.digest in vectors]
    first: dict[bytes, Prepared] = {}
    for item in readable:
        if writer.vector_of(item.row.digest) is None:
            first.setdefault(item.row.digest, item)
    if first:
        vectors_ND = np.stack([vectors[digest] for digest in first])
        writer.add([item.row for item in first.values()], [item.thumbnail for item in first.values()], vectors_ND)
    writer.add_texts([item.row for item in readable if first.get(item.row.digest) is not item])
    return [
        LeftOut(Kind.IMAGE_NOT_READ, f"{item.name}: its vector is not finite")
        for item in items
        if item.row.digest not in vectors
    ]


def _embed(items: Sequence[Prepared], model: DualEncoder) -> list[Embedded]:
    """Embed the images; those whose vector is not finite are left out."""
    try:
        vectors_ND = model.embed_prepared(np.stack([item.pixels for item in items if item.pixels is not None]))
    except NotFinite as error:  # of some images; the other vectors are valid
        vectors_ND = error.vectors_BD
    return [
        Embedded(item.row.digest, item.row.width, item.row.height, item.thumbnail, vector_D)
        for item, vector_D in zip(items, vectors_ND.astype(np.float16), strict=True)
        if np.isfinite(vector_D).all()
    ]
