"""The charts of a report: learning, recall, speed, and the time of the loader's workers."""

from collections.abc import Sequence

from openalign.training.watch.chart import Chart, Curve, Format, Scale, averaged, draw, short_number, stacked, thinned
from openalign.training.watch.logged_run import LoggedRun
from openalign.training.watch.units import gigabytes, percent

DEPTHS = ("R@1", "R@5", "R@10")
DIRECTIONS = ("image_to_text", "text_to_image")


def learning_charts(runs: Sequence[LoggedRun]) -> list[Chart]:
    """Loss, temperature, learning rate and gradient norm, of the runs that logged them."""
    return _present(
        _chart(runs, "loss", "Loss", lambda value: f"{value:.4g}"),
        _chart(runs, "temperature", "Temperature", lambda value: f"{value:.3g}", scale="log", about="log scale"),
        _chart(runs, "learning_rate", "Learning rate", lambda value: f"{value:.2g}", floor=0.0),
        _chart(runs, "gradient_norm", "Gradient norm", lambda value: f"{value:.3g}", scale="log", about="log scale"),
    )


def speed_charts(runs: Sequence[LoggedRun]) -> list[Chart]:
    """Throughput, MFU, waiting time and memory, of the runs that logged them."""
    return _present(
        _chart(runs, "pairs_per_second", "Pairs per second", short_number, floor=0.0, about="over all processes"),
        _chart(runs, "mfu", "MFU", percent, floor=0.0, about="of the devices' peak, recomputation not counted"),
        _chart(runs, "waiting_for_loader", "Waiting for the loader", percent, floor=0.0, about="share of the time"),
        _chart(runs, "memory_bytes", "Memory", gigabytes, floor=0.0, about="the most so far"),
    )


def recall_charts(runs: Sequence[LoggedRun]) -> list[Chart]:
    """One chart per direction, with a curve for each depth of each run."""
    charts = []
    for direction in DIRECTIONS:
        curves = [
            Curve(depth, index, run.recall(f"{direction} {depth}"), style)
            for index, run in enumerate(runs)
            for style, depth in enumerate(DEPTHS)
        ]
        title = f"Recall {direction.replace('_', ' ')}"
        about = ", ".join(DEPTHS) + " from below"
        charts.append(draw(title, curves, shown=percent, until=_last_step(runs), floor=0.0, about=about))
    return _present(*charts)


def loader_chart(index: int, runs: Sequence[LoggedRun]) -> Chart | None:
    """How the loader's workers spend their time."""
    disk, decode = (runs[index].series(f"loader_{part}_share") for part in ("disk", "decode"))
    if not decode:
        return None
    reading = dict(disk)
    decode = [(step, share) for step, share in decode if step in reading]
    disk = [(step, reading[step]) for step, _ in decode]
    rest = [(step, 1.0 - read - spent) for (step, read), (_, spent) in zip(disk, decode, strict=True)]
    parts = zip(("reading", "decoding", "the rest"), (disk, decode, rest), strict=True)
    curves = [Curve(label, index, averaged(points), style) for style, (label, points) in enumerate(parts)]
    shares, until = stacked(curves), _last_step(runs)
    return draw("", shares, shown=percent, until=until, floor=0.0, ceiling=1.0, filled=True)


def _chart(
    runs: Sequence[LoggedRun],
    key: str,
    title: str,
    shown: Format,
    *,
    about: str = "",
    scale: Scale = "linear",
    floor: float | None = None,
) -> Chart | None:
    curves = [Curve("", index, thinned(run.series(key))) for index, run in enumerate(runs)]
    return draw(title, curves, shown=shown, until=_last_step(runs), about=about, scale=scale, floor=floor)


def _last_step(runs: Sequence[LoggedRun]) -> int:
    return max(run.done for run in runs)


def _present(*charts: Chart | None) -> list[Chart]:
    return [one for one in charts if one is not None]
