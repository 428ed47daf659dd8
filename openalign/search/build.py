"""Make an index of sources, or bring it up to date with them, once or again and again."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from openalign.embedding.sources import open_source, permanent_name
from openalign.errors import OpenAlignError
from openalign.locks import locked
from openalign.model.dual_encoder import DualEncoder
from openalign.progress import say
from openalign.search.from_vectors import GivenImages
from openalign.search.options import IndexOptions
from openalign.search.place import place_of
from openalign.search.run import Run

WATCH_S = 5.0
"""Seconds between two looks at the sources."""


def build(
    paths: Sequence[str | Path],
    model: DualEncoder,
    to: Path,
    options: Mapping[str, str],
    how: IndexOptions,
) -> None:
    """Bring the index `to` up to date with the images of `paths`, so that it holds exactly these; make it if need be.

    `options` are those of `open_pairs` about columns, split and layout. Images with equal bytes are one row. What has
    the same name, size and time as before is not read; what has other bytes is embedded; images that `paths` no longer
    have are removed at the end. Each batch is there for readers and for the next run as soon as it is embedded.

    Raises:
        OpenAlignError: `to` is not an index, was made by another model (without `re_embed`), or is written by another
            run; a path is no DATA; no image can be read; or, with `strict`, anything is left out.
        KeyboardInterrupt: stopped by Ctrl-C; the images embedded so far are kept.
    """
    to = to.resolve() if to.is_symlink() else to  # replace the folder, not the link to it
    paths = list({permanent_name(path): path for path in paths}.values())
    sources = [open_source(path, options, announced=True) for path in paths]
    with locked(to), place_of(to, model, re_embed=how.re_embed, strict=how.strict) as place:
        run = Run(place, model, paths, options, how)
        run.look_at(sources)
        place.finish()
        if how.watch:
            keep_up(run, paths, options)


def build_from_vectors(images: GivenImages, to: Path, how: IndexOptions) -> None:
    """Bring the index `to` up to date with folders of vectors, so that it holds exactly their images; see `build`."""
    to = to.resolve() if to.is_symlink() else to
    if not images.thumbnails:
        say("The vectors have no thumbnails: the search page shows grey in their place")
    with locked(to), place_of(to, images.model, re_embed=how.re_embed, strict=how.strict) as place:
        Run(place, images.model, images.names, images.options, how).take_all(images)
        place.finish()


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
