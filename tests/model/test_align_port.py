"""Folders of transformers' own ALIGN, as this release and older ones write them, beside transformers itself."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AlignModel, AutoImageProcessor, AutoTokenizer

from openalign.data.tokenizer.wordpiece import Tokenizer
from openalign.errors import OpenAlignError
from openalign.model.align_encoder import AlignEncoder
from openalign.model.foreign.transformers_encoder import TransformersEncoder
from openalign.model.hub import align_settings, load, load_align
from openalign.model.onnx.export import export
from tests.model.folders import align_folder, edit, put
from tests.model.foreign_folders import TEXTS, word_pieces, write
from tests.model.port_folder import align_base_folder

pytestmark = pytest.mark.slow

PICTURES = [np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8) for shape in ((40, 50, 3), (97, 64, 3))]
LONG = " ".join(TEXTS * 9)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return align_base_folder(tmp_path_factory.mktemp("port") / "align-base")


@pytest.fixture
def port(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "port"))


def theirs(folder: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Image and text vectors by transformers alone."""
    model, processor = AlignModel.from_pretrained(folder).eval(), AutoImageProcessor.from_pretrained(folder)
    tokens = AutoTokenizer.from_pretrained(folder)(
        [*TEXTS, LONG], padding="max_length", truncation=True, max_length=64, return_tensors="pt"
    )
    with torch.inference_mode():
        images = [
            model.get_image_features(**processor(images=Image.fromarray(each), return_tensors="pt")).pooler_output
            for each in PICTURES
        ]
        texts = model.get_text_features(**tokens).pooler_output
    return unit(torch.cat(images)), unit(texts)


def unit(rows: torch.Tensor) -> NDArray[np.float32]:
    return torch.nn.functional.normalize(rows, dim=1).numpy()


def same_as_theirs(folder: Path) -> Any:
    encoder = load(folder)
    images_ND, texts_ND = theirs(folder)
    np.testing.assert_allclose(encoder.embed_images(PICTURES), images_ND, atol=1e-5)
    np.testing.assert_allclose(encoder.embed_texts([*TEXTS, LONG]), texts_ND, atol=1e-5)
    return encoder


def test_the_published_folder_gives_the_vectors_of_transformers(original: Path) -> None:
    encoder = same_as_theirs(original)
    assert isinstance(encoder, AlignEncoder)
    assert encoder.temperature == pytest.approx(0.02)
    assert (encoder.image_size, encoder.max_pieces) == (24, 64)


def test_it_can_be_fine_tuned_and_exported(port: Path, tmp_path: Path) -> None:
    assert load_align(port).settings == align_settings(port)
    assert align_settings(port).resize_size == 31
    export(port, tmp_path / "onnx")
    assert json.loads((tmp_path / "onnx" / "onnx.json").read_text())["max_pieces"] == 64


def test_it_may_have_its_weights_in_several_files(port: Path) -> None:
    expected = load(port).embed_texts(TEXTS)
    weights = load_file(port / "model.safetensors")
    (port / "model.safetensors").unlink()
    names = sorted(weights)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, kept in parts.items():
        save_file({name: weights[name] for name in kept}, port / file, metadata={"format": "pt"})
    index = {name: file for file, kept in parts.items() for name in kept}
    write(port / "model.safetensors.index.json", {"metadata": {"total_size": 1}, "weight_map": index})
    encoder = same_as_theirs(port)
    np.testing.assert_array_equal(encoder.embed_texts(TEXTS), expected)
    (port / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(OpenAlignError, match=r"model-00002-of-00002\.safetensors: no such file"):
        load(port)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_it_may_be_in_half_precision(kind: torch.dtype, port: Path) -> None:
    weights = {key: each.to(kind) if each.is_floating_point() else each for key, each in weights_of(port).items()}
    save_file(weights, port / "model.safetensors", metadata={"format": "pt"})
    encoder = load(port)
    rows_ND = np.concatenate([encoder.embed_images(PICTURES), encoder.embed_texts(TEXTS)])
    np.testing.assert_allclose(np.linalg.norm(rows_ND, axis=1), 1, atol=1e-6)
    assert encoder.temperature == pytest.approx(float(weights["temperature"]), rel=1e-6)


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = load_file(folder / "model.safetensors")
    return weights


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("text_config.hidden_act", "relu"),
        ("text_config.layer_norm_eps", 1e-2),
        ("vision_config.hidden_act", "gelu"),
        ("vision_config.batch_norm_eps", 1e-1),
        ("vision_config.pooling_type", "max"),
        ("vision_config.depthwise_padding", [1]),
    ],
)
def test_a_setting_that_our_model_lacks_is_left_to_transformers(key: str, value: object, port: Path) -> None:
    before = load(port)
    put(port / "config.json", key, value)
    encoder = same_as_theirs(port)
    assert isinstance(encoder, TransformersEncoder)
    moved_by = [
        np.abs(encoder.embed_images(PICTURES) - before.embed_images(PICTURES)).max(),
        np.abs(encoder.embed_texts(TEXTS) - before.embed_texts(TEXTS)).max(),
    ]
    assert max(moved_by) > 1e-4 or key.endswith("depthwise_padding")
    for opened in (load_align, align_settings):
        with pytest.raises(OpenAlignError, match=rf"config\.json: `{key}` = .*, and not .*not trained"):
            opened(port)
    with pytest.raises(OpenAlignError, match="only models of the ALIGN kind can be exported"):
        export(port, port.parent / "onnx")


def test_a_setting_that_changes_nothing_is_not_told(port: Path) -> None:
    for key, value in (
        ("text_config.hidden_dropout_prob", 0.3),
        ("vision_config.drop_connect_rate", 0.5),
        ("vision_config.image_size", 600),
        ("text_config.use_cache", False),
        ("initializer_range", 0.5),
    ):
        put(port / "config.json", key, value)
    assert isinstance(same_as_theirs(port), AlignEncoder)


def test_a_folder_of_ours_with_such_a_setting_is_refused(tmp_path: Path) -> None:
    folder = align_folder(tmp_path / "ours", word_pieces(tmp_path))
    put(folder / "config.json", "vision_config.batch_norm_eps", 0.1)
    with pytest.raises(OpenAlignError, match=r"`vision_config\.batch_norm_eps` = 0\.1, and not 0\.001"):
        load(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"do_normalize": True, "rescale_factor": 1 / 255, "rescale_offset": False},
        {"resample": 3},
        {"include_top": True},
        {"do_center_crop": False},
        {"size": {"height": 40, "width": 31}},
    ],
)
def test_an_image_processor_of_another_kind_is_left_to_transformers(changes: dict[str, Any], port: Path) -> None:
    edit(port / "preprocessor_config.json", lambda content: content.update(changes))
    assert isinstance(same_as_theirs(port), TransformersEncoder)
    with pytest.raises(OpenAlignError, match=r"its image processor gives other pixels .* not trained"):
        load_align(port)


def test_the_sizes_of_the_image_processor_are_taken(port: Path) -> None:
    sizes = {"size": {"height": 50, "width": 50}, "crop_size": {"height": 35, "width": 35}}
    edit(port / "preprocessor_config.json", lambda content: content.update(sizes))
    encoder = same_as_theirs(port)
    assert isinstance(encoder, AlignEncoder) and encoder.image_size == 35


def test_a_folder_written_by_this_release_has_its_sizes_in_another_file(port: Path) -> None:
    parts = AutoImageProcessor.from_pretrained(port), AutoTokenizer.from_pretrained(port)
    for name in ("preprocessor_config.json", "vocab.txt", "tokenizer_config.json"):
        (port / name).unlink()
    transformers.AlignProcessor(*parts).save_pretrained(port)
    assert not (port / "preprocessor_config.json").exists()
    encoder = same_as_theirs(port)
    assert isinstance(encoder, AlignEncoder) and encoder.image_size == 24
    put(port / "processor_config.json", "image_processor.crop_size", {"height": 21, "width": 21})
    assert load(port).image_size == 21 and load(port).fingerprint != encoder.fingerprint


def test_without_a_stated_length_texts_have_as_many_pieces_as_positions(port: Path) -> None:
    edit(port / "tokenizer_config.json", lambda content: content.pop("model_max_length"))
    assert load(port).max_pieces == 128  # type: ignore[attr-defined]


@pytest.mark.parametrize("lower", [True, False])
def test_the_slow_tokenizers_settings_count(lower: bool, port: Path) -> None:
    put(port / "tokenizer_config.json", "do_lower_case", lower)
    encoder = same_as_theirs(port)
    same = np.allclose(encoder.embed_texts(["RED Apple"]), encoder.embed_texts(["red apple"]), atol=1e-6)
    assert same == lower


@pytest.mark.parametrize("stated", [True, False, None])
def test_the_tokenizers_two_files_count_as_they_do_in_transformers(stated: bool | None, port: Path) -> None:
    AutoTokenizer.from_pretrained(port).save_pretrained(port)
    (port / "vocab.txt").unlink()
    put(port / "tokenizer.json", "normalizer.lowercase", False)
    if stated is None:
        edit(port / "tokenizer_config.json", lambda content: content.pop("do_lower_case"))
    else:
        put(port / "tokenizer_config.json", "do_lower_case", stated)
    same_as_theirs(port)


def test_the_vocabulary_is_part_of_the_fingerprint(port: Path) -> None:
    before = load(port).fingerprint
    put(port / "tokenizer_config.json", "do_lower_case", False)
    other_case = load(port).fingerprint
    text = (port / "vocab.txt").read_text().split("\n")
    text[5], text[6] = text[6], text[5]
    (port / "vocab.txt").write_text("\n".join(text))
    assert len({before, other_case, load(port).fingerprint}) == 3


@pytest.mark.parametrize("content", ["", "a\nb\n", "\x00\xff"])
def test_a_vocabulary_without_special_tokens_is_a_message(content: str, port: Path) -> None:
    (port / "vocab.txt").write_text(content)
    with pytest.raises(OpenAlignError, match=r"vocab|tokenizer"):
        load(port).embed_texts(TEXTS)


def test_pickled_weights_are_refused_with_the_way_to_convert_them(port: Path) -> None:
    torch.save(weights_of(port), port / "pytorch_model.bin")
    (port / "model.safetensors").unlink()
    with pytest.raises(
        OpenAlignError, match=r"only as pytorch_model\.bin, a format that can run code.*save_pretrained"
    ):
        load(port)


def test_a_temperature_in_the_configuration_never_beats_the_weights(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = align_folder(tmp_path / "ours", word_pieces(tmp_path))
    weights = weights_of(folder)
    with caplog.at_level(logging.WARNING, "openalign"):
        exact = float(load_align(folder).log_temperature.detach())
        assert not caplog.records
        for value in (-4.0, 3.0):
            put(folder / "config.json", "openalign.log_temperature", value)
            assert load(folder).temperature == pytest.approx(float(weights["temperature"]))
            assert f"`openalign.log_temperature` = {value} is not that of the weights" in caplog.text
    put(folder / "config.json", "temperature_init_value", 0.5)
    assert float(load_align(folder).log_temperature.detach()) == pytest.approx(exact, abs=1e-6)


def test_our_tokenizer_configuration_gives_the_length_that_the_model_takes(tmp_path: Path) -> None:
    tokenizer: Tokenizer = word_pieces(tmp_path)
    folder = align_folder(tmp_path / "ours", tokenizer)
    fast, model = AutoTokenizer.from_pretrained(folder), AlignModel.from_pretrained(folder)
    tokens = fast([LONG], truncation=True, return_tensors="pt")
    assert tokens["input_ids"].shape[1] == fast.model_max_length == 12
    model.get_text_features(**tokens)
    assert transformers.AutoConfig.from_pretrained(folder).text_config.max_position_embeddings == 12
