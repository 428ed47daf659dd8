"""A run as its folder shows it: what it logged, its settings, machine and checkpoints."""

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openalign.errors import OpenAlignError
from openalign.training.run_folder.checkpoint import checkpoints_of
from openalign.training.run_folder.log_file import Record, figures_of, read_records
from openalign.training.watch import chart


@dataclass(frozen=True)
class LoggedRun:
    """The contents of a run's folder."""

    name: str
    folder: Path
    records: list[Record]
    settings: dict[str, Any]
    """The recipe, by full key such as `optimizer.name`."""
    machine: dict[str, Any]
    checkpoints: list[Path]

    @property
    def steps(self) -> int:
        """Steps that its recipe asks for."""
        steps = self.settings.get("steps", 0)
        return steps if isinstance(steps, int) else 0

    @property
    def done(self) -> int:
        """The newest step that was logged."""
        return int(self.records[-1]["step"])

    def series(self, key: str) -> chart.Points:
        """Steps and values of a figure, of the records that have it."""
        return [(record["step"], record[key]) for record in self.records if key in record]

    def recall(self, name: str) -> chart.Points:
        """Steps and values of one recall, such as `text_to_image R@1`."""
        recalls = [(record["step"], record["recall"]) for record in self.records if "recall" in record]
        return [(step, values[name]) for step, values in recalls if name in values]


def read_run(folder: Path) -> LoggedRun:
    """Read what a run has written so far.

    Raises:
        OpenAlignError: the folder holds no run, or one that has not logged a step.
    """
    records = [figures_of(record) for record in read_records(folder / "log.jsonl")]
    if not records:
        what = "has logged no step yet" if (folder / "recipe.toml").exists() else "is not the folder of a run"
        raise OpenAlignError(f"{folder} {what} (no line in log.jsonl).")
    settings = dict(dotted(_read(folder / "recipe.toml", tomllib.loads)))
    machine = _read(folder / "machine.json", json.loads)
    if not isinstance(machine.get("peak_flops"), int | float):  # another version's, or damaged: the page does without
        machine = {}
    return LoggedRun(folder.resolve().name, folder, records, settings, machine, checkpoints_of(folder))


def _read(path: Path, parse: Callable[[str], Any]) -> dict[str, Any]:
    """The content of a file of the run; empty if the file is missing."""
    try:
        content = parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise OpenAlignError(f"{path} is damaged: {error}.") from None
    except OSError as error:
        raise OpenAlignError(f"{path} cannot be read ({error.strerror}).") from None
    if not isinstance(content, dict):
        raise OpenAlignError(f"{path} is damaged: it holds no table.")
    return content


def dotted(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested tables by full key."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from dotted(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
