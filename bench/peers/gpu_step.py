"""Steps of openalign at one size on the device at hand; prints a row as JSON: pairs/s, MFU, peak memory.

python bench/peers/gpu_step.py IMAGE_TOWER TEXT_TOWER SIDE BATCH MICRO_BATCH [--compile] [--recompute]
"""

import json
import sys
import time

import numpy as np
import torch

from openalign.data.loader import Batch
from openalign.model.align import Align
from openalign.model.scales import image_tower, pair_multiply_adds, text_tower
from openalign.train.optim import build_optimizer
from openalign.train.parallel import Replica, processes
from openalign.train.recipe import Recipe
from openalign.train.step import train_step

VOCABULARY = 100_000
PIECES = 64
PEAK_BFLOAT16 = {"H100": 989e12, "H200": 989e12, "A100": 312e12}


def main() -> None:
    names, sizes = sys.argv[1:3], [int(argument) for argument in sys.argv[3:6]]
    side, batch_size, micro_batch_size = sizes
    compiled, recompute = "--compile" in sys.argv, "--recompute" in sys.argv
    recipe = Recipe(
        data="", tokenizer="", steps=1000, batch_size=batch_size, micro_batch_size=micro_batch_size, image_size=side,
        image_tower=image_tower(names[0]), text_tower=text_tower(names[1]), precision="bfloat16",
        compile=compiled, recompute_activations=recompute,
    )  # fmt: skip
    with processes() as mine:
        model = Align(recipe.model(VOCABULARY)).to(mine.device).train()
        model.vision_model.to(memory_format=torch.channels_last)
        if recompute:
            model.recompute_activations()
        if compiled:
            model.compile()
        replica, optimizer = Replica(model, mine, "ddp", recipe.precision), build_optimizer(model, recipe.optimizer)
        images_BHWC = torch.randint(0, 256, (batch_size, side, side, 3), dtype=torch.uint8)
        ids_BT = torch.randint(5, VOCABULARY, (batch_size, PIECES))
        batch = Batch(0, images_BHWC, ids_BT, torch.ones_like(ids_BT), np.arange(batch_size))
        seconds = []
        for _ in range(8):
            began = time.perf_counter()
            train_step(replica, optimizer, batch, recipe)  # ends with the loss on the host, so the device is done
            seconds.append(time.perf_counter() - began)
        rate = batch_size / sorted(seconds[3:])[2]
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
        peak = next((value for name, value in PEAK_BFLOAT16.items() if name in device), None)
        operations = 6 * pair_multiply_adds(recipe.model(VOCABULARY), PIECES) * rate
        row = {
            "towers": f"{names[0]} + {names[1]}", "side": side, "batch": batch_size, "micro-batch": micro_batch_size,
            "compile": compiled, "recompute": recompute, "pairs/s": round(rate, 1),
            "MFU": round(operations / peak, 4) if peak else None,
            "peak GB": round(torch.cuda.max_memory_allocated() / 1e9, 2) if torch.cuda.is_available() else None,
            "device": device,
        }  # fmt: skip
        print(json.dumps(row))


if __name__ == "__main__":
    main()
