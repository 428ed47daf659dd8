"""What a run learns from, identified by content: its pairs and its tokenizer."""

import hashlib
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from openalign.data.pairs.pairs import Pairs
from openalign.data.tokenizer.wordpiece import Tokenizer
from openalign.errors import OpenAlignError
from openalign.options import option
from openalign.settings import Settings
from openalign.training.recipe.changes import is_changed
from openalign.training.recipe.recipe import Recipe

_COLUMNS = ("image", "text", "sha256")
_DATA_KEYS = ("data", "where", "image_column", "text_column", "split", "layout")
_ROWS_PER_CHUNK = 1 << 16


class Identity(Settings):
    """Stored in every checkpoint, so that a resumed run does not go on with other data unnoticed."""

    pairs: int
    """Number of pairs."""
    pairs_digest: str
    """Digest of image names, texts, and checksums where the data have a column `sha256`, in order.

    The bytes of image files are not read: one that is replaced under the same name goes unnoticed.
    """
    tokenizer_digest: str


def identity_of(pairs: Pairs, tokenizer: Tokenizer) -> Identity:
    """The identity of both. Takes about a second for five million pairs."""
    return Identity(pairs=len(pairs), pairs_digest=digest_of(pairs.table), tokenizer_digest=tokenizer.fingerprint())


def refuse_other_data(before: Identity | None, now: Identity, recipe: Recipe, changed: Mapping[str, object]) -> None:
    """Refuse to resume with other pairs or another tokenizer under the same name, unless their keys are `changed`.

    Raises:
        OpenAlignError: what differs.
    """
    if before is None:
        return
    if now.pairs_digest != before.pairs_digest and not any(is_changed(key, changed) for key in _DATA_KEYS):
        raise OpenAlignError(
            f"{recipe.data}: {_difference(before.pairs, now.pairs)} than those that the run has learned from: bring "
            f"these back, or go on with the others on purpose with {option(change={'data': recipe.data})}"
        )
    if now.tokenizer_digest != before.tokenizer_digest and not is_changed("tokenizer", changed):
        raise OpenAlignError(
            f"{recipe.tokenizer}: is another tokenizer than the run was started with: bring that back (each checkpoint "
            f"holds it), or go on with this one on purpose with {option(change={'tokenizer': recipe.tokenizer})}"
        )


def _difference(before: int, now: int) -> str:
    return f"holds {now:,} pairs, not {before:,}, others" if now != before else "holds other pairs"


def digest_of(table: pa.Table) -> str:
    """A digest of the columns that identify pairs; it does not depend on how the table is chunked."""
    hashed = hashlib.blake2b(digest_size=16)
    for name in _COLUMNS:
        if name in table.column_names:
            hashed.update(name.encode())
            for start in range(0, len(table), _ROWS_PER_CHUNK):
                _add_strings(hashed, table[name].slice(start, _ROWS_PER_CHUNK))
    return hashed.hexdigest()


def _add_strings(hashed: "hashlib.blake2b", values: pa.ChunkedArray) -> None:
    """Add the null mask, the lengths and the bytes of the strings."""
    strings = pc.fill_null(values.cast(pa.large_string()), "").combine_chunks()
    _, offsets, content = strings.buffers()
    bounds = np.frombuffer(offsets, np.int64, len(strings) + 1, strings.offset * 8)
    hashed.update(np.packbits(values.is_null().to_numpy()).tobytes())
    hashed.update(np.diff(bounds).tobytes())
    if content is not None:
        hashed.update(memoryview(content)[bounds[0] : bounds[-1]])
