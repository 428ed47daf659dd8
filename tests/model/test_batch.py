"""The embedding of an image or a text is the same alone and among others, whatever these are."""

import numpy as np
import pytest

from openalign.model import hub
from openalign.model.align import Align, AlignSettings, TextTowerSettings
from openalign.model.efficientnet.settings import ImageTowerSettings
from openalign.model.onnx.encoder import OnnxEncoder
from openalign.model.onnx.export import export
from tests.model.foreign_folders import FAMILIES, foreign_folder, moved, word_pieces

pytestmark = pytest.mark.slow

TOLERANCE = 1e-5
WORDS = ["a", "red", "apple", "two", "cats", "in", "the", "snow", "dog", "quick", "brown", "foxes"]
TEXTS = [" ".join(WORDS[(number + place) % len(WORDS)] for place in range(1 + number % 15)) for number in range(32)]
"""From one word to more word pieces than any of the models keeps; a batch is padded to the longest."""
SHOWN = (0, 1, 9, 31)
"""Those that are embedded alone as well."""
OURS = ("align", "align-narrowed", "align-onnx")


def our_folder(folder, tokenizer, **changes):
    """Our ALIGN with weights and running statistics that all matter; strided blocks and squeeze-and-excitation."""
    settings = AlignSettings(
        image_tower=ImageTowerSettings(
            width_multiplier=0.25, kernels=(3, 5), strides=(1, 2), channels=(32, 64), repeats=(1, 2), expansions=(1, 4)
        ),
        text_tower=TextTowerSettings(width=16, layers=2, heads=2, inner_width=32, max_pieces=12),
        vocabulary=tokenizer.size,
        image_size=33,
        resize_size=40,
        **changes,
    )
    hub.save(moved(Align(settings)), tokenizer, folder, card="# untrained\n")
    return folder


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """A model of each kind by name, each made once."""
    root = tmp_path_factory.mktemp("models")
    tokenizer = word_pieces(root)
    made = {}

    def load(name):
        if name not in made:
            made[name] = make(name, root / name)
        return made[name]

    def make(name, folder):
        if name == "align-onnx":
            our_folder(folder, tokenizer)
            export(folder, folder / "onnx")
            return OnnxEncoder(folder / "onnx")
        if name in OURS:
            return hub.load(our_folder(folder, tokenizer, **({"embedding_width": 8} if "narrowed" in name else {})))
        return hub.load(foreign_folder(FAMILIES[name], folder, tokenizer))

    return load


@pytest.fixture(scope="module")
def images():
    """Noise beside black, white and one colour, in several shapes."""
    random = np.random.default_rng(0)
    noise = [random.integers(0, 256, (40 + 3 * n, 90 - 2 * n, 3), dtype=np.uint8) for n in range(29)]
    return [*noise, *(np.full((50, 60, 3), colour, np.uint8) for colour in (0, 255, (200, 30, 30)))]


@pytest.mark.parametrize("name", [*OURS, *FAMILIES])
def test_an_image_has_the_same_vector_alone_and_among_31_others(name, loaded, images):
    model = loaded(name)
    together_ND = model.embed_images(images)
    for number in SHOWN:
        np.testing.assert_allclose(model.embed_images([images[number]])[0], together_ND[number], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("name", [*OURS, *FAMILIES])
def test_a_text_has_the_same_vector_alone_and_among_31_others_of_other_lengths(name, loaded):
    model = loaded(name)
    together_ND = model.embed_texts(TEXTS)
    assert len({vector.tobytes() for vector in together_ND}) > 12  # or the same vectors would say nothing
    for number in SHOWN:
        np.testing.assert_allclose(model.embed_texts([TEXTS[number]])[0], together_ND[number], atol=TOLERANCE, rtol=0)
