"""What a folder of transformers' own `AlignModel` may say that our ALIGN has no setting for.

Such a model is run by transformers itself, so that each of its settings counts; it cannot be trained or exported here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from transformers import AlignConfig, PreTrainedConfig

from openalign.data.files.json_files import read_object
from openalign.data.files.library_errors import library_errors
from openalign.model.align import AlignSettings
from openalign.model.config import config_from
from openalign.model.dual_encoder import centre_crop
from openalign.model.pretrained import TOKENIZER_SETTINGS, has_processor, load_processor

PUBLISHED_SIZES = (289, 346)
"""Crop and resized image in pixels, of the published port and of a folder that does not say."""

_WITHOUT_EFFECT = {
    # in training only, and at initialisation
    "hidden_dropout_prob", "attention_probs_dropout_prob", "drop_connect_rate", "dropout_rate", "batch_norm_momentum",
    "initializer_range", "initializer_factor", "classifier_dropout", "pad_token_id", "bos_token_id", "eos_token_id",
    # of decoders
    "use_cache", "is_decoder", "add_cross_attention", "cross_attention_hidden_size",
    # derived from others, or not read
    "image_size", "num_hidden_layers", "hidden_dim", "model_type", "transformers_version",
}  # fmt: skip
_LARGEST_DIFFERENCE = 1e-4
"""Of prepared pixels in [-1, 1] from transformers'."""
_ODD_SHAPE = (97, 131)
_LEAST_PIECES = 3
"""[CLS], a piece and [SEP]."""


def setting_unlike_ours(config: Mapping[str, Any], settings: AlignSettings, where: str) -> str | None:
    """The first setting of an `AlignModel` configuration that changes its embeddings and is not among `settings`.

    Returns:
        Its dotted key with both values; None if our model computes the same.
    """
    with library_errors(f"{where}/config.json: not an ALIGN configuration"):
        theirs = AlignConfig(**{key: value for key, value in config.items() if key != "openalign"})
        ours = AlignConfig(**{key: value for key, value in config_from(settings).items() if key != "openalign"})
        general = set(PreTrainedConfig().to_dict())
        for tower in ("text_config", "vision_config"):
            found, known = getattr(theirs, tower).to_dict(), getattr(ours, tower).to_dict()
            declared = type(getattr(ours, tower))().to_dict().keys()
            for key in sorted(declared - general - _WITHOUT_EFFECT):
                if _plain(found.get(key)) != _plain(known[key]):
                    return f"`{tower}.{key}` = {found.get(key)!r}, and not {known[key]!r}"
    return None


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def port_sizes(folder: Path) -> tuple[int, int]:
    """Sides of the crop and of the resized image in pixels, as the image processor's configuration says.

    Raises:
        OpenAlignError: the image processor cannot be loaded, or a size is out of limits.
    """
    if not has_processor(folder):
        return PUBLISHED_SIZES
    settings = load_processor(folder).to_dict()
    resized = _square(settings.get("size")) or PUBLISHED_SIZES[1]
    crop = _square(settings.get("crop_size")) or PUBLISHED_SIZES[0]
    return min(crop, resized), resized


def pieces_kept(folder: Path, settings: AlignSettings) -> int:
    """Word pieces of a text that are kept: the model's positions, or fewer if its tokenizer says so (64 published).

    Raises:
        OpenAlignError: `tokenizer_config.json` cannot be read.
    """
    positions = settings.text_tower.max_pieces
    tokenizer = folder / TOKENIZER_SETTINGS
    stated = read_object(tokenizer).get("model_max_length") if tokenizer.exists() else None
    return min(positions, int(stated)) if isinstance(stated, int | float) and stated >= _LEAST_PIECES else positions


def _square(size: Any) -> int | None:
    """The side of a square in pixels, None for other forms."""
    if isinstance(size, Mapping) and size.get("height") == size.get("width"):
        size = size.get("height")
    return size if isinstance(size, int) else None


def prepares_as_we_do(folder: Path, settings: AlignSettings) -> bool:
    """Whether the image processor of a folder, if it has one, gives the pixels that our model sees.

    Compared on an image with an edge, whose sides differ from all sizes of the model.

    Raises:
        OpenAlignError: the image processor cannot be loaded.
    """
    if not has_processor(folder):
        return True
    image_HWC = np.random.default_rng(0).integers(0, 256, (*_ODD_SHAPE, 3), dtype=np.uint8)
    with library_errors(f"{folder}: its image processor failed"):
        theirs_CHW = load_processor(folder)(images=Image.fromarray(image_HWC), return_tensors="np")["pixel_values"][0]
    sizes = {"resize_size": settings.resize_size, "image_size": settings.image_size}
    cropped_HWC = centre_crop(image_HWC, **sizes, resized=resize_as_pillow)
    ours_CHW = cropped_HWC.transpose(2, 0, 1) / 127.5 - 1
    return theirs_CHW.shape == ours_CHW.shape and bool(np.abs(theirs_CHW - ours_CHW).max() <= _LARGEST_DIFFERENCE)


def resize_as_pillow(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resample (H, W, 3) to (height, width, 3) as transformers does; `decode.resize` may differ by a grey level."""
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
