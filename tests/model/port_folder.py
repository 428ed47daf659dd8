"""A small folder of transformers' own ALIGN, as an older release saved it."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AlignConfig, AlignModel

from tests.model.foreign_folders import moved, text_config, write

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "apple", "two", "cats", "dog", "'"]
LETTERS = [*"abcdefghijklmnopqrstuvwxyz", *(f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")]
VISION = {
    "image_size": 24,
    "width_coefficient": 0.25,
    "depth_coefficient": 1.0,
    "kernel_sizes": [3, 5],
    "in_channels": [32, 32],
    "out_channels": [32, 64],
    "strides": [1, 2],
    "num_block_repeats": [1, 2],
    "expand_ratios": [1, 4],
    "hidden_dim": 16,
}
PREPROCESSOR = {
    "crop_size": {"height": 24, "width": 24},
    "do_center_crop": True,
    "do_normalize": False,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_processor_type": "EfficientNetImageProcessor",
    "image_std": [0.47853944, 0.4732864, 0.47434163],
    "include_top": False,
    "processor_class": "AlignProcessor",
    "resample": 2,
    "rescale_factor": 0.00784313725490196,
    "rescale_offset": True,
    "size": {"height": 31, "width": 31},
}


def align_base_folder(folder: Path) -> Path:
    """As `kakaobrain/align-base` was published: position ids among the weights, and the slow tokenizer's vocab.txt."""
    vocabulary = [*WORDS, *LETTERS]
    config = AlignConfig(
        text_config=text_config(len(vocabulary), max_position_embeddings=128),
        vision_config=VISION,
        projection_dim=16,
        temperature_init_value=1.0,
    )
    torch.manual_seed(0)
    moved(AlignModel(config)).save_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    weights["temperature"] = torch.tensor(0.02)
    weights["text_model.embeddings.position_ids"] = torch.arange(128)[None]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    write(folder / "preprocessor_config.json", PREPROCESSOR)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    write(
        folder / "tokenizer_config.json",
        {
            "cls_token": "[CLS]",
            "do_basic_tokenize": True,
            "do_lower_case": True,
            "mask_token": "[MASK]",
            "model_max_length": 64,
            "never_split": None,
            "pad_token": "[PAD]",
            "processor_class": "AlignProcessor",
            "sep_token": "[SEP]",
            "strip_accents": None,
            "tokenize_chinese_chars": True,
            "tokenizer_class": "BertTokenizer",
            "unk_token": "[UNK]",
        },
    )
    return folder
