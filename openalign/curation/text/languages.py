"""The language of a text, guessed from the text alone: rough on short texts, and deterministic."""

from pathlib import Path

import ibis.expr.types as ir
import py3langid
import pyarrow as pa

from openalign.curation.engine.base import Engine
from openalign.curation.engine.cached_map import cached_map, count_rows
from openalign.curation.engine.text_batches import problems_of_texts, table_of_texts
from openalign.curation.isolation.records import one_record

LANGUAGES = pa.schema([("text", pa.string()), ("language", pa.string()), ("problem", pa.string())])
"""One row per text. If guessing failed, `language` is null and `problem` is the reason."""

_BATCH = 20_000


def language_of(text: str) -> str:
    """ISO 639 code of the likeliest language, `zxx` if the text has no letters to guess from."""
    return str(py3langid.classify(text)[0])


def classify_batch(rows: pa.Table, beside: Path) -> pa.Table:
    """Rows with a column `text` -> `LANGUAGES`; nothing is written `beside`."""
    return table_of_texts(rows["text"], guessed_language, LANGUAGES)


@one_record
def guessed_language(text: str) -> str:
    """`language_of`, as the function of one record."""
    return language_of(text)


def classify_texts(engine: Engine, texts: ir.Table, problems: list[str]) -> ir.Table:
    """The language of every text of a table (column `text`, distinct, none null): columns `text`, `language`.

    A line for each text whose language could not be guessed is added to `problems`; its language is null.
    """
    partitions = engine.partition("texts_to_classify", texts.select("text"), ["text"], _BATCH)
    if not partitions:
        return engine.from_arrow("no_languages", LANGUAGES.empty_table()).drop("problem")
    rows = count_rows(partitions)
    files = cached_map(engine, "languages", classify_batch, partitions, description="Guessing languages", rows=rows)
    problems += problems_of_texts(files)
    return engine.read(files).drop("problem")
