"""What `import openalign` gives, used as the README uses it."""

import numpy as np
import pytest
from PIL import Image

import openalign


def test_a_loaded_model_embeds_paths_pictures_and_arrays_alike(road):
    model = openalign.load(road.run / "model")
    path = road.table.parent / "0-red.png"
    picture = Image.open(path)
    images = model.embed_images([path, str(path), path.read_bytes(), picture, np.asarray(picture)])
    texts = model.embed_texts(["a red wall", "a blue wall"])
    assert images.shape == (5, model.width) and texts.shape == (2, model.width)
    assert images.dtype == texts.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(images, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(images, images[[0] * 5], atol=1e-5)


def test_an_index_answers_with_hits(road):
    hits = openalign.Index.open(road.index).search("a red wall", minus=["a blue wall"], top=3)
    assert len(hits) == 3
    assert hits[0].score >= hits[1].score >= hits[2].score


def test_a_loaded_model_is_evaluated_and_classifies(road):
    model = openalign.load(road.run / "model")
    report = openalign.evaluate(model, road.table)
    assert report["count"] == 24
    (found,) = openalign.classify(model, [road.table.parent / "0-red.png"], ["red", "blue"])
    assert sum(probability for _, probability in found) == pytest.approx(1)


def test_a_mistake_is_an_openalign_error(tmp_path):
    with pytest.raises(openalign.OpenAlignError, match=r"none\.csv does not exist"):
        openalign.evaluate("nowhere", tmp_path / "none.csv")


def test_names_that_do_not_exist_are_refused_as_by_any_module():
    with pytest.raises(AttributeError, match="no attribute 'embed'"):
        openalign.embed  # noqa: B018


def test_every_public_name_can_be_had():
    for name in openalign.__all__:
        assert callable(getattr(openalign, name))
