"""One cached step at a large batch, ours or the plain two-pass way, in a process of its own; prints JSON.

    python bench/peers/cached_step.py openalign|two_pass BATCH MICRO_BATCH STEPS

The two-pass way is gradient caching as commonly written (Gao et al. 2021): embeddings without a graph, the dense N x N
cross-entropy of the whole batch, then each micro-batch again from saved random states. Both take the demo's towers, the
same images and texts, AdamW, and keep freed memory.
"""

import json
import resource
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from openalign.data.loading.loader import Batch
from openalign.model.align import Align
from openalign.training.optimization.allocator import keep_freed_memory
from openalign.training.optimization.optim import build_optimizer
from openalign.training.optimization.processes import Processes
from openalign.training.optimization.replica import Replica
from openalign.training.optimization.step import train_step
from openalign.training.recipe.recipe import Recipe, read_recipe

VOCABULARY = 8_000
PIECES = 12


def openalign_step(model: Align, recipe: Recipe, images_NHWC: Tensor, ids_NT: Tensor) -> Callable[[], object]:
    replica, optimizer = Replica(model, Processes(), "ddp", "float32"), build_optimizer(model, recipe.optimizer)
    batch = Batch(0, images_NHWC, ids_NT, torch.ones_like(ids_NT), np.arange(len(ids_NT)))
    return lambda: train_step(replica, optimizer, batch, recipe)


def two_pass_step(model: Align, recipe: Recipe, images_NHWC: Tensor, ids_NT: Tensor) -> Callable[[], object]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    size, smoothing = recipe.micro_batch_size or len(ids_NT), recipe.loss.label_smoothing
    targets_N = torch.arange(len(ids_NT))

    def embed(start: int) -> tuple[Tensor, Tensor]:
        rows = slice(start, start + size)
        return model(images_NHWC[rows], ids_NT[rows], torch.ones_like(ids_NT[rows]))

    def step() -> None:
        optimizer.zero_grad()
        starts = range(0, len(ids_NT), size)
        states, embedded = [], []
        with torch.no_grad():
            for start in starts:
                states.append(torch.get_rng_state())
                embedded.append(embed(start))
        images_ND, texts_ND = (torch.cat(parts).requires_grad_() for parts in zip(*embedded, strict=True))
        logits_NN = images_ND @ texts_ND.T / model.temperature
        loss = functional.cross_entropy(logits_NN, targets_N, label_smoothing=smoothing)
        loss = loss + functional.cross_entropy(logits_NN.T, targets_N, label_smoothing=smoothing)
        loss.backward()
        for start, state in zip(starts, states, strict=True):
            torch.set_rng_state(state)
            images_BD, texts_BD = embed(start)
            rows = slice(start, start + size)
            torch.autograd.backward([images_BD, texts_BD], [images_ND.grad[rows], texts_ND.grad[rows]])
        optimizer.step()

    return step


def main() -> None:
    way, batch_size, micro_batch_size, steps = sys.argv[1], *(int(argument) for argument in sys.argv[2:5])
    keep_freed_memory()
    changes = {"batch_size": str(batch_size), "micro_batch_size": str(micro_batch_size)}
    changes |= {"data": "any", "tokenizer": "any", "loss.label_smoothing": "0.1"}
    recipe = read_recipe("demo", changes)
    torch.manual_seed(0)
    model = Align(recipe.model(VOCABULARY)).train()
    model.vision_model.to(memory_format=torch.channels_last)
    images_NHWC = torch.randint(0, 256, (batch_size, recipe.image_size, recipe.image_size, 3), dtype=torch.uint8)
    ids_NT = torch.randint(5, VOCABULARY, (batch_size, PIECES))
    build = {"openalign": openalign_step, "two_pass": two_pass_step}[way]
    step = build(model, recipe, images_NHWC, ids_NT)
    seconds = []
    for _ in range(steps):
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak_bytes": peak, "images_bytes": images_NHWC.numel()}))


if __name__ == "__main__":
    main()
