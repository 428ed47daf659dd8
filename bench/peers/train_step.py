"""One framework's training step, timed in a process of its own; prints pairs/s of each timed step as JSON.

    python bench/peers/train_step.py openalign|align|open_clip SIDE BATCH STEPS DEVICE [--keep-freed-memory]

All take the same images and texts of 16 word pieces, EfficientNet-B0 and a text tower of 4 layers and width 256, with
dropout and optimizer as each ships. open_clip pads texts to 77 tokens and AlignProcessor to 64; ours pads to the
longest of the batch. On `cuda` the towers run in bfloat16 under autocast; peers find their pixels there as floating
point, ours takes bytes from the host's memory, as in a run. Nothing of openalign is imported for a peer.
"""

import ctypes
import json
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

PIECES = 16
VOCABULARY = 30_522


def openalign_step(images_BHWC: Tensor, ids_BT: Tensor, device: torch.device) -> Callable[[], object]:
    import numpy as np

    from openalign.data.loading.loader import Batch
    from openalign.model.align import Align
    from openalign.model.scales import image_tower, text_tower
    from openalign.training.optimization.optim import build_optimizer
    from openalign.training.optimization.processes import Processes
    from openalign.training.optimization.replica import Replica
    from openalign.training.optimization.step import train_step
    from openalign.training.recipe.recipe import Recipe

    size, side = images_BHWC.shape[:2]
    towers = {"image_tower": image_tower("b0"), "text_tower": text_tower("mini")}
    precision = "bfloat16" if device.type == "cuda" else "float32"
    recipe = Recipe(data="", tokenizer="", steps=1000, batch_size=size, image_size=side, precision=precision, **towers)
    model = Align(recipe.model(VOCABULARY)).to(device).train()
    model.vision_model.to(memory_format=torch.channels_last)
    replica = Replica(model, Processes(device=device), "ddp", precision)
    optimizer = build_optimizer(model, recipe.optimizer)
    batch = Batch(0, images_BHWC, ids_BT, torch.ones_like(ids_BT), np.arange(size))
    return lambda: train_step(replica, optimizer, batch, recipe)


def align_step(images_BHWC: Tensor, ids_BT: Tensor, device: torch.device) -> Callable[[], object]:
    """transformers' AlignModel, as its documentation trains a model: model(..., return_loss=True), AdamW."""
    from transformers import AlignConfig, AlignModel

    vision = {
        "image_size": images_BHWC.shape[1], "width_coefficient": 1.0, "depth_coefficient": 1.0, "hidden_dim": 320,
    }  # fmt: skip
    text = {
        "vocab_size": VOCABULARY, "hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4,
        "intermediate_size": 1024,
    }  # fmt: skip
    model = AlignModel(AlignConfig(text_config=text, vision_config=vision, projection_dim=320)).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    pixels_BCHW = pixels_of(images_BHWC, device)
    padded_BT = torch.nn.functional.pad(ids_BT, (0, 64 - PIECES)).to(device)
    mask_BT = (torch.arange(64) < PIECES).long().expand_as(padded_BT).to(device)

    def step() -> None:
        optimizer.zero_grad()
        with autocast(device):
            output = model(input_ids=padded_BT, attention_mask=mask_BT, pixel_values=pixels_BCHW, return_loss=True)
        output.loss.backward()
        optimizer.step()

    return step


def open_clip_step(images_BHWC: Tensor, ids_BT: Tensor, device: torch.device) -> Callable[[], object]:
    """open_clip's CustomTextCLIP with timm's EfficientNet-B0, its loss, and AdamW as its training script sets it."""
    from open_clip.loss import ClipLoss
    from open_clip.model import CLIPTextCfg, CLIPVisionCfg, CustomTextCLIP

    vision = CLIPVisionCfg(
        timm_model_name="efficientnet_b0", timm_model_pretrained=False, timm_pool="", timm_proj="linear",
        image_size=images_BHWC.shape[1],
    )  # fmt: skip
    text = CLIPTextCfg(context_length=77, vocab_size=49_408, width=256, heads=4, layers=4)
    model = CustomTextCLIP(embed_dim=320, vision_cfg=vision, text_cfg=text).to(device).train()
    loss = ClipLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.2)
    pixels_BCHW = pixels_of(images_BHWC, device)
    padded_BT = torch.nn.functional.pad(ids_BT, (0, 77 - PIECES)).to(device)

    def step() -> None:
        optimizer.zero_grad()
        with autocast(device):
            images_BD, texts_BD, scale = model(pixels_BCHW, padded_BT)
            value = loss(images_BD, texts_BD, scale)
        value.backward()
        optimizer.step()

    return step


def pixels_of(images_BHWC: Tensor, device: torch.device) -> Tensor:
    """What a peer's model takes: (B, 3, H, W) in [-1, 1]."""
    return images_BHWC.permute(0, 3, 1, 2).float().contiguous().to(device) / 127.5 - 1.0


def autocast(device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def main() -> None:
    framework, side, size, steps = sys.argv[1], *(int(argument) for argument in sys.argv[2:5])
    device = torch.device(sys.argv[5])
    if "--keep-freed-memory" in sys.argv:  # what openalign/training/optimization/allocator.py does
        libc = ctypes.CDLL(None)
        libc.mallopt(-4, 0)
        libc.mallopt(-1, 2**31 - 1)
    torch.manual_seed(0)
    images_BHWC = torch.randint(0, 256, (size, side, side, 3), dtype=torch.uint8)
    ids_BT = torch.randint(5, VOCABULARY, (size, PIECES))
    build = {"openalign": openalign_step, "align": align_step, "open_clip": open_clip_step}[framework]
    step = build(images_BHWC, ids_BT, device)
    rates = []
    for number in range(steps + 3):
        began = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        if number >= 3:  # memory settles in the first steps
            rates.append(size / (time.perf_counter() - began))
    print(json.dumps(rates))


if __name__ == "__main__":
    main()
