"""The exported towers beside the model they came from."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from openalign.data.tokenizer import Tokenizer, train_tokenizer
from openalign.errors import OpenAlignError
from openalign.model import hub
from openalign.model.align import Align, AlignSettings, TextTowerSettings
from openalign.model.efficientnet import ImageTowerSettings
from openalign.model.export import export
from openalign.model.onnx_encoder import OnnxEncoder, exported

TEXTS = ["a red apple", "two cats in the snow", "dog", "a b c d e f g h i j k l m n o p q r s"]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A folder of ours with its export in `onnx`; sides that SAME padding treats unevenly."""
    folder = tmp_path_factory.mktemp("exported")
    tokenizer = Tokenizer.load(train_tokenizer(TEXTS, folder / "tokenizer.json", size=60))
    settings = AlignSettings(
        image_tower=ImageTowerSettings(
            width_multiplier=0.25, kernels=(3, 5), strides=(1, 2), channels=(32, 64), repeats=(1, 2), expansions=(1, 4)
        ),
        text_tower=TextTowerSettings(width=16, layers=1, heads=2, inner_width=32, max_pieces=12),
        vocabulary=tokenizer.size,
        image_size=33,
        resize_size=40,
    )
    hub.save(Align(settings), tokenizer, folder / "model", card="# untrained\n")
    export(folder / "model", folder / "model" / "onnx")
    return folder / "model"


def test_the_export_gives_the_models_vectors_for_any_number_of_images_and_texts(model):
    ours, onnx = hub.load(model), OnnxEncoder(model / "onnx")
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (50 + 7 * n, 90 - 5 * n, 3), dtype=np.uint8) for n in range(5)]
    for count in (1, 5):
        np.testing.assert_allclose(onnx.embed_images(images[:count]), ours.embed_images(images[:count]), atol=1e-5)
    for texts in (TEXTS, TEXTS[:1], ["dog " * 40]):
        np.testing.assert_allclose(onnx.embed_texts(texts), ours.embed_texts(texts), atol=1e-5)
    assert (onnx.fingerprint, onnx.width, onnx.temperature) == (ours.fingerprint, ours.width, ours.temperature)


def test_any_runtime_can_use_the_files(model):
    about = json.loads((model / "onnx" / "onnx.json").read_text())
    session = onnxruntime.InferenceSession(model / "onnx" / "image.onnx")
    pixels = np.zeros((3, about["image_size"], about["image_size"], 3), np.uint8)
    (vectors,) = session.run(["vectors"], {"pixels": pixels})
    assert vectors.shape == (3, about["width"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_an_export_of_other_weights_is_passed_over(model):
    fingerprint = hub.load(model).fingerprint
    assert exported(model, fingerprint) is not None
    assert exported(model, "another") is None
    assert exported(model / "onnx", fingerprint) is None


def test_a_folder_of_something_else_is_not_replaced(model):
    with pytest.raises(OpenAlignError, match="exists and is not an export"):
        export(model, model)


def test_a_cut_off_export_is_refused(model, tmp_path):
    for name in ("onnx.json", "tokenizer.json", "tokenizer_config.json", "image.onnx"):
        (tmp_path / name).write_bytes((model / "onnx" / name).read_bytes())
    (tmp_path / "text.onnx").write_bytes((model / "onnx" / "text.onnx").read_bytes()[:1000])
    with pytest.raises(OpenAlignError, match=r"no whole export \(text.onnx is damaged\); run `openalign export` again"):
        OnnxEncoder(tmp_path)
