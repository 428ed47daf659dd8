"""The language of a text, guessed from the text alone: rough on short ones, and the same wherever it is asked."""

from pathlib import Path

import ibis.expr.types as ir
import py3langid
import pyarrow as pa

from openalign.curate.engine import Engine
from openalign.curate.pieces import count_rows, work_through

LANGUAGES = pa.schema([("text", pa.string()), ("language", pa.string())])

_AT_ONCE = 20_000


def language_of(text: str) -> str:
    """ISO 639 code of the likeliest language, `zxx` where there is nothing to tell it by."""
    return str(py3langid.classify(text)[0])


def classify_piece(rows: pa.Table, beside: Path) -> pa.Table:
    """Rows with a column `text` -> `LANGUAGES`; nothing is written `beside`."""
    languages = [language_of(text) for text in rows["text"].to_pylist()]
    return pa.table([rows["text"], pa.array(languages, pa.string())], schema=LANGUAGES)


def classify_texts(engine: Engine, texts: ir.Table) -> ir.Table:
    """The language of every text of a table (column `text`, distinct, none null): `LANGUAGES`."""
    pieces = engine.cut("texts_to_classify", texts.select("text"), ["text"], _AT_ONCE)
    folder = engine.work / "languages"
    return engine.read(work_through(engine, pieces, classify_piece, folder, "Guessing languages", count_rows(pieces)))
