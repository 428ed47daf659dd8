"""Note the near-duplicates of the images that were added to an index."""

from dataclasses import replace

import numpy as np

from openalign.progress import say
from openalign.search.derived.grouping import closest_before
from openalign.search.store.writer import IndexWriter


def note_duplicates(writer: IndexWriter) -> None:
    """Compare the images that were added since the last time with all before them."""
    _forget_damaged(writer)
    with writer.readable_errors():
        last = writer.alike.last()
        if last <= writer.meta.compared:
            return
        ids, hashes = writer.alike.hashes()
        first = int(np.searchsorted(ids, writer.meta.compared, side="right"))
        pairs = list(closest_before(ids, hashes, first, writer.alike.grey, writer.thumbnail))
    with writer.transaction():
        writer.alike.join(pairs)
        writer.meta = replace(writer.meta, compared=last, alike_check=writer.alike.check())


def _forget_damaged(writer: IndexWriter) -> None:
    """Begin again with groups that are not as they were written: they follow from what else the index has."""
    with writer.readable_errors():
        damaged = writer.alike.check() != writer.meta.alike_check
    if damaged:
        say("The near-duplicates in the index are damaged, and are looked for again")
        with writer.transaction():
            writer.alike.clear()
            writer.meta = replace(writer.meta, compared=0, alike_check=writer.alike.check())
