"""Curves over training steps in SVG coordinates: axes, ticks, and long series thinned to visible detail."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

WIDTH, HEIGHT = 400, 190  # of the drawing, in units of its viewBox
LEFT, RIGHT, TOP, BOTTOM = 50, 8, 8, 22  # margins around the plot
MOST_POINTS = 300  # of a curve, about one per unit of its width
MOST_AREAS = 80
TICKS = 6  # approximately

Points = list[tuple[float, float]]
Format = Callable[[float], str]
Scale = Literal["linear", "log"]


@dataclass(frozen=True)
class Curve:
    """Values over steps, of run number `run`."""

    label: str
    run: int
    points: Points
    style: int = 0
    """Dash pattern, for runs with several curves in one chart."""
    labels: list[float] | None = None
    """Values to show at the points, if not their heights."""


@dataclass(frozen=True)
class Tick:
    at: float
    """Coordinate along its axis."""
    label: str


@dataclass(frozen=True)
class DrawnCurve:
    """A curve in coordinates, and its values, shown when the pointer is on it."""

    label: str
    run: int
    style: int
    start: float
    """Where it starts, along the axis of steps."""
    path: str
    steps: str
    values: str


@dataclass(frozen=True)
class Chart:
    """A drawing, ready for the template."""

    title: str
    about: str
    curves: list[DrawnCurve]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    filled: bool = False
    """Whether curves are the upper edges of stacked areas."""


@dataclass(frozen=True)
class Axis:
    """Maps values from `low` to `high` onto coordinates from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    scale: Scale = "linear"

    def __call__(self, value: float) -> float:
        low, high, value = (
            (math.log(self.low), math.log(self.high), math.log(value))
            if self.scale == "log"
            else (self.low, self.high, value)
        )
        return self.start + (self.end - self.start) * (value - low) / (high - low)

    def ticks(self, wanted: int, shown: Format) -> list[Tick]:
        """Ticks at round values, about `wanted` of them."""
        values = _log_ticks(self.low, self.high) if self.scale == "log" else []
        if len(values) < 2:
            values = _linear_ticks(self.low, self.high, wanted)
        return [Tick(self(value), shown(value)) for value in values]


def draw(
    title: str,
    curves: Sequence[Curve],
    *,
    shown: Format,
    until: float,
    about: str = "",
    scale: Scale = "linear",
    floor: float | None = None,
    ceiling: float | None = None,
    filled: bool = False,
) -> Chart | None:
    """The chart of some curves, with values formatted by `shown`; None if there is nothing to draw.

    Steps go from zero to `until`. A logarithmic scale drops values that are not positive. The other axis includes
    `floor` and `ceiling`.
    """
    kept = [curve if scale == "linear" else replace(curve, points=_positive(curve.points)) for curve in curves]
    kept = [curve for curve in kept if curve.points]
    if not kept:
        return None
    x = Axis(0.0, max(until, 1.0), LEFT, WIDTH - RIGHT)
    bounds = [bound for bound in (floor, ceiling) if bound is not None]
    y = _values_axis([value for curve in kept for _, value in curve.points] + bounds, scale)
    return Chart(
        title=title,
        about=about,
        curves=[_drawn(curve, x, y, shown) for curve in kept],
        x_ticks=x.ticks(TICKS, short_number),
        y_ticks=y.ticks(TICKS, shown),
        filled=filled,
    )


def stacked(shares: Sequence[Curve]) -> list[Curve]:
    """Curves as the upper edges of stacked areas, the highest first; all have the same steps."""
    tops: list[Curve] = []
    below = [0.0] * len(shares[0].points)
    for curve in shares:
        labels = [value for _, value in curve.points]
        below = [under + value for under, value in zip(below, labels, strict=True)]
        points = [(step, top) for (step, _), top in zip(curve.points, below, strict=True)]
        tops.append(replace(curve, points=points, labels=labels))
    return tops[::-1]


def averaged(points: Points, most: int = MOST_AREAS) -> Points:
    """At most `most` points: means over stretches of points, at their last steps."""
    size = math.ceil(len(points) / most) or 1
    stretches = [points[start : start + size] for start in range(0, len(points), size)]
    return [(stretch[-1][0], sum(value for _, value in stretch) / len(stretch)) for stretch in stretches]


def thinned(points: Points, most: int = MOST_POINTS) -> Points:
    """About `most` points: the lowest and the highest of each stretch of points, so that no spike is lost."""
    if len(points) <= most:
        return points
    size = math.ceil(2 * len(points) / most)
    kept: Points = [points[0]]
    for start in range(0, len(points), size):
        stretch = points[start : start + size]
        kept += sorted({min(stretch, key=lambda point: point[1]), max(stretch, key=lambda point: point[1])})
    return sorted({*kept, points[-1]})


def short_number(value: float) -> str:
    """12, 1.5k, 300k, 1.2M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{unit}"
    return f"{value:.4g}"


def _positive(points: Points) -> Points:
    return [(step, value) for step, value in points if value > 0]


def _values_axis(values: list[float], scale: Scale) -> Axis:
    low, high = min(values), max(values)
    if low == high:  # a line in the middle
        low, high = (low / 1.5, high * 1.5) if scale == "log" else (low - abs(low) / 2, high + abs(high) / 2 or 1.0)
    return Axis(low, high, HEIGHT - BOTTOM, TOP, scale)


def _drawn(curve: Curve, x: Axis, y: Axis, shown: Format) -> DrawnCurve:
    labels = curve.labels if curve.labels is not None else [value for _, value in curve.points]
    points = [f"{x(step):.1f} {y(value):.1f}" for step, value in curve.points]
    if len(points) == 1:
        points *= 2  # a line without length shows as a dot
    return DrawnCurve(
        label=curve.label,
        run=curve.run,
        style=curve.style,
        start=x(curve.points[0][0]),
        path="M" + "L".join(points),
        steps=" ".join(f"{step:.0f}" for step, _ in curve.points),
        values="|".join(map(shown, labels)),
    )


def _linear_ticks(low: float, high: float, wanted: int) -> list[float]:
    rough = (high - low) / wanted
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten between two values, with 2 and 5 times them if there is room."""
    decades = math.log10(high / low)
    factors = (1, 2, 5) if decades < 2.5 else (1,)
    every = max(1, round(decades / 5))
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = [factor * 10.0**power for power in powers if power % every == 0 for factor in factors]
    return [value for value in values if low <= value * (1 + 1e-9) and value <= high * (1 + 1e-9)]
