"""What a run learns from, told apart by content: its pairs and its tokenizer."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from openalign.data.pairs.pairs import Pairs
from openalign.data.text.tokenizer import Tokenizer
from openalign.settings import Settings

_COLUMNS = ("image", "text", "sha256")
_ROWS_AT_ONCE = 1 << 16


class Identity(Settings):
    """Kept in every checkpoint, so that a resumed run does not go on with other data unnoticed."""

    pairs: int
    """How many."""
    pairs_digest: str
    """Of the names of the images, their texts, and their checksums where the data have a column `sha256`, in order.

    The bytes of image files are not read for it: one that is replaced under the same name goes unnoticed.
    """
    tokenizer_digest: str


def identity_of(pairs: Pairs, tokenizer: Tokenizer) -> Identity:
    """Takes about a second for five million pairs."""
    return Identity(pairs=len(pairs), pairs_digest=digest_of(pairs.table), tokenizer_digest=tokenizer.fingerprint())


def digest_of(table: pa.Table) -> str:
    """A digest of the columns that say what the pairs are; the same however the table lies in memory."""
    hashed = hashlib.blake2b(digest_size=16)
    for name in _COLUMNS:
        if name in table.column_names:
            hashed.update(name.encode())
            for start in range(0, len(table), _ROWS_AT_ONCE):
                _add_strings(hashed, table[name].slice(start, _ROWS_AT_ONCE))
    return hashed.hexdigest()


def _add_strings(hashed: "hashlib.blake2b", values: pa.ChunkedArray) -> None:
    """Where the strings are null, how long they are, and their bytes."""
    strings = pc.fill_null(values.cast(pa.large_string()), "").combine_chunks()
    _, offsets, content = strings.buffers()
    bounds = np.frombuffer(offsets, np.int64, len(strings) + 1, strings.offset * 8)
    hashed.update(np.packbits(values.is_null().to_numpy()).tobytes())
    hashed.update(np.diff(bounds).tobytes())
    if content is not None:
        hashed.update(memoryview(content)[bounds[0] : bounds[-1]])
