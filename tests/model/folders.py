"""Small model folders for tests: ours, and a CLIP as transformers writes it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

from openalign.data.tokenizer.wordpiece import Tokenizer
from openalign.model.align import Align, AlignSettings, TextTowerSettings
from openalign.model.efficientnet.settings import ImageTowerSettings
from openalign.model.hub import save


def align_folder(folder: Path, tokenizer: Tokenizer) -> Path:
    """An untrained model of ours; without checksums.json, like a stranger's."""
    tower = ImageTowerSettings(
        width_multiplier=0.25, kernels=(3, 5), strides=(1, 2), channels=(32, 64), repeats=(1, 2), expansions=(1, 4)
    )
    settings = AlignSettings(
        image_tower=tower,
        text_tower=TextTowerSettings(width=16, layers=1, heads=2, inner_width=32, max_pieces=12),
        vocabulary=tokenizer.size,
        image_size=32,
        resize_size=40,
    )
    torch.manual_seed(0)
    save(Align(settings), tokenizer, folder, card="# untrained\n")
    return folder


def clip_folder(folder: Path, tokenizer: Tokenizer) -> Path:
    """An untrained CLIP with our tokenizer."""
    tower = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    vocabulary = {"vocab_size": tokenizer.size, "eos_token_id": 3, "bos_token_id": 2, "pad_token_id": 0}
    config = CLIPConfig(
        text_config={**tower, **vocabulary, "max_position_embeddings": 16},
        vision_config={**tower, "image_size": 32, "patch_size": 8},
        projection_dim=12,
    )
    torch.manual_seed(0)
    CLIPModel(config).eval().save_pretrained(folder)
    tokenizer.save(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the JSON object in a file."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def put(path: Path, key: str, value: object) -> None:
    """Set one value in a JSON file by its dotted key."""

    def change(content: dict[str, Any]) -> None:
        *parents, last = key.split(".")
        for parent in parents:
            content = content[parent]
        content[last] = value

    edit(path, change)
