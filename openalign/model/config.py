"""Our settings as the configuration of a Hugging Face `AlignModel` folder, and back.

Settings that the format lacks are in a section `openalign`: the image tower's padding, the sizes in pixels, and the
width of the linear layer on the pooled image features.
"""

from typing import Any

from transformers import AlignConfig

from openalign.data.files.library_errors import library_errors
from openalign.model.align import AlignSettings, bert_config
from openalign.model.efficientnet.settings import STEM_CHANNELS


def config_from(settings: AlignSettings) -> dict[str, Any]:
    """Our settings as an `AlignModel` configuration."""
    tower = settings.image_tower
    config = AlignConfig(
        text_config=bert_config(settings).to_dict() | {"model_type": "align_text_model"},
        vision_config={
            "image_size": settings.image_size,
            "width_coefficient": tower.width_multiplier,
            "depth_coefficient": tower.depth_multiplier,
            "kernel_sizes": list(tower.kernels),
            "in_channels": [STEM_CHANNELS, *tower.channels[:-1]],
            "out_channels": list(tower.channels),
            "strides": list(tower.strides),
            "num_block_repeats": list(tower.repeats),
            "expand_ratios": list(tower.expansions),
            "squeeze_expansion_ratio": tower.squeeze_ratio,
            "hidden_dim": tower.width,
            "drop_connect_rate": tower.drop_path,
        },
        projection_dim=settings.width,
        temperature_init_value=settings.initial_temperature,
    ).to_dict()
    ours = {
        "padding": tower.padding,
        "image_size": settings.image_size,
        "resize_size": settings.resize_size,
        "embedding_width": settings.embedding_width,
    }
    return {**config, "architectures": ["AlignModel"], "openalign": ours}


def settings_from(config: dict[str, Any], where: str) -> AlignSettings:
    """An `AlignModel` configuration, ours or the port's, as our settings.

    Raises:
        OpenAlignError: a field is missing or not valid.
    """
    with library_errors(f"{where}/config.json: not an ALIGN configuration"):
        align = AlignConfig(**{key: value for key, value in config.items() if key != "openalign"})
        text: Any = align.text_config
        # The port pads in its own way and was published with crops of 289 from 346 pixels.
        ours = config.get("openalign", {"padding": "hf", "image_size": 289, "resize_size": 346})
        settings = {
            "image_tower": _image_tower(align.vision_config, ours["padding"]),
            "text_tower": _text_tower(text),
            "vocabulary": text.vocab_size,
            "image_size": ours["image_size"],
            "resize_size": ours["resize_size"],
            "initial_temperature": float(align.temperature_init_value),
            "embedding_width": ours.get("embedding_width"),
        }
        return AlignSettings.read(settings, f"{where}/config.json")


def _image_tower(vision: Any, padding: Any) -> dict[str, Any]:
    return {
        "width_multiplier": float(vision.width_coefficient),
        "depth_multiplier": float(vision.depth_coefficient),
        "kernels": vision.kernel_sizes,
        "strides": vision.strides,
        "channels": vision.out_channels,
        "repeats": vision.num_block_repeats,
        "expansions": vision.expand_ratios,
        "squeeze_ratio": float(vision.squeeze_expansion_ratio),
        "drop_path": float(vision.drop_connect_rate),
        "padding": padding,
    }


def _text_tower(text: Any) -> dict[str, Any]:
    return {
        "width": text.hidden_size,
        "layers": text.num_hidden_layers,
        "heads": text.num_attention_heads,
        "inner_width": text.intermediate_size,
        "dropout": float(text.hidden_dropout_prob),
        "max_pieces": text.max_position_embeddings,
    }


def preprocessor_from(settings: AlignSettings) -> dict[str, Any]:
    """The preprocessing as a configuration of transformers' `EfficientNetImageProcessor`."""
    return {
        "image_processor_type": "EfficientNetImageProcessor",
        "do_resize": True,
        "size": {"height": settings.resize_size, "width": settings.resize_size},
        "resample": 2,
        "do_center_crop": True,
        "crop_size": {"height": settings.image_size, "width": settings.image_size},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "rescale_offset": False,
        "do_normalize": True,
        "include_top": False,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
