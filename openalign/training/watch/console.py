"""A run's lines on the console, where no terminal shows a bar."""

import time
from collections.abc import Mapping

from openalign.progress import console
from openalign.training.recipe.recipe import Recipe
from openalign.training.run_folder.log_file import Record

SECONDS_BETWEEN_LINES = 15.0
NOTED_SHARE = 0.1
"""Least share of time spent waiting for the loader that is shown beside the bar."""


class ConsoleLines:
    """Prints a line every `SECONDS_BETWEEN_LINES`, and every measured recall."""

    def __init__(self, recipe: Recipe) -> None:
        self._steps = recipe.steps
        self._last_line = time.perf_counter()

    def print_step(self, record: Record, now: float) -> str:
        """Print a record if it is time for a line. Returns its main figures, short enough to stand beside a bar."""
        pairs, waits = _short(record["pairs_per_second"]), record["waiting_for_loader"]
        due = now - self._last_line > SECONDS_BETWEEN_LINES or record["step"] == self._steps
        if due and not console.is_terminal:
            console.print(
                f"step {record['step']:,}/{self._steps:,} · loss {record['loss']:.3f} · {pairs} pairs/s"
                f" · t {record['temperature']:.4f} · waits {waits:.0%}"
            )
            self._last_line = now
        waiting = f" · waits {waits:.0%}" if waits >= NOTED_SHARE else ""
        return f"loss {record['loss']:.3f} · {pairs}/s{waiting}"

    def print_recall(self, step: int, recall: Mapping[str, float]) -> None:
        """Print R@1 of both directions."""
        firsts = (
            f"{value:.1%} {name.removesuffix(' R@1').replace('_', ' ')}"
            for name, value in recall.items()
            if name.endswith(" R@1")
        )
        console.print(f"Step {step:,}: R@1 {', '.join(firsts)}")


def _short(number: float) -> str:
    """0.52, 530, 15.2k, 1.2M."""
    if number < 10:
        return f"{number:.2f}"
    if number < 1e4:
        return f"{number:.0f}"
    return f"{number / 1e3:.1f}k" if number < 1e6 else f"{number / 1e6:.1f}M"
