"""A run into an index: what is new is embedded and written, what is renamed gets its name, what is gone is removed."""

from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openalign.data.announce import tell_left_out
from openalign.data.images.frames import further_frames
from openalign.data.left_out import Kind, LeftOut, counted, refuse_left_out
from openalign.data.pairs.pairs import Pairs
from openalign.embedding.sources import permanent_name
from openalign.errors import OpenAlignError
from openalign.model.dual_encoder import DualEncoder, NotFinite
from openalign.model.onnx.faster import faster
from openalign.progress import bar, say
from openalign.search import prepare
from openalign.search.derived.duplicates import note_duplicates
from openalign.search.derived.texts import embed_new_texts, forget_texts
from openalign.search.from_vectors import GivenImages
from openalign.search.listing import Source, SourceListing
from openalign.search.map.make import bring_map_up_to_date
from openalign.search.mark import SAMPLE, Mark, calibrated, captions
from openalign.search.options import IndexOptions
from openalign.search.place import Place, with_model
from openalign.search.prepare import Item, Prepared, Renamed, Unchanged, Unreadable, prepared_images
from openalign.search.store.changes import Listed, NewImage
from openalign.search.store.meta import Meta, beside, placed
from openalign.search.store.reader import EXACT_BELOW

LONGEST_TAIL = 50_000
"""Rows that may be behind those of the graph; more if they are less than a tenth of all."""
_NAMES_AT_ONCE = 1000


class Run:
    """A run into an index."""

    def __init__(
        self,
        place: Place,
        model: DualEncoder,
        paths: Sequence[str | Path],
        options: Mapping[str, str],
        how: IndexOptions,
    ) -> None:
        self._place = place
        self._model = faster(model)
        self._paths = paths
        self._strict = how.strict
        self._map = how.map_
        self._told: object = None
        meta = with_model(place.writer.meta, model, place.folder)
        meta = replace(meta, embed_texts=meta.embeds_texts if how.embed_texts is None else how.embed_texts)
        place.writer.meta, self._numbers = _with_sources(meta, place.folder, paths, options)

    def look_at(self, sources: Sequence[Pairs]) -> None:
        """One pass over all sources, opened, in the order of the paths."""
        listings = [SourceListing(*each) for each in zip(self._numbers, self._paths, sources, strict=True)]
        self._bring_up_to_date(listings, prepared_images(listings, self._model, self._place), sum(map(len, listings)))

    def take_all(self, images: GivenImages) -> None:
        """One pass over images with vectors."""
        self._bring_up_to_date(images.sources(self._numbers, with_files=True), images.items(self._place), len(images))

    def _bring_up_to_date(self, sources: Sequence[Source], items: Generator[Item, None, None], total: int) -> None:
        self._new: dict[bytes, tuple[Prepared, list[Listed]]] = {}
        self._names: list[tuple[Listed, int]] = []
        self._unread: list[Unreadable] = []
        self._frames: dict[str, int] = {}
        self._seen: Counter[int] = Counter()
        if self._strict:
            self._refuse([problem for source in sources for problem in source.problems])
        with bar("index images", total) as running, closing(items):
            for item in items:
                self._take(item)
                running.advance(item.count if isinstance(item, Unchanged) else 1)
            self._write_new()
            self._write_names()
        problems = [*(each for source in sources for each in source.problems), *self._lost_images()]
        if self._strict:
            self._refuse(problems)
        if not self._seen.total():
            raise _nothing_read(self._paths, problems)
        removed = self._remove_vanished(sources)
        self._end(sources, problems)
        self._tell(removed)

    def _take(self, item: Item) -> None:
        if isinstance(item, Unreadable):
            self._unread.append(item)
            return
        if isinstance(item, Unchanged):
            self._seen[item.source] += item.count
            return
        if isinstance(item, Prepared):
            if item.frames > 1:
                self._frames[item.where] = item.frames
            if item.digest in self._new:
                self._new[item.digest][1].append(item.listed)
            elif (image := self._place.known(item.digest)) is not None:  # since it was read
                self._take(Renamed(item.listed, image))
            else:
                self._new[item.digest] = (item, [item.listed])
            if len(self._new) == prepare.BATCH:
                self._write_new()
            return
        self._seen[item.listed.source] += 1
        name = item.listed.name, item.listed.copy
        if self._place.find([item.listed]).get(name) != (item.listed, item.image):
            self._names.append((item.listed, item.image))
            if len(self._names) == _NAMES_AT_ONCE:
                self._write_names()

    def _write_new(self) -> None:
        """Embed the images that were read and write them."""
        if not self._new:
            return
        waiting, self._new = list(self._new.values()), {}
        pixels = np.stack([item.pixels for item, _ in waiting])
        try:
            vectors_ND = self._model.embed_prepared(pixels)
        except NotFinite as error:  # of some images; the other vectors are valid
            vectors_ND = error.vectors_BD
        images = []
        for (item, listed), vector_D in zip(waiting, vectors_ND.astype(np.float16), strict=True):
            if np.isfinite(vector_D).all():
                images.append(NewImage(item.digest, item.facts, item.thumbnail, vector_D, listed, item.sketch))
                self._seen.update(each.source for each in listed)
            else:
                message = LeftOut(Kind.IMAGE_NOT_READ, f"{item.where}: its vector is not finite")
                self._unread += [Unreadable(each, message) for each in listed]
        if images:
            self._place.writer.add(images)
            self._place.appear()

    def _write_names(self) -> None:
        if self._names:
            self._place.writer.add([], self._names)
            self._names = []

    def _remove_vanished(self, sources: Sequence[Source]) -> int:
        """Remove the names that the sources no longer have, and the images without a name; returns their number."""
        writer = self._place.writer
        unread = {(each.listed.source, each.listed.name, each.listed.copy) for each in self._unread}
        for number in set(range(len(writer.meta.sources))) - set(self._numbers):
            if writer.names_of(number):
                writer.remove_names(number, set())
        for source in sources:
            if writer.names_of(source.number) == self._seen[source.number]:
                continue
            if not source.is_whole:
                say(f"{source.name} could not be read whole: images that are not found in it are not removed")
                continue
            writer.remove_names(
                source.number, {each for each in source.names() if (source.number, *each) not in unread}
            )
        return 0 if writer.is_stored else writer.remove_nameless()

    def _end(self, sources: Sequence[Source], problems: Sequence[str]) -> None:
        """Make files anew that need it, and note what the sources are."""
        writer = self._place.writer
        note_duplicates(writer)
        if writer.meta.embed_texts:
            embed_new_texts(writer, self._model)
        elif writer.meta.texts:
            forget_texts(writer)
        if 4 * writer.meta.deleted > writer.meta.rows:
            writer.compact(with_graph=writer.meta.images >= EXACT_BELOW)
        behind = writer.meta.rows - (writer.meta.graph.rows if writer.meta.graph else 0)
        if writer.meta.rows >= EXACT_BELOW and (
            writer.meta.graph is None or behind > max(LONGEST_TAIL, writer.meta.rows // 10)
        ):
            writer.make_graph()
        self._make_map()
        meta = writer.meta
        kept = [name if number in self._numbers else "" for number, name in enumerate(meta.sources)]
        near = [each if number in self._numbers else None for number, each in enumerate(meta.sources_beside)]
        used = max(self._numbers) + 1
        read_as = [source.read_as for source in sources]
        columns = sorted({column for source in sources for column in source.columns})
        meta = replace(meta, sources=kept[:used], sources_beside=near[:used], read_as=read_as, columns=columns)
        mark, text_mark = self._marks()
        meta = replace(meta, lost=counted(problems), mark=mark, text_mark=text_mark)
        writer.finish(meta, problems)

    def _marks(self) -> tuple[Mark | None, Mark | None]:
        """Where matches end among images and among texts; measured again when a tenth of them has changed."""
        writer, meta = self._place.writer, self._place.writer.meta
        keep = is_fresh(meta.mark, meta.images), not meta.texts or is_fresh(meta.text_mark, meta.texts)
        if all(keep):
            return meta.mark, meta.text_mark if meta.texts else None
        captions_CD = embedded_captions(self._model)
        if captions_CD is None:
            return meta.mark if keep[0] else None, None
        images_ND = writer.sample(SAMPLE)
        mark = meta.mark if keep[0] else calibrated(images_ND, captions_CD, meta.images)
        if keep[1]:
            return mark, meta.text_mark if meta.texts else None
        texts_TD = writer.texts.sample(SAMPLE, meta.width)
        return mark, calibrated(texts_TD, captions_CD, meta.texts, queries_QD=images_ND)

    def _make_map(self) -> None:
        if self._map is not False:
            bring_map_up_to_date(self._place.writer, self._embed_captions, anew=self._map is True)
            self._map = None  # of the next look at the sources

    def _embed_captions(self) -> NDArray[np.float32]:
        """Of the unrelated captions; raises OpenAlignError if the model of an index of vectors is not there."""
        try:
            return self._model.embed_texts(captions())
        except NotFinite as error:  # of some captions; the other vectors are valid
            return error.vectors_BD

    def _tell(self, removed: int) -> None:
        meta = self._place.writer.meta
        names = sum(self._seen.values())
        told = [names - meta.images, removed, self._lost_images()]
        if told == self._told:  # as by the last look at the sources
            return
        self._told = told
        if names > meta.images:
            say(f"{names - meta.images:,} images are byte for byte equal to others and share their rows")
        if removed:
            say(f"{removed:,} images are no longer in the sources and were removed")
        tell_left_out(self._lost_images(), meta.images)

    def _lost_images(self) -> list[str]:
        """Messages on images that could not be read, and on the further frames of those that were."""
        return [
            *(each.problem for each in self._unread),
            *further_frames(self._frames, ", ".join(map(str, self._paths))),
        ]

    def _refuse(self, problems: Sequence[str]) -> None:
        refuse_left_out(", ".join(map(str, self._paths)), problems)


def embedded_captions(model: DualEncoder) -> NDArray[np.float32] | None:
    """The vectors of the unrelated captions (C, D); None, with a message, where texts cannot be embedded."""
    try:
        return model.embed_texts(captions())
    except NotFinite as error:  # of some captions; the other vectors are valid
        return error.vectors_BD
    except OpenAlignError as error:  # an index of vectors, without their model
        say(f"Searches will not tell where matches end, since texts cannot be embedded: {error}")
        return None


def is_fresh(mark: Mark | None, count: int) -> bool:
    """Whether less than a tenth of what a mark is of has changed since: it takes seconds to measure."""
    return mark is not None and 10 * abs(count - mark.images) <= mark.images


def _with_sources(
    meta: Meta, folder: Path, paths: Sequence[str | Path], options: Mapping[str, str]
) -> tuple[Meta, list[int]]:
    """The state with these sources, and the number of each: that which it had, or the next free one."""
    known = list(placed(meta, folder.resolve()).sources)
    names, near, numbers = list(meta.sources), list(meta.sources_beside), []
    for path in paths:
        name = permanent_name(path)
        if name not in known and "" not in known:
            known, names, near = [*known, ""], [*names, ""], [*near, None]
        number = known.index(name if name in known else "")
        known[number], names[number], near[number] = name, name, beside(name, folder.resolve(), 1)
        numbers.append(number)
    return replace(meta, sources=names, sources_beside=near, options=dict(options)), numbers


def _nothing_read(paths: Sequence[str | Path], problems: Sequence[str]) -> OpenAlignError:
    tail = f", the first because: {problems[0]}" if problems else "."
    return OpenAlignError(f"None of the images of {', '.join(map(str, paths))} could be read{tail}")
