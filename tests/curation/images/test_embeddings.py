"""A model as judge of near-duplicates and of pairs: one that sees mean colours, so that anyone sees who is right."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from openalign.curation.images import embeddings
from openalign.curation.pipeline import curate
from openalign.curation.recipe import CurateRecipe
from openalign.errors import OpenAlignError
from openalign.model import hub
from tests.conftest import COLOURS, PaintEncoder

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def painter(monkeypatch: pytest.MonkeyPatch, paint_encoder: PaintEncoder) -> PaintEncoder:
    monkeypatch.setattr(hub, "load", lambda name: paint_encoder)
    monkeypatch.setattr("openalign.curation.pipeline.check_models", lambda rules, recipe: None)
    return paint_encoder


def paint(path: Path, colour: tuple[int, int, int], width: int = 320) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (width, 260), colour).save(path)


def reasons(folder: Path) -> dict[tuple[str, str], list[str]]:
    rows = pq.read_table(folder / "dropped.parquet").to_pylist()
    return {(Path(row["image"]).name, row["text"]): row["reasons"] for row in rows}


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_the_nearest_test_image_is_found_block_by_block(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "_TESTS_AT_ONCE", at_once)
    draw = np.random.default_rng(0)
    vectors, tests = (draw.normal(size=(count, 5)).astype(np.float32) for count in (7, 11))
    tests[9] = tests[2]
    cosines, indices = embeddings.nearest(vectors, tests)
    np.testing.assert_allclose(cosines, (vectors @ tests.T).max(1), rtol=1e-6)
    assert indices.tolist() == (vectors @ tests.T).argmax(1).tolist()


def test_without_test_images_nothing_is_near() -> None:
    cosines, _ = embeddings.nearest(np.ones((2, 3), np.float32), np.empty((0, 3), np.float32))
    assert cosines.tolist() == [-np.inf, -np.inf]


def test_images_that_the_model_finds_closest_to_a_test_image_are_dropped(tmp_path: Path) -> None:
    red, nearly, blue = COLOURS["red"], (215, 50, 40), COLOURS["blue"]
    for name, colour in (("red.jpg", red), ("nearly.jpg", nearly), ("blue.jpg", blue)):
        paint(tmp_path / "train" / name, colour)
    (tmp_path / "train" / "pairs.csv").write_text(
        "image,text\nred.jpg,a red square here\nnearly.jpg,nearly red square here\nblue.jpg,a blue square here\n"
    )
    paint(tmp_path / "test" / "a.png", red, width=300)
    (tmp_path / "test" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    asked = CurateRecipe.of(duplicate_model="paint")
    report = curate([tmp_path / "train"], to=tmp_path / "to", test_set=[tmp_path / "test"], workers=1, recipe=asked)
    assert reasons(tmp_path / "to") == {
        ("red.jpg", "a red square here"): ["near_duplicate_of_test"],
        ("nearly.jpg", "nearly red square here"): ["near_duplicate_of_test"],
    }
    assert "broken.png" in report["problems"]["first"][0]


def test_pairs_that_do_not_fit_are_dropped_and_an_image_is_embedded_once(tmp_path: Path, painter: PaintEncoder) -> None:
    for name in ("red", "blue"):
        paint(tmp_path / "train" / f"{name}.jpg", COLOURS[name])
    texts = [f"{image}.jpg,a {word} square here" for image in ("red", "blue") for word in ("red", "blue", "violet")]
    (tmp_path / "train" / "pairs.csv").write_text("\n".join(["image,text", *texts, "red.jpg,red"]) + "\n")
    asked = CurateRecipe.of(similarity_model="paint", min_similarity=0.9)
    report = curate([tmp_path / "train"], to=tmp_path / "to", workers=1, recipe=asked)
    assert reasons(tmp_path / "to") == {
        ("red.jpg", "a blue square here"): ["low_similarity"],
        ("red.jpg", "a violet square here"): ["low_similarity"],
        ("blue.jpg", "a red square here"): ["low_similarity"],
        ("red.jpg", "red"): ["word_count"],
        ("blue.jpg", "a violet square here"): ["low_similarity"],
    }
    assert painter.images_embedded == 2
    [rule] = [rule for rule in report["rules"] if rule["name"] == "low_similarity"]
    assert rule["broken"] == 4 and rule["section"] == "not in the paper"


def test_a_model_and_its_threshold_go_together() -> None:
    with pytest.raises(OpenAlignError, match="give both or neither"):
        CurateRecipe.of(similarity_model="paint")
