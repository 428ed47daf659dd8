"""The report of one run or several: a page of curves, settings and checkpoints that needs no server."""

import json
import statistics
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from pydantic import BaseModel

from openalign.errors import OpenAlignError
from openalign.files import whole_file
from openalign.training.recipe.recipe import Recipe
from openalign.training.run_folder.checkpoint import checkpoints_of
from openalign.training.run_folder.log_file import Record, figures_of, read_records
from openalign.training.watch import chart
from openalign.training.watch.chart import Chart, Curve, Format, Scale, averaged, draw, short_number, stacked, thinned

DEPTHS = ("R@1", "R@5", "R@10")
DIRECTIONS = ("image_to_text", "text_to_image")


@dataclass(frozen=True)
class Run:
    """What a run's folder tells."""

    name: str
    folder: Path
    records: list[Record]
    settings: dict[str, Any]
    """The recipe, its keys dotted."""
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


def report(runs: Sequence[str | Path], to: str | Path | None = None) -> Path:
    """Write one page about a run, or one that compares several; returns its path, by default RUN/report.html.

    Raises:
        OpenAlignError: a folder that holds no log, or several runs and no place to write to.
    """
    folders = [Path(run) for run in runs]
    if to is None and len(folders) != 1:
        raise OpenAlignError("a report on several runs belongs to none of them: say where to write it with `to`.")
    target = Path(to) if to is not None else folders[0] / "report.html"
    page = render_page([read_run(folder) for folder in folders])
    with whole_file(target) as part:
        part.write_text(page, encoding="utf-8")
    return target


def read_run(folder: Path) -> Run:
    """What a run has written so far.

    Raises:
        OpenAlignError: the folder holds no run, or one that has not logged a step.
    """
    records = [figures_of(record) for record in read_records(folder / "log.jsonl")]
    if not records:
        what = "has logged no step yet" if (folder / "recipe.toml").exists() else "is not the folder of a run"
        raise OpenAlignError(f"{folder}: {what} (no line in log.jsonl).")
    settings = dict(_dotted(_read(folder / "recipe.toml", tomllib.loads)))
    machine = _read(folder / "machine.json", json.loads)
    if not isinstance(machine.get("peak_flops"), int | float):  # of another version, or damaged: it is only shown
        machine = {}
    return Run(folder.resolve().name, folder, records, settings, machine, checkpoints_of(folder))


def _read(path: Path, parse: Callable[[str], Any]) -> dict[str, Any]:
    """What a file of the run says; nothing where there is none."""
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


def render_page(runs: Sequence[Run]) -> str:
    """The page as one string of HTML, with nothing to fetch."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.globals |= {
        name: getattr(chart, name) for name in ("WIDTH", "HEIGHT", "LEFT", "RIGHT", "TOP", "BOTTOM")
    }
    template = environment.from_string(
        files("openalign.training.watch").joinpath("report.html").read_text(encoding="utf-8")
    )
    return template.render(
        runs=runs,
        names=names_of(runs),
        figures=_figures(runs),
        learning=_learning_charts(runs),
        recall=_recall_charts(runs),
        speed=_speed_charts(runs),
        loader=[_loader_chart(place, runs) for place in range(len(runs))],
        settings=changed_settings(runs),
        checkpoints=[_checkpoints(run) for run in runs],
        problems=[_problems(run) for run in runs],
    )


def names_of(runs: Sequence[Run]) -> list[str]:
    """Short names that tell the runs apart."""
    names = [run.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.folder) for run in runs]


def changed_settings(runs: Sequence[Run]) -> list[tuple[str, str, list[str]]]:
    """Key, default, and the value in each run, of the settings in which any of them departs from the default."""
    defaults = dict(_defaults(Recipe))
    keys = dict.fromkeys(key for run in runs for key in run.settings)
    return [
        (key, _written(defaults.get(key)), [_written(run.settings.get(key, defaults.get(key))) for run in runs])
        for key in keys
        if any(_written(run.settings.get(key, defaults.get(key))) != _written(defaults.get(key)) for run in runs)
    ]


def _defaults(settings: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Default by dotted key, of the settings that have one."""
    for name, field in settings.model_fields.items():
        if field.is_required():
            continue
        default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            yield from _dotted(default.model_dump(), f"{prefix}{name}.")
        else:
            yield prefix + name, default


def _dotted(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _written(value: Any) -> str:
    """A setting as the recipe would write it; nothing for none."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_written(item) for item in value) + "]"
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)


def _figures(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """The heads of the page: what is counted, and its value in each run."""
    rows: list[tuple[str, Callable[[Run], str]]] = [
        ("steps", lambda run: f"{run.done:,} of {run.steps:,}" if run.done < run.steps else f"{run.done:,}"),
        ("loss", lambda run: _newest(run, "loss", lambda value: f"{value:.3f}")),
        ("temperature", lambda run: _newest(run, "temperature", lambda value: f"{value:.4f}")),
        ("R@1 image to text", lambda run: _last_of(run.recall("image_to_text R@1"), _percent)),
        ("R@1 text to image", lambda run: _last_of(run.recall("text_to_image R@1"), _percent)),
        ("pairs seen", lambda run: _newest(run, "pairs_seen", short_number)),
        ("time", lambda run: _newest(run, "seconds", _duration)),
        ("pairs/s, median", lambda run: _median(run, "pairs_per_second", lambda value: f"{value:,.3g}")),
        ("MFU, median", lambda run: _median(run, "mfu", _percent)),
        ("waiting for the loader", lambda run: _median(run, "waiting_for_loader", _percent)),
        ("memory, at most", lambda run: _newest(run, "memory_bytes", _gigabytes)),
        ("problems", lambda run: f"{sum(record.get('problems', 0) for record in run.records):,}"),
    ]
    shown = [(label, [value(run) for run in runs]) for label, value in rows]
    return [(label, values) for label, values in shown if any(value != "–" for value in values)]


def _newest(run: Run, key: str, shown: Format) -> str:
    return _last_of(run.series(key), shown)


def _last_of(points: chart.Points, shown: Format) -> str:
    return shown(points[-1][1]) if points else "–"


def _median(run: Run, key: str, shown: Format) -> str:
    points = run.series(key)
    return shown(statistics.median(value for _, value in points)) if points else "–"


def _learning_charts(runs: Sequence[Run]) -> list[Chart]:
    return _present(
        _chart(runs, "loss", "Loss", lambda value: f"{value:.4g}"),
        _chart(runs, "temperature", "Temperature", lambda value: f"{value:.3g}", scale="log", about="log scale"),
        _chart(runs, "learning_rate", "Learning rate", lambda value: f"{value:.2g}", floor=0.0),
        _chart(runs, "gradient_norm", "Gradient norm", lambda value: f"{value:.3g}", scale="log", about="log scale"),
    )


def _speed_charts(runs: Sequence[Run]) -> list[Chart]:
    return _present(
        _chart(runs, "pairs_per_second", "Pairs per second", short_number, floor=0.0, about="over all processes"),
        _chart(runs, "mfu", "MFU", _percent, floor=0.0, about="of the devices' peak, recomputation not counted"),
        _chart(runs, "waiting_for_loader", "Waiting for the loader", _percent, floor=0.0, about="share of the time"),
        _chart(runs, "memory_bytes", "Memory", _gigabytes, floor=0.0, about="the most so far"),
    )


def _recall_charts(runs: Sequence[Run]) -> list[Chart]:
    """One a direction, with a curve for each depth of each run."""
    charts = []
    for direction in DIRECTIONS:
        curves = [
            Curve(depth, place, run.recall(f"{direction} {depth}"), style)
            for place, run in enumerate(runs)
            for style, depth in enumerate(DEPTHS)
        ]
        title = f"Recall {direction.replace('_', ' ')}"
        about = ", ".join(DEPTHS) + " from below"
        charts.append(draw(title, curves, shown=_percent, until=_last_step(runs), floor=0.0, about=about))
    return _present(*charts)


def _loader_chart(place: int, runs: Sequence[Run]) -> Chart | None:
    """Where the time of the loader's workers goes."""
    disk, decode = (runs[place].series(f"loader_{part}_share") for part in ("disk", "decode"))
    if not decode:
        return None
    reading = dict(disk)
    decode = [(step, share) for step, share in decode if step in reading]
    disk = [(step, reading[step]) for step, _ in decode]
    rest = [(step, 1.0 - read - spent) for (step, read), (_, spent) in zip(disk, decode, strict=True)]
    parts = zip(("reading", "decoding", "the rest"), (disk, decode, rest), strict=True)
    curves = [Curve(label, place, averaged(points), style) for style, (label, points) in enumerate(parts)]
    shares, until = stacked(curves), _last_step(runs)
    return draw("", shares, shown=_percent, until=until, floor=0.0, ceiling=1.0, filled=True)


def _chart(
    runs: Sequence[Run],
    key: str,
    title: str,
    shown: Format,
    *,
    about: str = "",
    scale: Scale = "linear",
    floor: float | None = None,
) -> Chart | None:
    curves = [Curve("", place, thinned(run.series(key))) for place, run in enumerate(runs)]
    return draw(title, curves, shown=shown, until=_last_step(runs), about=about, scale=scale, floor=floor)


def _last_step(runs: Sequence[Run]) -> int:
    return max(run.done for run in runs)


def _present(*charts: Chart | None) -> list[Chart]:
    return [one for one in charts if one is not None]


def _checkpoints(run: Run) -> list[dict[str, str]]:
    recalls = {name: dict(run.recall(f"{name} R@1")) for name in DIRECTIONS}
    rows = []
    for folder in run.checkpoints:
        step = int(folder.name.removeprefix("step-"))
        size = sum(_size(file) for file in folder.rglob("*") if file.is_file())
        measured = [
            f"{_percent(found[step])} {name.replace('_', ' ')}" for name, found in recalls.items() if step in found
        ]
        rows.append({"name": folder.name, "step": f"{step:,}", "size": _gigabytes(size), "recall": ", ".join(measured)})
    return rows


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # the run, which goes on, has just removed this checkpoint
        return 0


def _problems(run: Run) -> list[tuple[int, str]]:
    """Each problem once, with the step in whose record it first stands."""
    return [(record["step"], problem) for record in run.records for problem in record.get("new_problems", ())]


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.3g} GB" if size >= 1e9 or size == 0 else f"{size / 1e6:.3g} MB"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
