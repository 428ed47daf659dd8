"""Models of rules are looked for before the sources are read."""

from pathlib import Path
from typing import NoReturn

import pytest

from openalign.curation import pipeline
from openalign.curation.pipeline import curate
from openalign.curation.recipe import MODEL_KEYS, CurateRecipe
from openalign.curation.rules.models import check_models
from openalign.curation.rules.table import RULES
from openalign.errors import OpenAlignError

pytestmark = pytest.mark.slow

MODELS = {
    "unsafe_images": {},
    "watermark_model": {},
    "duplicate_model": {},
    "similarity_model": {"min_similarity": 0.2},
}


def test_every_setting_that_names_a_model_is_known() -> None:
    assert {(rule.table, rule.model) for rule in RULES if rule.model} == {*MODEL_KEYS}
    assert {key for _, key in MODEL_KEYS} == MODELS.keys()


@pytest.mark.parametrize("setting", MODELS)
def test_a_model_that_does_not_exist_ends_the_run_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    def read(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a source was read")

    monkeypatch.setattr(pipeline, "extract", read)
    (tmp_path / "model").mkdir()
    (tmp_path / "pairs.csv").write_text("image,text\n")
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "pairs.csv").write_text("image,text\na.jpg,a\n")
    (tmp_path / "test" / "a.jpg").touch()
    recipe = CurateRecipe.of(**{setting: str(tmp_path / "model")}, **MODELS[setting])
    with pytest.raises(OpenAlignError, match=rf"^{setting}: .*model: no config\.json here"):
        curate(
            [tmp_path / "pairs.csv"],
            to=tmp_path / "to",
            recipe=recipe,
            test_set=[tmp_path / "test"],
            workers=1,
        )


def test_without_models_nothing_is_searched() -> None:
    check_models(RULES, CurateRecipe())
