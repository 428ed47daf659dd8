"""Dual encoders of the transformers library: each family gives the vectors that transformers itself computes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoTokenizer, Siglip2Tokenizer
from transformers.models.auto.configuration_auto import model_type_to_module_name
from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

from openalign.errors import OpenAlignError
from openalign.model.hub import load
from tests.model.folders import edit, put
from tests.model.foreign_folders import (
    FAMILIES,
    POSITIONS,
    TEXTS,
    WITH_ROBERTA,
    foreign_folder,
    siglip2_folder,
    siglip_folder,
    text_config,
    word_pieces,
)

pytestmark = pytest.mark.slow

LONG = " ".join(TEXTS) + " and again " + " ".join(reversed(TEXTS))
PICTURES = [
    np.random.default_rng(shape[0]).integers(0, 256, (*shape, 3), dtype=np.uint8)
    for shape in ((40, 50), (64, 64), (30, 90))
]
BUILT = {**FAMILIES, "roberta": WITH_ROBERTA}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("foreign")
    tokenizer = word_pieces(root)
    made = {name: foreign_folder(family, root / name, tokenizer) for name, family in BUILT.items()}
    return made | {
        "spiece": siglip_folder(root / "spiece"),
        "gemma": siglip2_folder(root / "gemma", "siglip", "GemmaTokenizerFast"),
        "naflex": siglip2_folder(root / "naflex", "siglip2", "GemmaTokenizer"),
    }


@pytest.fixture
def copy(folders: dict[str, Path], tmp_path: Path) -> Any:
    def copied(name: str) -> Path:
        target = tmp_path / name
        target.mkdir()
        for path in folders[name].iterdir():
            (target / path.name).write_bytes(path.read_bytes())
        return target

    return copied


def unit(features: Any) -> NDArray[np.float32]:
    rows = features.pooler_output
    rows = rows[:, 0] if rows.ndim == 3 else rows  # FLAVA's losses take [CLS]
    return torch.nn.functional.normalize(rows, dim=1).numpy()


def theirs(folder: Path, texts: list[str], pictures: list[NDArray[np.uint8]]) -> tuple[Any, Any]:
    """Image and text vectors, by transformers alone."""
    model, processor = AutoModel.from_pretrained(folder).eval(), AutoImageProcessor.from_pretrained(folder)
    tokenizer = (Siglip2Tokenizer if folder.name == "gemma" else AutoTokenizer).from_pretrained(folder)
    tokens = tokenizer(texts, padding="max_length", truncation=True, max_length=POSITIONS, return_tensors="pt")
    with torch.inference_mode():
        images = [
            model.get_image_features(**processor(images=Image.fromarray(each), return_tensors="pt"))
            for each in pictures
        ]
        return np.concatenate([unit(each) for each in images]), unit(model.get_text_features(**tokens))


@pytest.mark.parametrize("name", [*BUILT, "spiece", "gemma", "naflex"])
def test_a_family_gives_the_vectors_of_transformers(name: str, folders: dict[str, Path]) -> None:
    encoder, texts = load(folders[name]), [*TEXTS, LONG]
    images_ND, texts_ND = theirs(folders[name], texts, PICTURES)
    np.testing.assert_allclose(encoder.embed_images(PICTURES), images_ND, atol=1e-5)
    np.testing.assert_allclose(encoder.embed_texts(texts), texts_ND, atol=1e-5)
    alone_ND = np.concatenate([encoder.embed_texts([text]) for text in texts])
    np.testing.assert_allclose(alone_ND, texts_ND, atol=1e-5)
    assert np.ptp(texts_ND, axis=0).max() > 1e-3 and np.ptp(images_ND, axis=0).max() > 1e-3


@pytest.mark.parametrize("name", ["gemma", "naflex", "spiece"])
def test_siglip_of_either_generation_puts_texts_in_lower_case(name: str, folders: dict[str, Path]) -> None:
    encoder = load(folders[name])
    np.testing.assert_array_equal(encoder.embed_texts(["A RED Apple"]), encoder.embed_texts(["a red apple"]))
    assert np.abs(encoder.embed_texts(["a red apple"]) - encoder.embed_texts(["two cats"])).max() > 1e-3


def test_a_siglip_with_a_tokenizer_of_its_own_keeps_its_capitals(copy: Any) -> None:
    folder = copy("gemma")
    edit(folder / "tokenizer_config.json", lambda content: content.update(tokenizer_class="PreTrainedTokenizerFast"))
    encoder = load(folder)
    assert np.abs(encoder.embed_texts(["A RED Apple"]) - encoder.embed_texts(["a red apple"])).max() > 1e-3


def test_naflex_sees_images_of_any_shape_in_one_batch(folders: dict[str, Path]) -> None:
    encoder = load(folders["naflex"])
    assert encoder.image_size == 32
    together_ND = encoder.embed_images(PICTURES, batch_size=3)
    alone_ND = np.concatenate([encoder.embed_images([picture]) for picture in PICTURES])
    np.testing.assert_allclose(together_ND, alone_ND, atol=1e-6)


@pytest.mark.parametrize("name", ["clip", "naflex"])
def test_an_image_has_the_same_vector_alone_and_in_a_large_batch(name: str, folders: dict[str, Path]) -> None:
    model = load(folders[name])
    pictures = [np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8) for seed in range(19)]
    together = model.embed_images(pictures)
    for place in (0, 8, 18):
        np.testing.assert_allclose(together[place], model.embed_images([pictures[place]])[0], atol=1e-5)


@pytest.mark.parametrize("name", ["altclip", "roberta", "clip", "flava", "blip"])
def test_a_text_longer_than_the_positions_is_cut(name: str, folders: dict[str, Path]) -> None:
    encoder = load(folders[name])
    np.testing.assert_allclose(encoder.embed_texts([LONG]), encoder.embed_texts([LONG + " " + LONG]), atol=1e-6)


@pytest.mark.parametrize("name", ["altclip", "roberta"])
def test_positions_count_without_the_tokenizers_length(name: str, copy: Any) -> None:
    folder = copy(name)
    edit(folder / "tokenizer_config.json", lambda content: content.pop("model_max_length"))
    np.testing.assert_allclose(load(folder).embed_texts([LONG]), theirs(folder, [LONG], PICTURES)[1], atol=1e-5)


@pytest.mark.parametrize("kept", [(), ("tokenizer_config.json",)])
@pytest.mark.parametrize("name", [*BUILT, "spiece", "gemma", "naflex"])
def test_a_folder_without_the_words_of_its_tokenizer_is_refused(name: str, kept: tuple[str, ...], copy: Any) -> None:
    folder = copy(name)
    for file in folder.iterdir():
        if file.name not in ("config.json", "model.safetensors", "preprocessor_config.json", *kept):
            file.unlink()
    with pytest.raises(OpenAlignError, match=r"tokenizer|spiece"):
        load(folder)


@pytest.mark.parametrize(
    ("name", "kind"),
    [*((name, torch.bfloat16) for name in (*BUILT, "gemma", "naflex")), ("clip", torch.float16)],
)
def test_weights_in_half_precision_are_computed_with_in_single(name: str, kind: torch.dtype, copy: Any) -> None:
    folder = copy(name)
    weights = {key: each.to(kind) for key, each in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    edit(folder / "config.json", lambda content: with_dtype(content, str(kind).removeprefix("torch.")))
    encoder = load(folder)
    rows_ND = np.concatenate([encoder.embed_images(PICTURES), encoder.embed_texts(TEXTS)])
    np.testing.assert_allclose(np.linalg.norm(rows_ND, axis=1), 1, atol=1e-6)
    save_file({key: each.float() for key, each in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    np.testing.assert_array_equal(load(folder).embed_texts(TEXTS), encoder.embed_texts(TEXTS))


def with_dtype(content: dict[str, Any], kind: str) -> None:
    """As folders of earlier releases give it, in every part of the configuration."""
    content.pop("dtype", None)
    content["torch_dtype"] = kind
    for part in content.values():
        if isinstance(part, dict) and "model_type" in part:
            with_dtype(part, kind)


@pytest.mark.parametrize("name", [*BUILT])
def test_a_tensor_that_transformers_would_fill_at_random_is_missed(name: str, copy: Any) -> None:
    folder = copy(name)
    path = folder / "model.safetensors"
    weights = load_file(path)
    optional = {"temperature"}  # TIPSv2 is published without, and config.json gives it
    for key in sorted(weights.keys() - optional)[:: len(weights) // 6]:
        save_file({other: each for other, each in weights.items() if other != key}, path, metadata={"format": "pt"})
        with pytest.raises(OpenAlignError, match=r"holds no tensor `[\w.]+`( and 2 others)?, which transformers"):
            load(folder)


HEADS = {
    "CLIPForImageClassification": ("clip", "vision_config"),
    "SiglipForImageClassification": ("siglip", "vision_config"),
    "MetaClip2ForImageClassification": ("metaclip_2", "vision_config"),
    "BlipForImageTextRetrieval": ("blip", "vision_config"),
    "BlipForConditionalGeneration": ("blip", "vision_config"),
}


@pytest.mark.parametrize("head", HEADS)
def test_a_folder_with_a_head_and_no_text_tower_is_refused(head: str, copy: Any) -> None:
    folder = copy(HEADS[head][0])
    getattr(transformers, head)(AutoConfig.from_pretrained(folder)).save_pretrained(folder)
    for _ in range(2):
        with pytest.raises(OpenAlignError, match="would fill at random: these are the weights of a model of another"):
            load(folder)


def test_a_refusal_is_one_sentence_without_the_report_of_transformers(copy: Any, capfd: Any, caplog: Any) -> None:
    folder = copy("blip")
    transformers.BlipForImageTextRetrieval(AutoConfig.from_pretrained(folder)).save_pretrained(folder)
    before = transformers.logging.get_verbosity()
    capfd.readouterr()
    caplog.clear()
    with pytest.raises(OpenAlignError):
        load(folder)
    assert capfd.readouterr().err == "" and not caplog.records
    assert transformers.logging.get_verbosity() == before


def test_heads_beside_whole_towers_are_left_out(copy: Any) -> None:
    from transformers import CLIPSegForImageSegmentation, OwlViTForObjectDetection

    for name, head in (("clipseg", CLIPSegForImageSegmentation), ("owlvit", OwlViTForObjectDetection)):
        folder = copy(name)
        config = AutoConfig.from_pretrained(folder)
        if name == "clipseg":
            config.reduce_dim, config.extract_layers, config.decoder_num_attention_heads = 4, [0], 2
        model = head(config).eval()
        model.save_pretrained(folder)
        assert any("decoder" in key or "head" in key for key in load_file(folder / "model.safetensors"))
        np.testing.assert_allclose(load(folder).embed_texts(TEXTS), theirs(folder, TEXTS, PICTURES)[1], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("clip", "text_config.num_hidden_layers"),
        ("clip", "vision_config.num_hidden_layers"),
        ("siglip", "vision_config.num_hidden_layers"),
        ("flava", "image_config.num_hidden_layers"),
        ("roberta", "text_config.num_hidden_layers"),
    ],
)
def test_a_configuration_with_fewer_layers_than_the_weights_is_told(name: str, key: str, copy: Any) -> None:
    folder = copy(name)
    put(folder / "config.json", key, 1)
    with pytest.raises(OpenAlignError, match=r"holds `.*\.1\..*`, for which the model of config.json has no place"):
        load(folder)
    put(folder / "config.json", key, 3)
    with pytest.raises(OpenAlignError, match=r"holds no tensor `.*\.2\..*` and \d+ others"):
        load(folder)


def test_a_configuration_without_the_biases_of_the_weights_is_told(copy: Any) -> None:
    folder = copy("aimv2")
    model = AutoModel.from_config(AutoConfig.from_pretrained(folder, text_config={**text_config(80), "qkv_bias": True}))
    model.save_pretrained(folder)
    put(folder / "config.json", "text_config.qkv_bias", False)
    with pytest.raises(OpenAlignError, match=r"_proj\.bias`, for which the model of config.json has no place"):
        load(folder)


NEITHER = {
    "align": "our own",
    "blip-2": "no common space",
}


def may_embed(kind: str) -> bool:
    """Whether the source of an architecture speaks of the vectors of texts or images; to import all takes 15 s."""
    folder = Path(str(transformers.__file__)).parent / "models" / model_type_to_module_name(kind)
    sources = [path.read_text(encoding="utf-8") for path in folder.glob("modeling_*.py")]
    return any(name in source for source in sources for name in ("get_text_features", "get_image_features"))


def test_every_architecture_of_transformers_is_a_dual_encoder_tested_here_or_refused_in_a_sentence(
    tmp_path: Path,
) -> None:
    tested = {*FAMILIES, *NEITHER}
    kinds = {kind for kind in MODEL_MAPPING_NAMES if may_embed(kind)}
    assert kinds > tested & {*MODEL_MAPPING_NAMES}
    for kind in sorted(kinds | {*list(MODEL_MAPPING_NAMES)[::20]}):  # and some of the others
        (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
        with pytest.raises(OpenAlignError) as raised:
            load(tmp_path)
        message = str(raised.value)
        assert len(message) < 500 and "\n" not in message, kind
        refused = "not a dual encoder" in message or "cannot be loaded by transformers" in message
        assert refused or kind in tested, f"{kind}: {message}"
        assert not refused or kind not in FAMILIES, f"{kind}: {message}"


def test_blip_2_is_refused_before_its_weights_are_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "blip-2"}')
    with pytest.raises(OpenAlignError, match=r"not a dual encoder \(model type `blip-2`\): its language model"):
        load(tmp_path)
