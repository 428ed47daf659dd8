"""Note the near-duplicates of the images that were added to an index."""

from dataclasses import replace

import numpy as np

from openalign.search.derived.grouping import closest_before
from openalign.search.store.writer import IndexWriter


def note_duplicates(writer: IndexWriter) -> None:
    """Compare the images that were added since the last time with all before them."""
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
