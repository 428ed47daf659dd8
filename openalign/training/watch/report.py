"""The report of one run or several: a page of curves, settings and checkpoints that needs no server."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from pydantic import BaseModel

from openalign.errors import OpenAlignError
from openalign.files import whole_file
from openalign.options import option
from openalign.training.recipe.recipe import Recipe
from openalign.training.watch import chart
from openalign.training.watch.chart import Format, short_number
from openalign.training.watch.logged_run import LoggedRun, dotted, read_run
from openalign.training.watch.report_charts import (
    DIRECTIONS,
    learning_charts,
    loader_chart,
    recall_charts,
    speed_charts,
)
from openalign.training.watch.units import duration, gigabytes, percent


def report(runs: Sequence[str | Path], to: str | Path | None = None) -> Path:
    """Write one page about a run, or one that compares several; returns its path, by default RUN/report.html.

    Raises:
        OpenAlignError: a folder without a log, or several runs without `to`.
    """
    folders = [Path(run) for run in runs]
    if to is None and len(folders) != 1:
        raise OpenAlignError(f"a report on several runs needs a file to write: name it with {option('to')}.")
    target = Path(to) if to is not None else folders[0] / "report.html"
    page = render_page([read_run(folder) for folder in folders])
    with whole_file(target) as partial:
        partial.write_text(page, encoding="utf-8")
    return target


def render_page(runs: Sequence[LoggedRun]) -> str:
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
        learning=learning_charts(runs),
        recall=recall_charts(runs),
        speed=speed_charts(runs),
        loader=[loader_chart(index, runs) for index in range(len(runs))],
        settings=changed_settings(runs),
        checkpoints=[_checkpoints(run) for run in runs],
        problems=[_problems(run) for run in runs],
    )


def names_of(runs: Sequence[LoggedRun]) -> list[str]:
    """The names of the runs, or their paths where names are equal."""
    names = [run.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.folder) for run in runs]


def changed_settings(runs: Sequence[LoggedRun]) -> list[tuple[str, str, list[str]]]:
    """Key, default, and the value in each run, of the settings that differ from the default in any of them."""
    defaults = dict(_defaults(Recipe))
    keys = dict.fromkeys(key for run in runs for key in run.settings)
    return [
        (key, _written(defaults.get(key)), [_written(run.settings.get(key, defaults.get(key))) for run in runs])
        for key in keys
        if any(_written(run.settings.get(key, defaults.get(key))) != _written(defaults.get(key)) for run in runs)
    ]


def _defaults(settings: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Defaults by full key, of the settings that have one."""
    for name, field in settings.model_fields.items():
        if field.is_required():
            continue
        default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            yield from dotted(default.model_dump(), f"{prefix}{name}.")
        else:
            yield prefix + name, default


def _written(value: Any) -> str:
    """A setting for the page; a dash for None."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_written(item) for item in value) + "]"
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)


def _figures(runs: Sequence[LoggedRun]) -> list[tuple[str, list[str]]]:
    """The figures at the top of the page: label, and value in each run."""
    rows: list[tuple[str, Callable[[LoggedRun], str]]] = [
        ("steps", lambda run: f"{run.done:,} of {run.steps:,}" if run.done < run.steps else f"{run.done:,}"),
        ("loss", lambda run: _newest(run, "loss", lambda value: f"{value:.3f}")),
        ("temperature", lambda run: _newest(run, "temperature", lambda value: f"{value:.4f}")),
        ("R@1 image to text", lambda run: _last_of(run.recall("image_to_text R@1"), percent)),
        ("R@1 text to image", lambda run: _last_of(run.recall("text_to_image R@1"), percent)),
        ("pairs seen", lambda run: _newest(run, "pairs_seen", short_number)),
        ("time", lambda run: _newest(run, "seconds", duration)),
        ("pairs/s, median", lambda run: _median(run, "pairs_per_second", lambda value: f"{value:,.3g}")),
        ("MFU, median", lambda run: _median(run, "mfu", percent)),
        ("waiting for the loader", lambda run: _median(run, "waiting_for_loader", percent)),
        ("memory, at most", lambda run: _newest(run, "memory_bytes", gigabytes)),
        ("problems", lambda run: f"{sum(record.get('problems', 0) for record in run.records):,}"),
    ]
    shown = [(label, [value(run) for run in runs]) for label, value in rows]
    return [(label, values) for label, values in shown if any(value != "–" for value in values)]


def _newest(run: LoggedRun, key: str, shown: Format) -> str:
    return _last_of(run.series(key), shown)


def _last_of(points: chart.Points, shown: Format) -> str:
    return shown(points[-1][1]) if points else "–"


def _median(run: LoggedRun, key: str, shown: Format) -> str:
    points = run.series(key)
    return shown(statistics.median(value for _, value in points)) if points else "–"


def _checkpoints(run: LoggedRun) -> list[dict[str, str]]:
    recalls = {name: dict(run.recall(f"{name} R@1")) for name in DIRECTIONS}
    rows = []
    for folder in run.checkpoints:
        step = int(folder.name.removeprefix("step-"))
        size = sum(_size(file) for file in folder.rglob("*") if file.is_file())
        measured = [
            f"{percent(found[step])} {name.replace('_', ' ')}" for name, found in recalls.items() if step in found
        ]
        rows.append({"name": folder.name, "step": f"{step:,}", "size": gigabytes(size), "recall": ", ".join(measured)})
    return rows


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # removed meanwhile by the run, which goes on
        return 0


def _problems(run: LoggedRun) -> list[tuple[int, str]]:
    """Each problem once, with the step of its first record."""
    return [(record["step"], problem) for record in run.records for problem in record.get("new_problems", ())]
