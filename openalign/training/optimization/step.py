"""One optimizer step with the exact gradients of the whole batch, in as little memory as one micro-batch needs.

Each process takes its share of the batch through the towers in micro-batches. If there are several, their embeddings
are first computed without a graph, the loss of the whole batch gives the gradient of each embedding, and each
micro-batch then runs forward again, with the same random draws, and backward from those gradients (gradient caching;
Gao et al. 2021). Legend: B pairs of this process, D embedding width.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from openalign.data.loading.loader import Batch
from openalign.model.batch_norm import batch_norms, set_statistics
from openalign.model.loss.contrastive import contrastive_loss
from openalign.training.optimization.optim import learning_rate
from openalign.training.optimization.processes import Processes
from openalign.training.optimization.replica import Replica
from openalign.training.recipe.recipe import Recipe


@dataclass(frozen=True)
class StepResult:
    """The figures of one step."""

    loss: float
    """Over the pairs of all processes."""
    temperature: float
    learning_rate: float
    gradient_norm: float


@dataclass(frozen=True)
class MicroBatch:
    """Pairs that go through the towers together."""

    number: int
    """Index over all processes: random draws are a function of (seed, step, number)."""
    images_BHWC: Tensor
    ids_BT: Tensor
    mask_BT: Tensor


def seed_step(seed: int, step: int, micro_batch: int = 0) -> None:
    """Seed the draws that follow (dropout, stochastic depth) with these three numbers."""
    torch.manual_seed(int(np.random.SeedSequence([seed, step, micro_batch]).generate_state(1, np.uint64)[0]))


def train_step(replica: Replica, optimizer: torch.optim.Optimizer, batch: Batch, recipe: Recipe) -> StepResult:
    """Forward, backward and update on one batch; no update if a gradient is not finite.

    Raises:
        OpenAlignError: the embeddings are not finite.
    """
    optimizer.zero_grad(set_to_none=True)
    micro_batches = list(_micro_batches(batch, recipe, replica.processes))
    compute = _plain_gradients if len(micro_batches) == 1 else _cached_gradients
    loss = compute(replica, batch, micro_batches, recipe)
    gradient_norm = replica.finish_gradients()

    rate = learning_rate(batch.step, recipe.optimizer, recipe.steps)
    result = StepResult(float(loss), float(replica.model.temperature.detach()), rate, float(gradient_norm))
    if torch.isfinite(gradient_norm):
        _commit_statistics(replica)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
    return result


def _plain_gradients(replica: Replica, batch: Batch, micro_batches: list[MicroBatch], recipe: Recipe) -> Tensor:
    """Compute gradients in one pass; returns the loss, ()."""
    set_statistics(replica.model, "collect")
    images_BD, texts_BD = _embed(replica, micro_batches[0], batch.step, recipe)
    set_statistics(replica.model, "ignore")  # a block that is recomputed in the backward pass counts once
    loss = _loss(replica, images_BD, texts_BD, replica.model.temperature, batch, recipe)
    with replica.exchanging(True):
        (loss * replica.gradient_scale).backward()  # type: ignore[no-untyped-call]
    return loss.detach()


def _cached_gradients(replica: Replica, batch: Batch, micro_batches: list[MicroBatch], recipe: Recipe) -> Tensor:
    """Compute gradients in two passes over the micro-batches; returns the loss, ()."""
    set_statistics(replica.model, "collect")
    with torch.no_grad():
        embedded = [_embed(replica, micro_batch, batch.step, recipe) for micro_batch in micro_batches]
    set_statistics(replica.model, "ignore")
    images_BD, texts_BD = (torch.cat(rows).requires_grad_() for rows in zip(*embedded, strict=True))
    log_temperature = replica.model.log_temperature.detach().requires_grad_()
    loss = _loss(replica, images_BD, texts_BD, log_temperature.exp(), batch, recipe)
    derivatives = torch.autograd.grad(loss * replica.gradient_scale, (images_BD, texts_BD, log_temperature))

    size = len(micro_batches[0].images_BHWC)
    for index, micro_batch in enumerate(micro_batches):
        last = index == len(micro_batches) - 1
        with replica.exchanging(last):
            outputs = [*_embed(replica, micro_batch, batch.step, recipe)]
            gradients = [derivative[index * size : (index + 1) * size] for derivative in derivatives[:2]]
            if last and replica.model.log_temperature.requires_grad:
                outputs.append(replica.model.log_temperature)
                gradients.append(derivatives[2])
            torch.autograd.backward(outputs, gradients)
    return loss.detach()


def _micro_batches(batch: Batch, recipe: Recipe, processes: Processes) -> Iterator[MicroBatch]:
    """This process's pairs in micro-batches of equal size, padded to their own longest text."""
    share = len(batch.images_BHWC)
    size = min(recipe.micro_batch_size or share, share)
    for start in range(0, share, size):
        mask_BT = batch.mask_BT[start : start + size]
        longest = int(mask_BT.sum(1).max())
        yield MicroBatch(
            number=(processes.rank * share + start) // size,
            images_BHWC=batch.images_BHWC[start : start + size],
            ids_BT=batch.ids_BT[start : start + size, :longest],
            mask_BT=mask_BT[:, :longest],
        )


def _embed(replica: Replica, micro_batch: MicroBatch, step: int, recipe: Recipe) -> tuple[Tensor, Tensor]:
    seed_step(recipe.seed, step, micro_batch.number)
    device = replica.processes.device
    tensors = (micro_batch.images_BHWC, micro_batch.ids_BT, micro_batch.mask_BT)
    return replica(*(tensor.to(device, non_blocking=True) for tensor in tensors))  # pinned by the loader


def _loss(
    replica: Replica, images_BD: Tensor, texts_BD: Tensor, temperature: Tensor, batch: Batch, recipe: Recipe
) -> Tensor:
    """The loss of the whole batch, over all processes."""
    equal = recipe.loss.equal_pairs_are_positives
    device = images_BD.device
    return contrastive_loss(
        images_BD,
        texts_BD,
        temperature,
        recipe.loss.label_smoothing,
        image_ids_N=batch.image_ids_B.to(device) if equal else None,
        text_ids_N=batch.text_ids_B.to(device) if equal else None,
        group=replica.processes.group,
    )


def _commit_statistics(replica: Replica) -> None:
    """Update the running averages of every batch norm by the groups of all processes, with one all-reduce."""
    norms = batch_norms(replica.model)
    collected = [tensor for norm in norms for tensor in norm.collected()]
    if replica.processes.group is not None:
        flat = replica.processes.sum(torch.cat([tensor.flatten() for tensor in collected]))
        for tensor, summed in zip(collected, torch.split(flat, [tensor.numel() for tensor in collected]), strict=True):
            tensor.copy_(summed.view_as(tensor))
    for norm in norms:
        norm.commit()
