"""Bring a collection up to date with folders of vectors; make it if there is none."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from openalign.data.announce import tell_left_out
from openalign.data.left_out import counted, refuse_left_out
from openalign.embedding.columns import Vector16
from openalign.embedding.sources import permanent_name
from openalign.errors import OpenAlignError, UsageError
from openalign.model.dual_encoder import DualEncoder
from openalign.options import option
from openalign.progress import bar, say
from openalign.search.from_vectors import GivenImages, VectorsSource
from openalign.search.mark import SAMPLE, Mark, calibrated
from openalign.search.milvus.address import Address
from openalign.search.milvus.client import Collection
from openalign.search.milvus.columns import index_of, schema_of
from openalign.search.milvus.state import Lease, as_properties, leased, read_state
from openalign.search.milvus.store import NUMBERED, next_row, spread_rows, vectors_of
from openalign.search.milvus.writer import RowsWriter
from openalign.search.run import embedded_captions, is_fresh
from openalign.search.store.meta import Meta

_BATCH = 512
"""Images that are written at once: at most 64 MB may be, and a thumbnail has up to 64 kB."""
_SAMPLED_AT_ONCE = 1024


def index_vectors(images: GivenImages, address: Address, *, strict: bool = False) -> None:
    """Bring a collection up to date with folders of vectors, so that it holds exactly their images.

    Each batch is there for searches and for the next run as soon as it is written; images are known by their digest, so
    that a run that goes on doubles nothing. Images with equal bytes are one row.

    Raises:
        OpenAlignError: there is no server, the collection is no index, was made by another model or is written by
            another run, a folder is damaged; or, with `strict`, anything was left out when the images were embedded.
    """
    if not len(images):
        raise OpenAlignError(f"The vectors of {', '.join(images.names)} have no image.")
    if strict:
        told = [problem for source in images.sources(range(len(images.names))) for problem in source.problems]
        refuse_left_out(", ".join(images.names), told)
    collection = Collection(address)
    try:
        _open_or_create(collection, images)
        with leased(collection) as lease:
            _Run(collection, images, lease).write()
    finally:
        collection.close()


def _open_or_create(collection: Collection, images: GivenImages) -> None:
    model, address = images.model, collection.address
    if not collection.exists():
        meta = _with_model(Meta(model.width, "-", "", model.fingerprint, []), model)
        description = f"openalign index, vectors by {model.name} ({model.fingerprint[:12]})"
        index = index_of(address, model.width, len(images))
        collection.create(schema_of(model.width, description), index, as_properties(meta))
    meta = read_state(collection)
    if meta.fingerprint != model.fingerprint:
        raise OpenAlignError(
            f"{address.given} was made by the model {meta.model_name} ({meta.fingerprint[:12]}), not by {model.name} "
            f"({model.fingerprint[:12]}): name another collection with {option('to')}."
        )
    kind = collection.index_kind()
    if address.index not in (None, kind):
        raise UsageError(f"{address.given} has an index of the kind {kind}, not {address.index}: name a new collection")
    collection.load()


@dataclass
class _Run:
    """One pass over all images."""

    collection: Collection
    images: GivenImages
    lease: Lease

    def write(self) -> None:
        state = read_state(self.collection)
        meta, numbers = _with_sources(_with_model(state, self.images.model), self.images)
        sources = self.images.sources(numbers)
        problems = [problem for source in sources for problem in source.problems]
        writer = RowsWriter(self.collection, self.lease, next_row(self.collection, state.rows))
        if not state.finished and writer.rows:
            say(f"{self.collection.count():,} images are in {self.collection.address.given} since an interrupted run")
        meta = replace(meta, rows=writer.rows, finished=False)
        self._save(meta)
        try:
            self._write_rows(writer, meta)
        except BaseException:
            if writer.rows:
                say(f"What is written is kept in {self.collection.address.given}: the same command goes on from there")
            raise
        removed = writer.finish()
        self._end(replace(meta, lost=counted(problems)), sources, writer)
        self._tell(writer, removed)
        tell_left_out(problems, writer.seen)

    def _write_rows(self, writer: RowsWriter, meta: Meta) -> None:
        with bar("index vectors", len(self.images)) as running:
            for batch in self.images.batches(_BATCH):
                self.lease.beat()
                if writer.rows + len(batch) > meta.rows + NUMBERED:  # a reader looks for the last row in one block
                    meta = replace(meta, rows=writer.rows)
                    self._save(meta)
                writer.take(batch)
                running.advance(len(batch))

    def _end(self, meta: Meta, sources: Sequence[VectorsSource], writer: RowsWriter) -> None:
        self.collection.flush()
        kept = {source.number for source in sources}
        names = [name if number in kept else "" for number, name in enumerate(meta.sources)][: max(kept) + 1]
        columns = sorted({column for source in sources for column in source.columns})
        meta = replace(
            meta,
            rows=writer.rows,
            deleted=writer.rows - writer.seen,
            sources=names,
            sources_beside=_nowhere(names),
            commits=meta.commits + 1,
            read_as=[source.read_as for source in sources],
            columns=columns,
        )
        self._save(replace(meta, mark=self._mark(meta), finished=True))

    def _mark(self, meta: Meta) -> Mark | None:
        """Where matches end, by a sample of the vectors."""
        if is_fresh(meta.mark, meta.images):
            return meta.mark
        captions_CD = embedded_captions(self.images.model)
        if captions_CD is None:
            return None
        return calibrated(_sample(self.collection, meta, SAMPLE), captions_CD, meta.images)

    def _save(self, meta: Meta) -> None:
        self.collection.set_properties(as_properties(meta))

    def _tell(self, writer: RowsWriter, removed: int) -> None:
        if (equal := len(self.images) - writer.seen) > 0:
            say(f"{equal:,} images are byte for byte equal to others and share their rows")
        if removed:
            say(f"{removed:,} images are no longer in the vectors and were removed")
        if writer.cut:
            say(
                f"{len(writer.cut):,} images have more names, texts or columns than a row of Milvus holds (65,535 "
                "bytes): the last of them are left out"
            )


def _sample(collection: Collection, meta: Meta, count: int) -> Vector16:
    """The vectors (N, D) of up to `count` images, at even intervals."""
    numbers = spread_rows(collection, meta.rows, meta.images, count)
    parts = [numbers[start : start + _SAMPLED_AT_ONCE] for start in range(0, len(numbers), _SAMPLED_AT_ONCE)]
    return np.concatenate([vectors_of(collection, f"row in {part}") for part in parts])


def _with_model(meta: Meta, model: DualEncoder) -> Meta:
    """The state with the place where this model is now."""
    return replace(meta, model=permanent_name(model.name), model_name=model.name)


def _with_sources(meta: Meta, images: GivenImages) -> tuple[Meta, list[int]]:
    """The state with the sources of the images, and the number of each: that which it had, or the next free one."""
    names, numbers = list(meta.sources), []
    for name in images.names:
        if name not in names and "" not in names:
            names.append("")
        number = names.index(name if name in names else "")
        names[number] = name
        numbers.append(number)
    meta = replace(meta, sources=names, sources_beside=_nowhere(names), options=dict(images.options))
    return meta, numbers


def _nowhere(names: Sequence[str]) -> list[str | None]:
    """A collection has no place beside which sources lie."""
    return [None] * len(names)
