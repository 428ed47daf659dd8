"""Give the texts of an index vectors, so that queries can be matched against them as well as against the images."""

from dataclasses import replace

import numpy as np

from openalign.model.dual_encoder import DualEncoder, NotFinite
from openalign.progress import bar, say
from openalign.search.store.writer import IndexWriter

_AT_ONCE = 256


def embed_new_texts(writer: IndexWriter, model: DualEncoder) -> None:
    """Embed the texts that have no vector yet, each batch in a transaction, and forget those that no image has."""
    _forget_damaged(writer)
    with writer.readable_errors():
        missing, unused = writer.texts.missing(), writer.texts.unused()
    if missing:
        with bar("embed texts", len(missing)) as running:
            for start in range(0, len(missing), _AT_ONCE):
                some = missing[start : start + _AT_ONCE]
                try:
                    vectors_TD = model.embed_texts(some)
                except NotFinite as error:  # of some texts; the other vectors are valid
                    vectors_TD = error.vectors_BD
                finite = np.flatnonzero(np.isfinite(vectors_TD).all(axis=1))
                with writer.transaction():
                    writer.texts.put([some[each] for each in finite], vectors_TD[finite].astype(np.float16))
                    writer.meta = replace(writer.meta, texts=writer.texts.count())
                running.advance(len(some))
    if unused:
        with writer.transaction():
            writer.texts.remove(unused)
            writer.meta = replace(writer.meta, texts=writer.texts.count())


def forget_texts(writer: IndexWriter) -> None:
    """Remove the vectors of all texts."""
    with writer.transaction():
        writer.texts.clear()
        writer.meta = replace(writer.meta, texts=0)


def _forget_damaged(writer: IndexWriter) -> None:
    """Forget vectors that are not as they were written, so that they are made again."""
    with writer.readable_errors():
        damaged = writer.texts.damaged(writer.meta.width)
    if damaged:
        say(f"The vectors of {len(damaged):,} texts in the index are damaged, and are made again")
        with writer.transaction():
            writer.texts.remove_damaged(damaged)
            writer.meta = replace(writer.meta, texts=writer.texts.count())
