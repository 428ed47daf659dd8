"""One optimizer step."""

from dataclasses import dataclass

import torch

from openalign.data.loader import Batch
from openalign.model.align import Align
from openalign.model.loss import contrastive_loss
from openalign.train.optim import learning_rate
from openalign.train.recipe import Recipe


@dataclass(frozen=True)
class StepResult:
    """What one step did."""

    loss: float
    temperature: float
    learning_rate: float
    gradient_norm: float


def seed_step(seed: int, step: int) -> None:
    """Make every random draw of `step` (dropout, stochastic depth) a function of (seed, step) alone."""
    torch.manual_seed((seed << 32) + step)


def train_step(model: Align, optimizer: torch.optim.Optimizer, batch: Batch, recipe: Recipe) -> StepResult:
    """Forward, backward and update on one batch; the weights stay as they are when the loss is not finite."""
    seed_step(recipe.seed, batch.step)
    device = model.log_temperature.device
    images_BD = model.embed_images(batch.images_BHWC.to(device))
    texts_BD = model.embed_texts(batch.ids_BT.to(device), batch.mask_BT.to(device))
    loss = contrastive_loss(images_BD, texts_BD, model.temperature, recipe.loss.label_smoothing)

    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    gradient_norm = torch.stack(torch._foreach_norm(gradients)).norm()

    rate = learning_rate(
        batch.step,
        peak=recipe.optimizer.learning_rate,
        warmup_steps=recipe.optimizer.warmup_steps,
        steps=recipe.steps,
    )
    result = StepResult(float(loss.detach()), float(model.temperature.detach()), rate, float(gradient_norm))
    if torch.isfinite(gradient_norm):
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
    return result
