"""Small untrained models of every family of dual encoders in transformers, in folders as the Hugging Face hub has them.

Weights, running statistics and temperatures are moved away from their initial values, so that every one matters.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sentencepiece
import torch
import transformers
from tokenizers import Tokenizer as FastTokenizer
from tokenizers import models, normalizers, pre_tokenizers, processors, trainers

from openalign.data.tokenizer.wordpiece import Tokenizer, train_tokenizer

TEXTS = ["a red apple", "two cats in the snow", "A Dog, it's", "quick brown foxes jump over lazy dogs"]
SIDE, POSITIONS = 32, 16
TOWER = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
VISION = {**TOWER, "image_size": SIDE, "patch_size": 8}
SQUARE = {"height": SIDE, "width": SIDE}


def text_config(vocabulary: int, **changes: object) -> dict[str, Any]:
    ids = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    return {**TOWER, "vocab_size": vocabulary, "max_position_embeddings": POSITIONS, **ids, **changes}


@dataclass(frozen=True)
class Family:
    """A model class, the parts of its configuration that differ from CLIP's, and its image processor."""

    name: str
    text: dict[str, Any]
    vision: dict[str, Any]
    whole: dict[str, Any]
    processor: Callable[[], Any]
    vision_key: str = "vision_config"

    def model(self, vocabulary: int) -> Any:
        model = getattr(transformers, f"{self.name}Model")
        config = model.config_class(
            **{"text_config": text_config(vocabulary, **self.text), self.vision_key: {**VISION, **self.vision}},
            **{"projection_dim": 12, **self.whole},
        )
        torch.manual_seed(0)
        return moved(model(config))


def moved(model: Any) -> Any:
    generator = torch.Generator().manual_seed(0)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            change = 0.2 * torch.randn(tensor.shape, generator=generator)
            tensor.copy_(tensor + (change.abs() if name.endswith("running_var") else change))
    return model.eval()


def clip_processor() -> Any:
    return transformers.CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=SQUARE)


def sized(kind: str) -> Callable[[], Any]:
    return lambda: getattr(transformers, f"{kind}ImageProcessorPil")(size=SQUARE)


def _flava_processor() -> Any:
    return transformers.FlavaImageProcessorPil(size=SQUARE, crop_size=SQUARE)


def _chinese_processor() -> Any:
    return transformers.ChineseCLIPImageProcessorPil(size=SQUARE, do_center_crop=False)


ROBERTA = {"pad_token_id": 1, "max_position_embeddings": POSITIONS + 2}
"""Positions are counted after the id of the padding."""
GROUPS = {"patch_size": 4, "depths": [1, 1, 1], "num_group_tokens": [8, 4, 0], "num_output_groups": [8, 4, 0]}
NAFLEX = {"patch_size": 8, "num_patches": 16}

FAMILIES = {
    "aimv2": Family("Aimv2", {}, {"use_head": True}, {}, clip_processor),
    "altclip": Family("AltCLIP", {**ROBERTA, "project_dim": 12}, {}, {}, clip_processor),
    "blip": Family("Blip", {"encoder_hidden_size": 16}, {}, {}, sized("Blip")),
    "chinese_clip": Family("ChineseCLIP", {}, {}, {}, _chinese_processor),
    "clip": Family("CLIP", {}, {}, {}, clip_processor),
    "clipseg": Family("CLIPSeg", {}, {}, {}, sized("ViT")),
    "flava": Family(
        "Flava", {}, {}, {"multimodal_config": TOWER, "image_codebook_config": {}}, _flava_processor, "image_config"
    ),
    "groupvit": Family("GroupViT", {}, {**GROUPS}, {"projection_intermediate_dim": 20}, clip_processor),
    "metaclip_2": Family("MetaClip2", {}, {}, {}, clip_processor),
    "owlv2": Family("Owlv2", {}, {}, {}, sized("Owlv2")),
    "owlvit": Family("OwlViT", {}, {}, {}, sized("OwlViT")),
    "siglip": Family("Siglip", {}, {}, {}, sized("Siglip")),
    "siglip2": Family(
        "Siglip2",
        {},
        NAFLEX,
        {},
        lambda: transformers.Siglip2ImageProcessorPil(patch_size=8, max_num_patches=16),
    ),
    "tipsv2": Family("Tipsv2", {}, {}, {}, clip_processor),
    "vision-text-dual-encoder": Family(
        "VisionTextDualEncoder", {"model_type": "bert"}, {"model_type": "vit"}, {}, sized("ViT")
    ),
}
"""By the model type of config.json; `align` is read by openalign itself."""

WITH_ROBERTA = Family(
    "VisionTextDualEncoder",
    {"model_type": "roberta", **ROBERTA},
    {"model_type": "clip_vision_model"},
    {},
    sized("ViT"),
)


def word_pieces(folder: Path) -> Tokenizer:
    return Tokenizer.load(train_tokenizer(TEXTS, folder / "tokenizer.json", size=80))


def foreign_folder(family: Family, folder: Path, tokenizer: Tokenizer) -> Path:
    """An untrained model with our word pieces."""
    family.model(tokenizer.size).save_pretrained(folder)
    family.processor().save_pretrained(folder)
    tokenizer.save(folder, POSITIONS)
    return folder


def siglip_folder(folder: Path) -> Path:
    """SigLIP as published: a SentencePiece model and no tokenizer.json."""
    folder.mkdir(parents=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 20),
        model_prefix=str(folder / "spiece"),
        vocab_size=60,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        add_dummy_prefix=False,
        minloglevel=2,
    )
    (folder / "spiece.vocab").unlink()
    write(
        folder / "tokenizer_config.json",
        {
            "do_lower_case": True,
            "eos_token": "</s>",
            "model_input_names": ["input_ids"],
            "model_max_length": POSITIONS,
            "pad_token": "</s>",
            "processor_class": "SiglipProcessor",
            "sp_model_kwargs": {},
            "tokenizer_class": "SiglipTokenizer",
            "unk_token": "<unk>",
        },
    )
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spiece.model")).get_piece_size()
    FAMILIES["siglip"].model(pieces).save_pretrained(folder)
    sized("Siglip")().save_pretrained(folder)
    return folder


def siglip2_folder(folder: Path, kind: str, declared: str) -> Path:
    """SigLIP 2 as published, of one size (`siglip`) or NaFlex (`siglip2`): with the tokenizer of Gemma."""
    folder.mkdir(parents=True)
    gemma = FastTokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    gemma.normalizer = normalizers.Replace(" ", "▁")
    gemma.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=[*special, *(f"<0x{byte:02X}>" for byte in range(256))], show_progress=False
    )
    gemma.train_from_iterator([text.lower() for text in TEXTS], trainer)
    gemma.post_processor = processors.TemplateProcessing(
        single="$A <eos>", pair="$A <eos> $B <eos>", special_tokens=[("<eos>", 1)]
    )
    gemma.save(str(folder / "tokenizer.json"))
    names = {f"{token.strip('<>')}_token": token for token in special}
    settings = {
        "add_bos_token": False,
        "add_eos_token": True,
        "model_input_names": ["input_ids"],
        "model_max_length": POSITIONS,
        "padding_side": "right",
        "tokenizer_class": declared,
    }
    write(folder / "tokenizer_config.json", names | settings)
    FAMILIES[kind].model(gemma.get_vocab_size()).save_pretrained(folder)
    FAMILIES[kind].processor().save_pretrained(folder)
    return folder


def write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2))
