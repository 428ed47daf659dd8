"""Our settings as the configuration of a Hugging Face `AlignModel` folder, and back.

What that format has no word for stands in a section `openalign`: how the image tower pads, the sizes in pixels, and the
width that a linear layer brings the pooled image features to.
"""

from typing import Any

from transformers import AlignConfig

from openalign.data.files.library_errors import library_errors
from openalign.model.align import AlignSettings, bert_config
from openalign.model.efficientnet import STEM_CHANNELS


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
        OpenAlignError: a field is missing or does not fit.
    """
    with library_errors(f"{where}/config.json: not an ALIGN configuration"):
        align = AlignConfig(**{key: value for key, value in config.items() if key != "openalign"})
        text: Any = align.text_config
        vision: Any = align.vision_config
        # The port pads in its own way and was published with crops of 289 from 346 pixels.
        ours = config.get("openalign", {"padding": "hf", "image_size": 289, "resize_size": 346})
        image_tower = {
            "width_multiplier": float(vision.width_coefficient),
            "depth_multiplier": float(vision.depth_coefficient),
            "kernels": vision.kernel_sizes,
            "strides": vision.strides,
            "channels": vision.out_channels,
            "repeats": vision.num_block_repeats,
            "expansions": vision.expand_ratios,
            "squeeze_ratio": float(vision.squeeze_expansion_ratio),
            "drop_path": float(vision.drop_connect_rate),
            "padding": ours["padding"],
        }
        text_tower = {
            "width": text.hidden_size,
            "layers": text.num_hidden_layers,
            "heads": text.num_attention_heads,
            "inner_width": text.intermediate_size,
            "dropout": float(text.hidden_dropout_prob),
            "max_pieces": text.max_position_embeddings,
        }
        sizes = {
            "vocabulary": text.vocab_size,
            "image_size": ours["image_size"],
            "resize_size": ours["resize_size"],
            "initial_temperature": float(align.temperature_init_value),
            "embedding_width": ours.get("embedding_width"),
        }
        return AlignSettings.read(
            {"image_tower": image_tower, "text_tower": text_tower, **sizes}, f"{where}/config.json"
        )


def preprocessor_from(settings: AlignSettings) -> dict[str, Any]:
    """How images are cut, in the words of transformers' `EfficientNetImageProcessor`."""
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
