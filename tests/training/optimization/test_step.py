"""A step in cached micro-batches against the whole batch in one graph, written out here independently."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from openalign.data.loading.loader import Batch
from openalign.model.align import Align
from openalign.model.batch_norm import BatchNorm, set_group
from openalign.training.optimization.optim import build_optimizer
from openalign.training.optimization.processes import ALONE
from openalign.training.optimization.replica import Replica
from openalign.training.optimization.step import seed_step, train_step
from openalign.training.recipe.recipe import Recipe, read_recipe

VOCABULARY = 50
BATCH = 24
STEPS = 3


@pytest.fixture
def settings(recipe: Path) -> Recipe:
    """Dropout, stochastic depth and batch norm on."""
    changes = {"batch_size": str(BATCH), "batch_norm_group": "4", "micro_batch_size": "8", "optimizer.name": "adamw"}
    # A bias in front of a batch norm has no gradient but rounding errors, which a small epsilon would blow up.
    return read_recipe(recipe, changes | {"optimizer.epsilon": "1e-3", "optimizer.learning_rate": "2e-3"})


def batch_of(step: int, side: int = 16) -> Batch:
    generator = torch.Generator().manual_seed(step)
    lengths_B = torch.randint(3, 11, (BATCH, 1), generator=generator)
    mask_BT = (torch.arange(10) < lengths_B).long()
    ids_BT = torch.randint(5, VOCABULARY, (BATCH, 10), generator=generator) * mask_BT
    images_BHWC = torch.randint(0, 256, (BATCH, side, side, 3), generator=generator, dtype=torch.uint8)
    batch = Batch(step, images_BHWC, ids_BT, mask_BT, np.arange(BATCH))
    batch.text_ids_B = torch.arange(BATCH) // 2  # every text stands twice
    batch.image_ids_B = torch.arange(BATCH)
    return batch


def fresh(settings: Recipe) -> tuple[Replica, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = Align(settings.model(VOCABULARY)).train()
    set_group(model, settings.batch_norm_group)
    return Replica(model, ALONE, "ddp", "float32"), build_optimizer(model, settings.optimizer)


def trained(settings: Recipe, steps: int = STEPS) -> Align:
    replica, optimizer = fresh(settings)
    for step in range(steps):
        train_step(replica, optimizer, batch_of(step), settings)
    return replica.model


def trained_in_one_graph(settings: Recipe) -> Align:
    """Three steps in which all micro-batches keep their graphs, under one dense loss."""
    replica, optimizer = fresh(settings)
    model, size = replica.model, settings.micro_batch_size or BATCH
    for step in range(STEPS):
        batch, embedded = batch_of(step), []
        for start in range(0, BATCH, size):
            rows = slice(start, start + size)
            longest = int(batch.mask_BT[rows].sum(1).max())
            seed_step(settings.seed, step, start // size)
            embedded.append(model(batch.images_BHWC[rows], batch.ids_BT[rows, :longest], batch.mask_BT[rows, :longest]))
        images_BD, texts_BD = (torch.cat(parts) for parts in zip(*embedded, strict=True))
        logits_BB = images_BD @ texts_BD.T / model.temperature
        target_B = torch.arange(BATCH)
        loss = sum(
            functional.cross_entropy(logits, target_B, label_smoothing=settings.loss.label_smoothing)
            for logits in (logits_BB, logits_BB.T)
        )
        optimizer.zero_grad()
        torch.as_tensor(loss).backward()  # type: ignore[no-untyped-call]
        for group in optimizer.param_groups:
            group["lr"] = settings.optimizer.learning_rate * min(1.0, (step + 1) / 2) * min(1.0, (8 - step) / 6)
        optimizer.step()
    return model


def assert_close_parameters(one: Align, other: Align, tolerance: float = 1e-5) -> None:
    for (name, ours), theirs in zip(one.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(
            ours, theirs, rtol=tolerance, atol=tolerance, msg=lambda m, name=name: f"{name}: {m}"
        )


def test_cached_micro_batches_equal_one_graph_with_all_randomness_on(settings: Recipe) -> None:
    assert settings.text_tower.dropout > 0 and settings.image_tower.drop_path > 0
    assert_close_parameters(trained(settings), trained_in_one_graph(settings))


def test_micro_batches_change_nothing_where_nothing_is_random(settings: Recipe) -> None:
    still = settings.model_copy(
        update={
            "text_tower": settings.text_tower.model_copy(update={"dropout": 0.0}),
            "image_tower": settings.image_tower.model_copy(update={"drop_path": 0.0}),
        }
    )
    whole, parts = (trained(still.model_copy(update={"micro_batch_size": size})) for size in (None, 4))
    assert_close_parameters(whole, parts)
    for one, other in zip(whole.modules(), parts.modules(), strict=True):
        if isinstance(one, BatchNorm) and isinstance(other, BatchNorm):
            torch.testing.assert_close(one.running_mean, other.running_mean)
            torch.testing.assert_close(one.running_var, other.running_var)
            assert one.num_batches_tracked == other.num_batches_tracked == STEPS


@pytest.mark.parametrize("micro_batch_size", [None, 8])
def test_recomputed_activations_change_nothing(settings: Recipe, micro_batch_size: int | None) -> None:
    own = settings.model_copy(update={"micro_batch_size": micro_batch_size})
    replica, optimizer = fresh(own)
    replica.model.recompute_activations()
    for step in range(STEPS):
        train_step(replica, optimizer, batch_of(step), own)
    kept = trained(own)
    assert_close_parameters(replica.model, kept)
    for name, buffer in kept.named_buffers():
        torch.testing.assert_close(replica.model.get_buffer(name), buffer)


def test_random_draws_differ_between_steps_and_micro_batches() -> None:
    draws = set()
    for step, micro_batch in [(0, 0), (0, 1), (1, 0)]:
        seed_step(7, step, micro_batch)
        draws.add(torch.rand(()).item())
    assert len(draws) == 3


def test_equal_texts_are_positives_if_the_recipe_asks_for_it(settings: Recipe) -> None:
    loss = settings.loss.model_copy(update={"equal_pairs_are_positives": True})
    replica, optimizer = fresh(settings)
    plain = train_step(replica, optimizer, batch_of(0), settings).loss
    replica, optimizer = fresh(settings)
    several = train_step(replica, optimizer, batch_of(0), settings.model_copy(update={"loss": loss})).loss
    assert plain != pytest.approx(several, rel=1e-6)


def test_a_gradient_that_is_not_finite_leaves_weights_and_statistics_alone(settings: Recipe) -> None:
    replica, optimizer = fresh(settings)
    before = {name: tensor.clone() for name, tensor in replica.model.state_dict().items()}
    replica.model.text_projection.weight.register_hook(lambda gradient: gradient * torch.nan)
    train_step(replica, optimizer, batch_of(0), settings)
    assert all(torch.equal(tensor, before[name]) for name, tensor in replica.model.state_dict().items())
