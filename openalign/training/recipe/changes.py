"""What may differ when a run is resumed: settings without effect on the weights freely, others only by --change."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openalign.errors import OpenAlignError
from openalign.options import as_given, option
from openalign.settings import Settings, overlap
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
    raise OpenAlignError(
        f"{run}: its recipe has {named}{more}: leave the recipe and {option('set')} out to go on as it was, "
        f"or change on purpose with {option(change={found[0].key: _shown(found[0].after)})}"
    )


def contradiction(settings: Mapping[str, Any], changed: Mapping[str, Any], resume: bool) -> str | None:
    """What is contradictory about `set`, `change` and `resume` together; None if nothing is."""
    if changed and not resume:
        return (
            f"{option('change')} is only for a run that is resumed with {option(resume=True)}; "
            f"to start one, use {option('set')}."
        )
    for key, value in settings.items():
        for other, replaced in changed.items():
            if overlap(key, other):
                both = f"{as_given('set', key, value)} and by {as_given('change', other, replaced)}"
                return f"`{key}` is given by {both}: leave one of them out."
    return None


def is_changed(key: str, changed: Collection[str]) -> bool:
    """Whether `changed` has this key, a table that holds it, or an entry of it."""
    return any(overlap(key, each) for each in changed)


def _differences(before: Settings, after: Settings, prefix: str) -> Iterator[Difference]:
    for name in type(before).model_fields:
        one, other = getattr(before, name), getattr(after, name)
        if isinstance(one, Settings) and isinstance(other, Settings):
            yield from _differences(one, other, f"{prefix}{name}.")
        elif one != other:
            yield Difference(prefix + name, one, other)


def _shown(value: Any) -> str:
    return "none" if value is None else format_value(value)
