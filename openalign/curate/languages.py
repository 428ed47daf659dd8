"""The language of a text, guessed from the text alone: rough on short ones, and the same wherever it is asked."""

from pathlib import Path

import py3langid
import pyarrow as pa
import pyarrow.parquet as pq

from openalign.curate.batches import map_batches
from openalign.progress import bar

LANGUAGES = pa.schema([("text", pa.string()), ("language", pa.string())])

_AT_ONCE = 20_000
_ONE_PROCESS = 200_000
"""Texts up to which starting processes takes longer than the work."""


def language_of(text: str) -> str:
    """ISO 639 code of the likeliest language, `zxx` where there is nothing to tell it by."""
    return str(py3langid.classify(text)[0])


def classify_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch with a column `text` -> `LANGUAGES`."""
    languages = [language_of(text) for text in batch["text"].to_pylist()]
    return pa.record_batch([batch["text"], pa.array(languages, pa.string())], schema=LANGUAGES)


def classify_texts(texts: Path, to: Path, workers: int) -> None:
    """Write the language of every text of a Parquet file (column `text`, none null) to another, `LANGUAGES`."""
    file = pq.ParquetFile(texts)
    count = file.metadata.num_rows
    batches = file.iter_batches(_AT_ONCE, columns=["text"])
    with pq.ParquetWriter(to, LANGUAGES) as out, bar("Guessing languages", count) as running:
        for batch in map_batches(classify_batch, batches, 1 if count <= _ONE_PROCESS else workers):
            out.write_batch(batch)
            running.advance(batch.num_rows)
