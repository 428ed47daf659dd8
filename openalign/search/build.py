"""Bring an index up to date with its sources: embed what is new, name what is renamed, remove what is gone."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from openalign.data.announce import tell_left_out
from openalign.data.left_out import Kind, LeftOut, counted, refuse_left_out
from openalign.data.pairs.pairs import Pairs
from openalign.errors import OpenAlignError
from openalign.locks import locked
from openalign.model.dual_encoder import DualEncoder, NotFinite
from openalign.progress import bar, say
from openalign.search import prepare
from openalign.search.listing import SourceListing
from openalign.search.mark import SAMPLE, Mark, calibrated, captions
from openalign.search.place import Place, place_of, with_model
from openalign.search.prepare import Item, Prepared, Renamed, Unchanged, Unreadable, prepared_images
from openalign.search.sources import open_source, permanent_name
from openalign.search.store.changes import Listed, NewImage
from openalign.search.store.meta import Meta, beside, placed
from openalign.search.store.reader import EXACT_BELOW

LONGEST_TAIL = 50_000
"""Rows that may be behind those of the graph; more if they are less than a tenth of all."""
WATCH_S = 5.0
"""Seconds between two looks at the sources."""
_NAMES_AT_ONCE = 1000


def build(
    paths: Sequence[str | Path],
    model: DualEncoder,
    to: Path,
    options: Mapping[str, str] | None = None,
    *,
    strict: bool = False,
    re_embed: bool = False,
    watch: bool = False,
) -> None:
    """Bring the index `to` up to date with the images of `paths`, so that it holds exactly these; make it if need be.

    `options` are those of `open_pairs` about columns, split and layout. Images with equal bytes are one row. What has
    the same name, size and time as before is not read; what has other bytes is embedded; images that `paths` no longer
    have are removed at the end. Each batch is there for readers and for the next run as soon as it is embedded.

    With `re_embed` all images are embedded again, into an index that replaces the older one when it is finished. With
    `watch` the sources are looked at again every few seconds, until Ctrl-C.

    Raises:
        OpenAlignError: `to` is not an index, was made by another model (without `re_embed`), or is written by another
            run; a path is no DATA; no image can be read; or, with `strict`, anything is left out.
        KeyboardInterrupt: stopped by Ctrl-C; the images embedded so far are kept.
    """
    to = to.resolve() if to.is_symlink() else to  # replace the folder, not the link to it
    options = options or {}
    paths = list({permanent_name(path): path for path in paths}.values())
    sources = [open_source(path, options, announced=True) for path in paths]
    with locked(to), place_of(to, model, re_embed=re_embed, strict=strict) as place:
        run = Run(place, model, paths, options, strict=strict)
        run.look_at(sources)
        place.finish()
        if watch:
            keep_up(run, paths, options)


class Run:
    """A run into an index."""

    def __init__(
        self, place: Place, model: DualEncoder, paths: Sequence[str | Path], options: Mapping[str, str], *, strict: bool
    ) -> None:
        self._place = place
        self._model = model
        self._paths = paths
        self._strict = strict
        self._told: object = None
        meta = with_model(place.writer.meta, model, place.folder)
        place.writer.meta, self._numbers = _with_sources(meta, place.folder, paths, options)

    def look_at(self, sources: Sequence[Pairs]) -> None:
        """One pass over all sources, opened, in the order of the paths."""
        self._bring_up_to_date([SourceListing(*each) for each in zip(self._numbers, self._paths, sources, strict=True)])

    def _bring_up_to_date(self, sources: Sequence[SourceListing]) -> None:
        self._new: dict[bytes, tuple[Prepared, list[Listed]]] = {}
        self._names: list[tuple[Listed, int]] = []
        self._unread: list[Unreadable] = []
        self._seen: Counter[int] = Counter()
        if self._strict:
            self._refuse([problem for source in sources for problem in source.pairs.problems])
        with (
            bar("index images", sum(map(len, sources))) as running,
            closing(prepared_images(sources, self._model, self._place)) as items,
        ):
            for item in items:
                self._take(item)
                running.advance(item.count if isinstance(item, Unchanged) else 1)
            self._write_new()
            self._write_names()
        problems = [*(each for source in sources for each in source.pairs.problems), *(u.problem for u in self._unread)]
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
                images.append(NewImage(item.digest, item.facts, item.thumbnail, vector_D, listed))
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

    def _remove_vanished(self, sources: Sequence[SourceListing]) -> int:
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
                say(f"{source.pairs.name} could not be read whole: images that are not found in it are not removed")
                continue
            writer.remove_names(
                source.number, {each for each in source.names() if (source.number, *each) not in unread}
            )
        return 0 if writer.is_stored else writer.remove_nameless()

    def _end(self, sources: Sequence[SourceListing], problems: Sequence[str]) -> None:
        """Make files anew that need it, and note what the sources are."""
        writer = self._place.writer
        if 4 * writer.meta.deleted > writer.meta.rows:
            writer.compact(with_graph=writer.meta.images >= EXACT_BELOW)
        behind = writer.meta.rows - (writer.meta.graph.rows if writer.meta.graph else 0)
        if writer.meta.rows >= EXACT_BELOW and (
            writer.meta.graph is None or behind > max(LONGEST_TAIL, writer.meta.rows // 10)
        ):
            writer.make_graph()
        meta = writer.meta
        kept = [name if number in self._numbers else "" for number, name in enumerate(meta.sources)]
        near = [each if number in self._numbers else None for number, each in enumerate(meta.sources_beside)]
        used = max(self._numbers) + 1
        read_as = [source.pairs.read_as for source in sources]
        columns = sorted({column for source in sources for column in source.columns})
        meta = replace(meta, sources=kept[:used], sources_beside=near[:used], read_as=read_as, columns=columns)
        meta = replace(meta, lost=counted(problems), mark=self._mark())
        writer.finish(meta, problems)

    def _mark(self) -> Mark | None:
        """Where matches end; measured again when a tenth of the images has changed, since it takes seconds."""
        meta = self._place.writer.meta
        if meta.mark is not None and 10 * abs(meta.images - meta.mark.images) <= meta.mark.images:
            return meta.mark
        try:
            captions_CD = self._model.embed_texts(captions())
        except NotFinite as error:  # of some captions; the other vectors are valid
            captions_CD = error.vectors_BD
        return calibrated(self._place.writer.sample(SAMPLE), captions_CD, meta.images)

    def _tell(self, removed: int) -> None:
        meta = self._place.writer.meta
        names = sum(self._seen.values())
        told = [names - meta.images, removed, [each.problem for each in self._unread]]
        if told == self._told:  # as by the last look at the sources
            return
        self._told = told
        if names > meta.images:
            say(f"{names - meta.images:,} images are byte for byte equal to others and share their rows")
        if removed:
            say(f"{removed:,} images are no longer in the sources and were removed")
        tell_left_out([each.problem for each in self._unread], meta.images)

    def _refuse(self, problems: Sequence[str]) -> None:
        refuse_left_out(", ".join(map(str, self._paths)), problems)


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


def keep_up(run: Run, paths: Sequence[str | Path], options: Mapping[str, str]) -> None:
    """Look at the sources again and again, until Ctrl-C."""
    say("Watching for changes (Ctrl-C to stop)")
    try:
        while True:
            time.sleep(WATCH_S)
            try:
                run.look_at([open_source(path, options) for path in paths])
            except OpenAlignError as error:
                say(f"Not up to date: {error}")
    except KeyboardInterrupt:
        say("Stopped; the index is complete up to the last image that was embedded")


def _nothing_read(paths: Sequence[str | Path], problems: Sequence[str]) -> OpenAlignError:
    tail = f", the first because: {problems[0]}" if problems else "."
    return OpenAlignError(f"None of the images of {', '.join(map(str, paths))} could be read{tail}")
