"""The bounded queue before the model: a request is worked on, or told at once when to come again."""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from threading import Event
from time import thread_time
from typing import TypeVar

import anyio
from anyio.to_thread import run_sync
from starlette.datastructures import UploadFile
from starlette.requests import Request

from openalign.errors import OpenAlignError
from openalign.search.store.database import STOP, Stopped
from openalign.serve.work.batching import GIVEN_UP, Abandoned, pixels_of

T = TypeVar("T")

_REMEMBERED = 0.98
"""Weight of all earlier requests in the measured rate when one more is answered: about fifty of them count."""
_GUESSED_ITEMS, _GUESSED_SECONDS = 20, 0.02
"""Before anything is measured: so many items, each of which took so long."""
PIXELS_OF_AN_ITEM = 4_000_000
"""A photo counts as one item, and so do as many more pixels, since decoding them takes as long as the model."""
_HEAD_BYTES = 2**16
_LONGEST_RETRY = 60


class Busy(OpenAlignError):
    """More work waits than the service can do soon."""

    def __init__(self, seconds: float) -> None:
        super().__init__("The service has too many requests in work; send this one again later.")
        self.retry_after = min(max(1, math.ceil(seconds)), _LONGEST_RETRY)
        """Whole seconds."""


@dataclass(frozen=True)
class QueueLimits:
    """How much work may wait before a further request is refused."""

    seconds: float = 5
    """At the measured rate."""
    items: int = 1000
    """Texts and images, whatever the rate."""
    reading_seconds: float = 10
    """Of a thread's own time in one request, after which SQLite goes through no further rows for it."""
    threads: int = 32
    """Requests that are worked on at once. Decoding is limited further (see `SharedModel.prepare`)."""
    large_threads: int = 2
    """Of these, requests whose answers are large: 200,000 images in order take 40 MB on the way."""


class TooMuchWork(OpenAlignError):
    """Conditions that take too long to compare with all images."""


class WorkQueue:
    """Requests that need the model. All methods are called by the event loop, so that there is nothing to lock."""

    def __init__(self, limits: QueueLimits | None = None) -> None:
        self.limits = limits or QueueLimits()
        self.waiting = 0
        """Items (texts and images) of requests that are not answered yet."""
        self._threads: dict[bool, anyio.CapacityLimiter] = {}  # they belong to an event loop
        self._items = float(_GUESSED_ITEMS)
        self._seconds = _GUESSED_ITEMS * _GUESSED_SECONDS
        self._since = 0.0

    @property
    def seconds_waiting(self) -> float:
        """Seconds until all that waits is done, at the measured rate."""
        return self.waiting * self._seconds / self._items

    async def run(self, request: Request, items: int, work: Callable[[], T], *, large: bool = False) -> T:
        """`work()`, which embeds `items` texts and images, in a thread; `large` says that its answer is.

        If the client goes away first, the work is dropped where it stands in the queue.

        Raises:
            Busy: too much waits already. An empty queue takes a request of any size.
            Abandoned: the client has gone away.
            TooMuchWork: reading the table took longer than `QueueLimits.reading_seconds`.
        """
        if self.waiting and (self.waiting >= self.limits.items or self.seconds_waiting > self.limits.seconds):
            raise Busy(self.seconds_waiting)
        given_up = Event()
        running = asyncio.ensure_future(self._in_thread(given_up, work, large))
        self._admit(running, items)
        leaving = asyncio.ensure_future(_left(request))
        try:
            await asyncio.wait({running, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                return running.result()
            leaving.result()  # the body of a GET may be too large
            raise Abandoned
        finally:
            given_up.set()
            running.cancel()
            leaving.cancel()

    async def _in_thread(self, given_up: Event, work: Callable[[], T], large: bool) -> T:
        GIVEN_UP.set(given_up)  # of this task and, through its context, of the thread
        if large not in self._threads:
            self._threads[large] = anyio.CapacityLimiter(self.limits.large_threads if large else self.limits.threads)
        return await run_sync(partial(self._worked, given_up, work), limiter=self._threads[large])

    def _worked(self, given_up: Event, work: Callable[[], T]) -> T:
        """`work()`, in its thread. Threads share a connection, so that all wait for one that SQLite keeps busy."""
        began = thread_time()
        STOP.set(lambda: given_up.is_set() or thread_time() - began > self.limits.reading_seconds)
        try:
            return work()
        except Stopped:
            if given_up.is_set():
                raise Abandoned from None
            raise TooMuchWork(
                f"The conditions take longer than {self.limits.reading_seconds:g} s here; use fewer or simpler ones."
            ) from None

    def _admit(self, running: "asyncio.Future[T]", items: int) -> None:
        if not self.waiting:
            self._since = time.monotonic()  # the time before was no work
        self.waiting += items
        running.add_done_callback(partial(self._done, items))

    def _done(self, items: int, finished: "asyncio.Future[T]") -> None:
        self.waiting -= items
        if finished.cancelled() or finished.exception() is not None:
            return  # also for asyncio, which would log an exception that nobody looks at
        now = time.monotonic()
        self._seconds = _REMEMBERED * self._seconds + now - self._since
        self._items = _REMEMBERED * self._items + items
        self._since = now


def items_of(image: UploadFile) -> int:
    """How much an uploaded image counts in the queue, from its header."""
    head = image.file.read(_HEAD_BYTES)
    image.file.seek(0)
    return 1 + pixels_of(head) // PIXELS_OF_AN_ITEM


async def _left(request: Request) -> None:
    """Returns when the client has closed its connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
