"""Languages: guessed from the text, evaluated only where they are asked for, and before anything is downloaded."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openalign.curation.engine.local import LocalEngine
from openalign.curation.pipeline import curate
from openalign.curation.recipe import CurateRecipe
from openalign.curation.text import languages
from openalign.curation.text.languages import classify_texts, language_of
from openalign.errors import OpenAlignError
from tests.curation.crawl import drawing

ENGLISH, GERMAN = "a red apple on the wooden table of the kitchen", "ein roter Apfel auf dem hölzernen Tisch der Küche"


def test_every_text_gets_its_language_batch_by_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "_BATCH", 2)
    texts = [ENGLISH, GERMAN, "", "12 345", "苹果在桌子上"]
    with LocalEngine(tmp_path, workers=1) as engine:
        found = classify_texts(engine, engine.from_arrow("given", pa.table({"text": texts})), [])
        rows = {row["text"]: row["language"] for row in found.to_pyarrow().to_pylist()}
    assert rows == {text: language_of(text) for text in texts}
    assert (rows[ENGLISH], rows[GERMAN]) == ("en", "de")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "kept"), [(None, [ENGLISH, GERMAN]), ("de", [GERMAN]), ("en, DE", [ENGLISH, GERMAN])]
)
def test_texts_of_other_languages_are_dropped_where_some_are_asked_for(
    asked: str | None, kept: list[str], tmp_path: Path
) -> None:
    drawing(1).save(tmp_path / "a.jpg")
    drawing(2).save(tmp_path / "b.jpg")
    (tmp_path / "pairs.csv").write_text(f"image,text\na.jpg,{ENGLISH}\nb.jpg,{GERMAN}\nb.jpg,\n")
    report = curate([tmp_path / "pairs.csv"], to=tmp_path / "to", workers=1, recipe=CurateRecipe.of(languages=asked))
    assert [row["text"] for row in pq.read_table(tmp_path / "to" / "pairs.parquet").to_pylist()] == kept
    dropped = pq.read_table(tmp_path / "to" / "dropped.parquet").to_pylist()
    reasons = [["no_text"]] + [["other_language"]] * (2 - len(kept))
    assert sorted(row["reasons"] for row in dropped) == sorted(reasons)
    [rule] = [rule for rule in report["rules"] if rule["name"] == "other_language"]
    assert rule["ran"] == (asked is not None)


def test_a_language_is_named_by_its_code() -> None:
    with pytest.raises(OpenAlignError, match="'english' is no language code"):
        CurateRecipe.of(languages="en,english")
