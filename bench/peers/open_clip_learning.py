"""open_clip's side of bench/learning.py, with nothing of openalign.

    python bench/peers/open_clip_learning.py train PAIRS.csv FOLDER STEPS LEARNING_RATE SEED
    python bench/peers/open_clip_learning.py embed FOLDER

Model, loss, tokenizer, image transforms, AdamW and the cosine schedule are open_clip's own, with the defaults of its
training script but for batch size and warm-up, which are ours, and for a context of 32: titles are short, and at the
default of 77 a step takes it half as long again.
"""

import csv
import json
import random
import sys
from pathlib import Path

import numpy as np
import torch
from open_clip import get_tokenizer
from open_clip.loss import ClipLoss
from open_clip.model import CLIPTextCfg, CLIPVisionCfg, CustomTextCLIP
from open_clip.transform import image_transform
from open_clip_train.scheduler import cosine_lr
from PIL import Image

SIDE = 64
BATCH = 256
CONTEXT = 32
WARM_UP = 0.1
"""Of the steps."""


def build() -> CustomTextCLIP:
    vision = CLIPVisionCfg(
        timm_model_name="efficientnet_b0",
        timm_model_pretrained=False,
        timm_pool="",
        timm_proj="linear",
        image_size=SIDE,
    )
    text = CLIPTextCfg(context_length=CONTEXT, vocab_size=49_408, width=256, heads=4, layers=4)
    return CustomTextCLIP(embed_dim=320, vision_cfg=vision, text_cfg=text)


def transform(train: bool) -> object:
    return image_transform(SIDE, is_train=train)


def optimizer_of(model: CustomTextCLIP, rate: float) -> torch.optim.Optimizer:
    """AdamW with open_clip's split: gains, biases and the temperature do not decay."""
    named = list(model.named_parameters())
    plain = [p for n, p in named if p.ndim < 2 or "bn" in n or "ln" in n or "bias" in n or "logit_scale" in n]
    chosen = {id(p) for p in plain}
    decayed = [p for _, p in named if id(p) not in chosen]
    groups = [{"params": plain, "weight_decay": 0.0}, {"params": decayed, "weight_decay": 0.2}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), eps=1e-6)


def train(table: Path, folder: Path, steps: int, rate: float, seed: int) -> None:
    torch.manual_seed(seed)
    random.seed(seed)
    with table.open(encoding="utf-8") as file:
        pairs = list(csv.DictReader(file))
    tokens_NT = get_tokenizer("ViT-B-32")([pair["title"] for pair in pairs], CONTEXT)
    images = [Image.open(pair["file"]).convert("RGB") for pair in pairs]
    model, loss, augment = build().train(), ClipLoss(), transform(train=True)
    optimizer = optimizer_of(model, rate)
    schedule = cosine_lr(optimizer, rate, round(WARM_UP * steps), steps)
    order: list[int] = []
    for step in range(steps):
        if len(order) < BATCH:
            order = torch.randperm(len(pairs)).tolist()
        rows, order = order[:BATCH], order[BATCH:]
        schedule(step)
        optimizer.zero_grad()
        pixels_BCHW = torch.stack([augment(images[row]) for row in rows])
        loss(*model(pixels_BCHW, tokens_NT[rows])[:3]).backward()
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, np.log(100))
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), folder / "model.pt")


@torch.inference_mode()
def embed(folder: Path) -> None:
    model = build().eval()
    model.load_state_dict(torch.load(folder / "model.pt", weights_only=True))
    asked = json.loads((folder / "asked.json").read_text(encoding="utf-8"))
    tokenizer, view = get_tokenizer("ViT-B-32"), transform(train=False)
    rows: dict[str, list[np.ndarray]] = {"images": [], "texts": [], "prompts": []}
    for name, items in asked.items():
        for start in range(0, len(items), 256):
            part = items[start : start + 256]
            if name == "images":
                pixels_BCHW = torch.stack([view(Image.open(path).convert("RGB")) for path in part])
                rows[name].append(model.encode_image(pixels_BCHW, normalize=True).numpy())
            else:
                rows[name].append(model.encode_text(tokenizer(part, CONTEXT), normalize=True).numpy())
    np.savez(folder / "answered.npz", **{name: np.concatenate(parts) for name, parts in rows.items()})


if __name__ == "__main__":
    if sys.argv[1] == "train":
        train(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]), int(sys.argv[6]))
    else:
        embed(Path(sys.argv[2]))
