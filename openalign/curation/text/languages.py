"""The language of a text, guessed from the text alone: rough on short texts, and deterministic.

py3langid scores 139 languages as if each were as likely as the next, so that product titles become Nigerian Pidgin or
Luxembourgish. Here languages are weighted by their share of the web, and those that the text does not tell apart from
the likeliest are named as well. `bench/languages.py` measures it, beside other libraries.
"""

from functools import cache
from pathlib import Path

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from openalign.curation.engine.base import Engine
from openalign.curation.engine.cached_map import cached_map, count_rows
from openalign.curation.engine.text_batches import problems_of_texts, table_of_texts
from openalign.curation.isolation.records import one_record
from openalign.curation.text.language_codes import NONE, SHARES, VARIETIES

LANGUAGES = pa.schema([("text", pa.string()), ("languages", pa.string()), ("problem", pa.string())])
"""One row per text: codes with a space between them. If guessing failed, they are null and `problem` is the reason."""

_BATCH = 20_000
_WEIGHT = 0.12
"""Of the logarithm of a language's share, where the identifier's own scores are divided by the root of the length."""
_MARGIN = 0.9
"""In the same units: languages less likely by no more than this are not told apart from the likeliest."""
_MOST = 16
"""A text that may be in more languages has nothing to guess from, such as a name of a file."""
_LEAST = 1e-30  # a probability that rounding made 0
_CODES = sorted(SHARES)
_VARIETIES = sorted(VARIETIES)
_OF_VARIETIES = [_CODES.index(VARIETIES[variety]) for variety in _VARIETIES]
_WEIGHTS_L = _WEIGHT * np.log([SHARES[code] for code in _CODES])
_SURE = 1 / (1 + np.exp(-_MARGIN - np.ptp(_WEIGHTS_L)))
"""The identifier's probability above which no weights bring another language within the margin: most captions."""


def language_of(text: str) -> str:
    """ISO 639 code of the likeliest language, `zxx` if there is nothing to guess from, as in 1920x1080."""
    return likely_languages(text)[0]


def likely_languages(text: str) -> list[str]:
    """Codes of `language_codes.SHARES`, likeliest first: the text may be in any of them. `zxx` alone: in none."""
    if not any(map(str.isalpha, text)):
        return [NONE]
    # Titles With Capitals look like German, and German without them like Dutch: both forms count.
    forms = [text] if text[1:] == text[1:].lower() else [text, text.lower()]
    first = [_identifier().classify(form) for form in forms]
    if len({label for label, _ in first}) == 1 and min(probability for _, probability in first) > _SURE:
        return [VARIETIES.get(first[0][0], first[0][0])]
    scores_FL = np.stack([_scores(form) for form in forms])
    totals_L = scores_FL.mean(axis=0) + _WEIGHTS_L
    ranked = np.argsort(-totals_L, kind="stable")
    likely = [_CODES[number] for number in ranked if totals_L[number] >= totals_L[ranked[0]] - _MARGIN]
    return likely if len(likely) <= _MOST else [NONE]


def _scores(text: str) -> NDArray[np.float64]:
    """(L,) The logarithm of each language's probability if all were as frequent; of its likeliest variety."""
    probabilities = dict(_identifier().rank(text))
    found = [probabilities.get(label, 0.0) for label in (*_CODES, *_VARIETIES)]
    scores_L = np.array(found[: len(_CODES)])
    np.maximum.at(scores_L, _OF_VARIETIES, found[len(_CODES) :])
    logarithms_L: NDArray[np.float64] = np.log(np.maximum(scores_L, _LEAST))
    return logarithms_L


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def classify_batch(rows: pa.Table, beside: Path) -> pa.Table:
    """Rows with a column `text` -> `LANGUAGES`; nothing is written `beside`."""
    return table_of_texts(rows["text"], guessed_languages, LANGUAGES)


@one_record
def guessed_languages(text: str) -> str:
    """`likely_languages`, as the function of one record."""
    return " ".join(likely_languages(text))


def classify_texts(engine: Engine, texts: ir.Table, problems: list[str]) -> ir.Table:
    """The language of every text of a table (column `text`, distinct, none null).

    Columns `text`, `language` and `languages`: `likely_languages` with a space between them. A line for each text whose
    language could not be guessed is added to `problems`; its languages are null.
    """
    partitions = engine.partition("texts_to_classify", texts.select("text"), ["text"], _BATCH)
    if partitions:
        rows = count_rows(partitions)
        files = cached_map(engine, "languages", classify_batch, partitions, description="Guessing languages", rows=rows)
        problems += problems_of_texts(files)
        found = engine.read(files)
    else:
        found = engine.from_arrow("no_languages", LANGUAGES.empty_table())
    return found.mutate(language=found.languages.split(" ")[0]).drop("problem")
