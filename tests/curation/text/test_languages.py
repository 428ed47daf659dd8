"""Languages: guessed from the text, evaluated only where they are asked for, and before anything is downloaded."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openalign.curation.engine.local import LocalEngine
from openalign.curation.pipeline import curate
from openalign.curation.recipe import CurateRecipe
from openalign.curation.text import languages
from openalign.curation.text.language_codes import SHARES, VARIETIES
from openalign.curation.text.languages import classify_texts, language_of, likely_languages
from openalign.errors import OpenAlignError
from tests.curation.crawl import drawing

ENGLISH, GERMAN = "a red apple on the wooden table of the kitchen", "ein roter Apfel auf dem hölzernen Tisch der Küche"


@pytest.mark.slow
def test_every_text_gets_its_language_batch_by_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "_BATCH", 2)
    texts = [ENGLISH, GERMAN, "", "12 345", "苹果在桌子上"]
    with LocalEngine(tmp_path, workers=1) as engine:
        found = classify_texts(engine, engine.from_arrow("given", pa.table({"text": texts})), [])
        rows = {row["text"]: row["language"] for row in found.to_pyarrow().to_pylist()}
    assert rows == {text: language_of(text) for text in texts}
    assert (rows[ENGLISH], rows[GERMAN]) == ("en", "de")


@pytest.mark.slow
def test_every_label_of_the_identifier_has_a_share() -> None:
    labels = languages._identifier().labels
    assert {VARIETIES.get(label, label) for label in labels} == set(SHARES)


@pytest.mark.parametrize("text", ["", " ", "red", "1920x1080", "12 345", "IMG_2034.jpg", "★★★", "—", "x", "🍎🍎"])
def test_a_text_with_nothing_to_guess_from_is_in_no_language(text: str) -> None:
    assert likely_languages(text) == ["zxx"]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Lucera Women Silver Earrings"),
        ("en", "MEN BLUE STRIPED SHIRT"),
        ("en", "Vintage Leather Messenger Bag"),
        ("de", "Blaue Jacke mit Kapuze"),
        ("fr", "chaise pliante en bois"),
        ("es", "una taza de café"),
        ("pl", "Zdjęcie czaszki z dziurą"),
        ("no", "en hund løper på stranden"),
        ("zh", "红色的苹果放在木桌上"),
        ("ja", "赤いリンゴの写真"),
        ("th", "ภาพแมวสีดำ"),
        ("ar", "قطة سوداء على الطاولة"),
    ],
)
def test_short_texts_of_shops_and_captions_may_be_in_their_own_language(language: str, text: str) -> None:
    assert language in likely_languages(text)


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from(f"{ENGLISH} {GERMAN} Une Pomme ROUGE sur la table una mela rossa яблоко".split())))
def test_a_sure_guess_is_what_all_scores_give(words: list[str]) -> None:
    text = " ".join(words)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(languages, "_SURE", 2.0)
        expected = likely_languages(text)
    assert likely_languages(text) == expected


def test_what_is_not_told_apart_is_named_with_the_likeliest_first() -> None:
    likely = likely_languages("crvena jabuka na stolu")
    assert likely[0] == language_of("crvena jabuka na stolu") and {"hr", "bs", "sr"} & set(likely[1:])
    assert likely_languages(ENGLISH) == ["en"]


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
    with pytest.raises(OpenAlignError, match=r"texts are not recognised as 'sd'; the codes are ace, af, am, .* zxx"):
        CurateRecipe.of(languages="en,sd")
    assert CurateRecipe.of(languages="NB, nn,yue,zh").text.language_codes == ("no", "zh")


@pytest.mark.slow
def test_a_text_that_may_be_in_a_language_asked_for_is_kept(tmp_path: Path) -> None:
    text = "crvena jabuka na stolu"
    drawing(1).save(tmp_path / "a.jpg")
    (tmp_path / "pairs.csv").write_text(f"image,text\na.jpg,{text}\n")
    for number, code in enumerate([*likely_languages(text), "en", "zxx"]):
        to = tmp_path / str(number)
        curate([tmp_path / "pairs.csv"], to=to, workers=1, recipe=CurateRecipe.of(languages=f"fi,{code}"))
        assert len(pq.read_table(to / "pairs.parquet")) == (code in likely_languages(text))
