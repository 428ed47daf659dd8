"""The embedding of an image or a text is the same alone and among others, whatever these are.

`test_export.py` says so of exported towers.
"""

import pytest

from openalign.model import hub
from openalign.model.align import Align, AlignSettings, TextTowerSettings
from openalign.model.efficientnet.settings import ImageTowerSettings
from tests.model.among_others import assert_same_image_vectors, assert_same_text_vectors
from tests.model.foreign_folders import FAMILIES, foreign_folder, moved, word_pieces

pytestmark = pytest.mark.slow

OURS = ("align", "align-narrowed")


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
        if name in OURS:
            return hub.load(our_folder(folder, tokenizer, **({"embedding_width": 8} if "narrowed" in name else {})))
        return hub.load(foreign_folder(FAMILIES[name], folder, tokenizer))

    return load


@pytest.mark.parametrize("name", [*OURS, *FAMILIES])
def test_an_image_has_the_same_vector_alone_and_among_31_others(name, loaded):
    assert_same_image_vectors(loaded(name))


@pytest.mark.parametrize("name", [*OURS, *FAMILIES])
def test_a_text_has_the_same_vector_alone_and_among_31_others_of_other_lengths(name, loaded):
    assert_same_text_vectors(loaded(name))
