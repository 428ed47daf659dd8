"""Checkpoints are whole or absent, and a full disk harms nothing that was there."""

from pathlib import Path
from typing import Any

import pytest
import torch

from openalign.data.tokenizer.wordpiece import Tokenizer
from openalign.errors import OpenAlignError
from openalign.model import hub
from openalign.model.align import Align
from openalign.training.optimization.optim import build_optimizer
from openalign.training.recipe.recipe import Recipe, read_recipe
from openalign.training.run_folder.checkpoint import (
    checkpoints_of,
    load_checkpoint_weights,
    save_checkpoint,
)
from openalign.training.run_folder.training_state import read_state, restore_state

State = tuple[Recipe, Tokenizer, Align, torch.optim.Optimizer]


@pytest.fixture
def state(recipe: Path) -> State:
    """A model and an optimizer one step into a run."""
    settings = read_recipe(recipe)
    tokenizer = Tokenizer.load(Path(settings.tokenizer))
    torch.manual_seed(0)
    return settings, tokenizer, *_fresh(settings, tokenizer)


def _fresh(settings: Recipe, tokenizer: Tokenizer) -> tuple[Align, torch.optim.Optimizer]:
    model = Align(settings.model(tokenizer.size))
    model.vision_model.to(memory_format=torch.channels_last)
    optimizer = build_optimizer(model, settings.optimizer)
    images = torch.randint(0, 256, (4, 16, 16, 3), dtype=torch.uint8)
    model.embed_images(images).sum().backward()
    optimizer.step()
    return model, optimizer


def test_weights_and_optimizer_come_back_bit_for_bit(state: State, tmp_path: Path) -> None:
    settings, tokenizer, model, optimizer = state
    model.log_temperature.data.fill_(-0.3339)
    assert model.temperature.log() != model.log_temperature  # the folder holds the temperature, which loses bits
    folder = save_checkpoint(tmp_path, model, optimizer, tokenizer, settings, step=5, loss=1.0)
    other, other_optimizer = _fresh(settings, tokenizer)
    load_checkpoint_weights(folder, other)
    state_read = read_state(folder)
    restore_state(folder, state_read, other, other_optimizer)
    assert state_read.step == 5
    for (name, parameter), restored in zip(model.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(parameter, restored), name
        for key, value in optimizer.state.get(parameter, {}).items():
            same = other_optimizer.state[restored][key]
            assert torch.equal(value, same) if isinstance(value, torch.Tensor) else value == same, (name, key)
            assert not isinstance(value, torch.Tensor) or value.stride() == same.stride(), (name, key)


def test_only_the_last_few_are_kept(state: State, tmp_path: Path) -> None:
    settings, tokenizer, model, optimizer = state
    for step in range(1, 6):
        save_checkpoint(tmp_path, model, optimizer, tokenizer, settings, step=step, loss=1.0)
    assert [folder.name for folder in checkpoints_of(tmp_path)] == ["step-00000003", "step-00000004", "step-00000005"]


def test_a_full_disk_leaves_the_older_checkpoint_and_nothing_half_written(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, tokenizer, model, optimizer = state
    save_checkpoint(tmp_path, model, optimizer, tokenizer, settings, step=1, loss=1.0)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(hub, "save_file", full)
    with pytest.raises(OpenAlignError, match=r"step-00000002.*No space left.*make room and resume"):
        save_checkpoint(tmp_path, model, optimizer, tokenizer, settings, step=2, loss=1.0)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000001"]
    assert (tmp_path / "model" / "model.safetensors").exists()


def test_a_tokenizer_on_a_full_disk_is_an_error(state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, tokenizer, model, optimizer = state
    plain = Path.write_text

    def full(self: Path, *given: Any, **named: Any) -> int:
        if self.name == "tokenizer.json":
            raise OSError(28, "No space left on device")
        return plain(self, *given, **named)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OpenAlignError, match=r"step-00000002.*No space left"):
        save_checkpoint(tmp_path, model, optimizer, tokenizer, settings, step=2, loss=1.0)
    assert not list((tmp_path / "checkpoints").iterdir())


def test_a_checkpoint_that_cannot_be_removed_does_not_end_the_run(state: State, tmp_path: Path) -> None:
    settings, tokenizer, model, optimizer = state
    (tmp_path / "checkpoints" / ".step-00000001.partial").mkdir(parents=True)
    (tmp_path / "checkpoints" / ".step-00000001.partial" / "file").write_text("in the way")
    for step in range(1, 5):
        save_checkpoint(tmp_path, model, optimizer, tokenizer, settings, step=step, loss=1.0)
    assert [folder.name for folder in checkpoints_of(tmp_path)] == ["step-00000002", "step-00000003", "step-00000004"]
