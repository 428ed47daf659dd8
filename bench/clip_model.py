"""A CLIP of the shape of ViT-B/32 at 256 pixels with random weights: as a folder for transformers, and for rclip.

    python bench/clip_model.py FOLDER

writes FOLDER/clip (weights, image processor and tokenizer as the hub has them: openalign, transformers and infinity-emb
load it) and FOLDER/rclip (what rclip would download, of the same weights: both towers as ONNX in float32, and the
merges of the tokenizer). The weights are random, since speed does not depend on them; the tokenizer is a byte-pair
encoding of the words below, so that a query has a few more tokens than by CLIP's own.
"""

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

SIDE, WIDTH, LENGTH, MERGES = 256, 512, 77, 100
RCLIP_MODEL = "ViT-B-32-256-datacomp_s34b_b86k"
"""The only model of rclip 3.3, of this shape; the name of its folder."""
THINGS = (
    *("apple", "bicycle", "cat", "dog", "house", "mountain", "beach", "forest"),
    *("car", "train", "flower", "bird", "river", "bridge", "street", "child"),
)
WORDS = (
    *("red", "blue", "old", "new", "small", "large", "wooden", "black"),
    *("white", "green", "long", "short", "striped", "plain", "round", "warm"),
)
START, END = "<|startoftext|>", "<|endoftext|>"


class Tower(torch.nn.Module):
    """One tower of a CLIP as rclip runs it: one input, one output, not normalized."""

    def __init__(self, model: Any, *, of_images: bool) -> None:
        super().__init__()
        self.tower = model.vision_model if of_images else model.text_model
        self.projection = model.visual_projection if of_images else model.text_projection

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        projected: torch.Tensor = self.projection(self.tower(input).pooler_output)
        return projected


def write_clip(folder: Path, layers: int = 12, width: int = WIDTH) -> Path:
    """The model in `folder`, unless it is there."""
    if (folder / "model.safetensors").exists():
        return folder
    tokenizer = _write_tokenizer(folder)
    start, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    text = {"hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 8}
    vision = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}
    ids = {"vocab_size": len(tokenizer), "bos_token_id": start, "eos_token_id": end, "pad_token_id": end}
    torch.manual_seed(0)
    config = transformers.CLIPConfig(
        text_config={**text, **ids, "num_hidden_layers": layers, "max_position_embeddings": LENGTH},
        vision_config={**vision, "num_hidden_layers": layers, "image_size": SIDE, "patch_size": 32},
        projection_dim=width,
    )
    transformers.CLIPModel(config).eval().save_pretrained(folder)
    square = {"height": SIDE, "width": SIDE}
    transformers.CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=square).save_pretrained(folder)
    return folder


def write_rclip(clip: Path, folder: Path) -> Path:
    """What rclip finds in its RCLIP_DATADIR in place of a download: the weights of `clip` as ONNX."""
    towers = folder / RCLIP_MODEL
    if (towers / "textual.onnx").exists():
        return folder
    towers.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer").mkdir(exist_ok=True)
    merges = (clip / "merges.txt").read_text(encoding="utf-8")
    with gzip.open(folder / "tokenizer" / "bpe_simple_vocab_16e6.txt.gz", "wt", encoding="utf-8") as file:
        file.write(merges)
    model = transformers.CLIPModel.from_pretrained(clip).eval()
    examples = {"visual": torch.zeros(2, 3, SIDE, SIDE), "textual": torch.zeros(2, LENGTH, dtype=torch.int64)}
    for name, example in examples.items():
        batch = {"input": {0: torch.export.Dim("batch", min=1, max=4096)}}
        tower = Tower(model, of_images=name == "visual").eval()
        made = torch.onnx.export(
            tower, (example,), input_names=["input"], output_names=["output"], dynamic_shapes=batch, dynamo=True
        )
        made.save(towers / f"{name}.onnx")
    return folder


def _write_tokenizer(folder: Path) -> Any:
    """A byte-pair encoding as CLIP's, with its order of ids: bytes, bytes that end a word, merges, start, end."""
    characters = _characters()
    trained = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    trained.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(vocab_size=MERGES + 52, end_of_word_suffix="</w>", show_progress=False)
    trained.train_from_iterator([*THINGS * 9, *WORDS * 9], trainer)
    merges = [tuple(each) for each in json.loads(trained.to_str())["model"]["merges"]]
    pieces = [*characters, *(f"{each}</w>" for each in characters), *map("".join, merges), START, END]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = transformers.CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=LENGTH)
    tokenizer.save_pretrained(folder)
    lines = ["#version: 0.2", *map(" ".join, merges)]
    (folder / "merges.txt").write_text("\n".join(lines), encoding="utf-8")
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    return tokenizer


def _characters() -> list[str]:
    """The characters that stand for the 256 bytes: those that can be seen stand for themselves, and come first."""
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(byte) for byte in seen] + [chr(256 + number) for number in range(256 - len(seen))]


if __name__ == "__main__":
    write_rclip(write_clip(Path(sys.argv[1], "clip")), Path(sys.argv[1], "rclip"))
