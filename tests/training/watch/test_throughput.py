"""MFU: what is counted, and what it is divided by."""

from pathlib import Path

import pytest
import torch

from openalign.training.recipe.recipe import Recipe, read_recipe
from openalign.training.watch import throughput
from openalign.training.watch.throughput import Peak, peak_of, training_flops, utilisation


@pytest.fixture
def settings(recipe: Path) -> Recipe:
    return read_recipe(recipe)


def test_mfu_is_one_where_all_devices_do_nothing_but_the_model(settings: Recipe) -> None:
    peak = Peak("a device", 1e12, "made up")
    pairs_per_second = 4 * peak.flops / training_flops(settings, 16)
    assert utilisation(settings, pairs_per_second, 16, peak, world_size=4) == pytest.approx(1.0)


def test_recomputation_and_micro_batches_do_not_count(settings: Recipe) -> None:
    changed = settings.model_copy(update={"recompute_activations": True, "micro_batch_size": 2})
    assert training_flops(changed, 16) == training_flops(settings, 16)


def test_longer_texts_cost_more(settings: Recipe) -> None:
    assert training_flops(settings, 16) > training_flops(settings, 8)


def test_a_known_card_is_taken_at_its_data_sheet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H100 80GB HBM3")
    assert peak_of(torch.device("cuda"), "bfloat16").flops == 989e12
    assert peak_of(torch.device("cuda"), "float32").flops == 494e12
    assert "data sheet" in peak_of(torch.device("cuda"), "float32").source


def test_the_peak_of_a_cpu_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "MEASURING_SECONDS", 0.0)
    peak = peak_of(torch.device("cpu"), "bfloat16")
    assert peak.flops > 1e8
    assert "measured" in peak.source and "float32" in peak.source
