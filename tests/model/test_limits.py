"""Configurations that ask for what no model has are refused before anything is built."""

import re
from pathlib import Path

import pytest

from openalign.data.tokenizer.wordpiece import Tokenizer, train_tokenizer
from openalign.errors import OpenAlignError
from openalign.model.align import AlignSettings, TextTowerSettings
from openalign.model.efficientnet.settings import ImageTowerSettings
from openalign.model.hub import align_settings, load
from openalign.model.limits import check_config, check_preprocessor
from tests.model.folders import align_folder, clip_folder, put

CONFIG = Path("x/config.json")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    file = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    return Tokenizer.load(train_tokenizer(["a red apple", "two cats", "a dog"], file, size=60))


@pytest.mark.parametrize(
    ("key", "value", "limit"),
    [
        ("text_config.num_hidden_layers", 10_000_000, "1,000"),
        ("text_config.num_hidden_layers", 900, "weight files hold only"),
        ("text_config.num_hidden_layers", -1, "1,000"),
        ("text_config.num_hidden_layers", "12", "1,000"),
        ("text_config.num_hidden_layers", [10**9], "1,000"),
        ("vision_config.hidden_size", 2**31, "262,144"),
        ("text_config.vocab_size", 2**40, "1,048,576"),
        ("vision_config.image_size", 10**9, "4,096"),
        ("text_config.max_position_embeddings", 2**40, "1,048,576"),
        ("projection_dim", 0, "262,144"),
        ("projection_dim", True, "262,144"),
        ("text_config.pad_token_id", 2**60, "2,147,483,647"),
        ("num_labels", 10**9, "1,048,576"),
    ],
)
def test_a_clip_configuration_beyond_the_limits_is_refused(
    key: str, value: object, limit: str, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    folder = clip_folder(tmp_path / "clip", tokenizer)
    put(folder / "config.json", key, value)
    with pytest.raises(OpenAlignError, match=rf"config\.json: `{re.escape(key)}` .*{limit}"):
        load(folder)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("text_config.num_hidden_layers", 10_000_000, "at|to 1,000"),
        ("text_config.hidden_size", 2**31, "262,144"),
        ("text_config.hidden_size", 17, "cannot be shared evenly"),
        ("text_config.vocab_size", 2**40, "1,048,576"),
        ("text_config.max_position_embeddings", 2**40, "1,048,576"),
        ("vision_config.num_block_repeats", [1, 10**7], "1,000"),
        ("vision_config.num_block_repeats", [1, 0], "it must be at least 1"),
        ("vision_config.num_block_repeats", [1] * 5000, "1,000|4,096"),
        ("vision_config.depth_coefficient", 1e9, "32"),
        ("vision_config.kernel_sizes", [3], "1 entries"),
        ("openalign.image_size", 41, "larger than `resize_size` = 40"),
        ("openalign.resize_size", 10**6, "at most 4,096"),
        ("openalign.resize_size", 40.5, "a whole number"),
        ("openalign.log_temperature", 1e6, "between -20 and 20"),
        ("openalign.log_temperature", "1", "between -20 and 20"),
        ("openalign", 3, "not an ALIGN configuration"),
        ("text_config", [], "not an ALIGN configuration"),
    ],
)
def test_a_configuration_of_ours_beyond_the_limits_is_refused(
    key: str, value: object, says: str, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    folder = align_folder(tmp_path / "align", tokenizer)
    put(folder / "config.json", key, value)
    with pytest.raises(OpenAlignError, match=rf"config\.json: .*({says})"):
        load(folder)


@pytest.mark.slow
def test_more_parameters_than_the_weight_files_hold_are_not_built(tokenizer: Tokenizer, tmp_path: Path) -> None:
    clip, ours = clip_folder(tmp_path / "clip", tokenizer), align_folder(tmp_path / "ours", tokenizer)
    put(clip / "config.json", "vision_config.intermediate_size", 2**18)
    with pytest.raises(OpenAlignError, match=r"asks for [\d,]+ parameters, but the weight files hold only [\d,]+"):
        load(clip)
    put(ours / "config.json", "text_config.vocab_size", 2**20)
    put(ours / "config.json", "text_config.hidden_size", 2**18)
    with pytest.raises(OpenAlignError, match=r"word_embeddings.* the settings ask for .*another shape"):
        load(ours)


def test_a_width_of_another_model_is_named(tokenizer: Tokenizer, tmp_path: Path) -> None:
    folder = clip_folder(tmp_path / "clip", tokenizer)
    put(folder / "config.json", "vision_config.intermediate_size", 40)
    with pytest.raises(OpenAlignError, match=r"fc1.* has shape \(32.*asks for \(40"):
        load(folder)


def test_a_fine_tuning_reads_no_more_layers_than_the_limit(tokenizer: Tokenizer, tmp_path: Path) -> None:
    folder = align_folder(tmp_path / "align", tokenizer)
    put(folder / "config.json", "text_config.num_hidden_layers", 1001)
    with pytest.raises(OpenAlignError, match="must be a whole number from 1 to 1,000"):
        align_settings(folder)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"size": {"shortest_edge": 10**6}}, "`size.shortest_edge` = 1,000,000: .* from 1 to 4,096"),
        ({"size": 0}, "`size` = 0"),
        ({"crop_size": {"height": "224", "width": 224}}, "`crop_size.height` = '224'"),
        ({"size": 224, "crop_size": 256}, "`crop_size` = 256 is larger than the resized image, `size` = 224"),
        (
            {"image_processor": {"size": {"height": 9, "width": 9}, "crop_size": {"height": 10, "width": 9}}},
            None,
        ),
        ({"image_std": [0.5, 0.0, 0.5]}, "`image_std` = 0.0"),
        ({"image_std": 0}, "`image_std` = 0"),
        ({"pad_size": {"height": 2**31, "width": 1}}, "`pad_size.height`"),
    ],
)
def test_sizes_of_images_have_limits(settings: dict[str, object], says: str | None) -> None:
    if says is None:
        check_preprocessor(settings, CONFIG)
        return
    with pytest.raises(OpenAlignError, match=says):
        check_preprocessor(settings, CONFIG)


def test_a_crop_larger_than_the_image_is_refused_in_clip_too(tokenizer: Tokenizer, tmp_path: Path) -> None:
    folder = clip_folder(tmp_path / "clip", tokenizer)
    put(folder / "preprocessor_config.json", "crop_size", {"height": 40, "width": 40})
    with pytest.raises(OpenAlignError, match=r"preprocessor_config\.json: `crop_size` = 40 is larger"):
        load(folder)


@pytest.mark.parametrize(
    "config",
    [
        {
            "text_config": {
                "vocab_size": 256_000,
                "num_hidden_layers": 27,
                "no_repeat_ngram_size": 0,
                "eos_token_id": -1,
            }
        },
        {"image_size": [224, 224], "vision_feature_layer": -2, "layer_norm_eps": 1e-5, "depths": [2, 2, 18, 2]},
        {"id2label": {"0": "water depth"}, "label2id": {"water depth": 21_840, "blocks": 21_841}, "torch_dtype": None},
        {"num_attention_heads": [1, 2, 5, 8], "hidden_sizes": [32, 64, 160, 256], "expand_ratios": [], "rope": 1e6},
        {"attn_implementation": "sdpa", "quantization_config": None, "vision_config": None},
    ],
)
def test_what_published_models_say_is_accepted(config: dict[str, object]) -> None:
    check_config(config, CONFIG, tensors=400)


def test_recipes_and_settings_have_the_same_limits() -> None:
    with pytest.raises(ValueError, match="less than or equal to 1000"):
        TextTowerSettings(layers=10_000_000)
    with pytest.raises(ValueError, match="finite"):
        ImageTowerSettings(drop_path=float("nan"))
    with pytest.raises(ValueError, match="larger than `resize_size`"):
        AlignSettings(vocabulary=10, image_size=400)
    with pytest.raises(ValueError, match=r"blocks; at most 1,000"):
        AlignSettings(vocabulary=10, image_tower=ImageTowerSettings(depth_multiplier=30.0, repeats=(90,) * 7))
    with pytest.raises(OpenAlignError, match=r"recipe\.toml: `layers` = 10000000 is not valid"):
        TextTowerSettings.read({"layers": 10_000_000}, "recipe.toml")
