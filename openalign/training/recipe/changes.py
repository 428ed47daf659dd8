"""What may differ when a run is resumed: settings without effect on the weights freely, others only by --change."""

import shlex
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openalign.errors import OpenAlignError
from openalign.settings import Settings
from openalign.toml import format_value
from openalign.training.recipe.recipe import Recipe

FREE = {
    "workers": "batches are the same whatever the number of processes that build them",
    "cache_images": "the cache holds the pixels that decoding returns",
    "strict": "it only decides whether a run begins",
    "held_out": "measuring draws no random numbers and changes neither weights nor statistics",
    "checkpoint_every_steps": "writing a checkpoint does not change the state that it holds",
    "checkpoint_every_minutes": "as above",
    "keep_checkpoints": "as above",
    "log_every_steps": "the log only reads",
}
"""Settings that may differ in a resumed run, and why its weights are the same to the bit (each has a test).

All others affect the weights: `micro_batch_size` by the random draws and batch-norm groups of each micro-batch;
`compile`, `recompute_activations` and `parallel` possibly by rounding.
"""
_MOST_NAMED = 6


@dataclass(frozen=True)
class Difference:
    """A setting that differs between two recipes."""

    key: str
    """Full key, such as `optimizer.name`."""
    before: Any
    after: Any


def differences(before: Recipe, after: Recipe) -> list[Difference]:
    """The settings that affect the weights and differ between the recipes."""
    return [each for each in _differences(before, after, "") if each.key.partition(".")[0] not in FREE]


def refuse_differences(run: Path, before: Recipe, after: Recipe, changed: Collection[str]) -> None:
    """Refuse to resume a run with another recipe than its own; keys in `changed` may differ.

    Raises:
        OpenAlignError: the other differences, each with both values.
    """
    found = [each for each in differences(before, after) if not is_changed(each.key, changed)]
    if not found:
        return
    named = ", ".join(f"`{each.key}` = {_shown(each.before)}, not {_shown(each.after)}" for each in found[:_MOST_NAMED])
    more = f", and {len(found) - _MOST_NAMED} others" if len(found) > _MOST_NAMED else ""
    example = shlex.quote(f"{found[0].key}={_shown(found[0].after)}")
    raise OpenAlignError(
        f"{run}: its recipe has {named}{more}: leave RECIPE and --set out to go on as it was, "
        f"or change on purpose with --change {example}"
    )


def contradiction(settings: Collection[str], changed: Collection[str], resume: bool) -> str | None:
    """What is contradictory about `--set`, `--change` and `--resume` together; None if nothing is."""
    if changed and not resume:
        return "--change is only for a run that is resumed with --resume; to start one, use --set."
    both = [key for key in settings if is_changed(key, changed)]
    return f"`{both[0]}` is given by --set and by --change: leave one of them out." if both else None


def is_changed(key: str, changed: Collection[str]) -> bool:
    """Whether `changed` has this key, a table that holds it, or an entry of it."""
    return any(key == each or key.startswith(f"{each}.") or each.startswith(f"{key}.") for each in changed)


def _differences(before: Settings, after: Settings, prefix: str) -> Iterator[Difference]:
    for name in type(before).model_fields:
        one, other = getattr(before, name), getattr(after, name)
        if isinstance(one, Settings) and isinstance(other, Settings):
            yield from _differences(one, other, f"{prefix}{name}.")
        elif one != other:
            yield Difference(prefix + name, one, other)


def _shown(value: Any) -> str:
    return "none" if value is None else format_value(value)
