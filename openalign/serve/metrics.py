"""What the service did, counted and timed, in the text format of Prometheus."""

import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from threading import Lock

from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_GONE = 499
"""Status of requests whose clients went away, as nginx counts them."""

Labels = tuple[tuple[str, str], ...]


@dataclass
class _Histogram:
    bounds: tuple[float, ...]
    counts: list[int] = field(init=False)
    total: float = 0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def lines(self, name: str, labels: Labels) -> Iterator[str]:
        for bound, count in zip((*map(str, self.bounds), "+Inf"), accumulate(self.counts), strict=True):
            yield _line(f"{name}_bucket", (*labels, ("le", bound)), count)
        yield _line(f"{name}_sum", labels, self.total)
        yield _line(f"{name}_count", labels, sum(self.counts))


class Metrics:
    """Counters and histograms of one service; safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._requests: defaultdict[Labels, int] = defaultdict(int)
        self._seconds: defaultdict[Labels, _Histogram] = defaultdict(lambda: _Histogram(SECONDS))
        self._batches: defaultdict[Labels, _Histogram] = defaultdict(lambda: _Histogram(SIZES))
        self._model_seconds: defaultdict[Labels, float] = defaultdict(float)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        method = method if method in _METHODS else "other"  # a client makes up methods, and each would be kept
        with self._lock:
            self._requests[(("method", method), ("route", route), ("status", str(status)))] += 1
            self._seconds[(("route", route),)].add(seconds)

    def batch(self, kind: str, items: int, seconds: float) -> None:
        """Count one call of the model with `items` texts or images (see `batching.Observer`)."""
        with self._lock:
            self._batches[(("kind", kind),)].add(items)
            self._model_seconds[(("kind", kind),)] += seconds

    def exposition(self, gauges: Mapping[str, tuple[str, float]]) -> str:
        """All of it in Prometheus' text format, with `gauges` as name -> (help, value)."""
        with self._lock:
            return "\n".join([*self._lines(), *_gauges(gauges)]) + "\n"

    def _lines(self) -> Iterator[str]:
        name = "openalign_requests_total"
        yield from _head(name, "counter", "Answered requests; 499 are those whose client went away.")
        yield from (_line(name, labels, count) for labels, count in self._requests.items())
        name = "openalign_request_seconds"
        yield from _head(name, "histogram", "Seconds from the headers of a request to the end of its answer.")
        for labels, histogram in self._seconds.items():
            yield from histogram.lines(name, labels)
        name = "openalign_batch_items"
        yield from _head(name, "histogram", "Texts or images in one call of the model; the sum is all it embedded.")
        for labels, histogram in self._batches.items():
            yield from histogram.lines(name, labels)
        name = "openalign_model_seconds_total"
        yield from _head(name, "counter", "Seconds that the model took.")
        yield from (_line(name, labels, seconds) for labels, seconds in self._model_seconds.items())


class Measured:
    """ASGI middleware: counts and times every request by the template of its route."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), _GONE

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            self._metrics.request(scope["method"], _route(scope), status, time.perf_counter() - began)


def _route(scope: Scope) -> str:
    """The template of the route, such as `/api/rows/{row}`: there are few, where clients make up paths without end."""
    path = getattr(scope.get("route"), "path", None)
    if path is None:
        path = "/static" if scope["path"].startswith("/static/") else "other"
    return str(path)


def _gauges(gauges: Mapping[str, tuple[str, float]]) -> Iterator[str]:
    for name, (description, value) in gauges.items():
        yield from _head(name, "gauge", description)
        yield _line(name, (), value)


def _head(name: str, kind: str, description: str) -> Iterator[str]:
    yield f"# HELP {name} {description}"
    yield f"# TYPE {name} {kind}"


def _line(name: str, labels: Labels, value: float) -> str:
    """One sample. No label here has a quotation mark, a backslash or a line break, which would need escapes."""
    inside = ",".join(f'{label}="{text}"' for label, text in labels)
    return f"{name}{{{inside}}} {value}" if inside else f"{name} {value}"
