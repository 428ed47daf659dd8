"""Runs many requests concurrently: a limit in total, a limit per host, and a way to stop."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from openalign.curation.html.urls import host_of

_POLL_SECONDS = 0.1  # between checks of the stop event


def run(work: Coroutine[None, None, None]) -> None:
    """Run a coroutine to its end, also inside a notebook, which runs an event loop already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work)
        return
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


async def run_until(stop: Event, work: Coroutine[None, None, None]) -> None:
    """Await a coroutine, or cancel it soon after `stop` is set."""
    task = asyncio.ensure_future(work)
    while not (await asyncio.wait([task], timeout=_POLL_SECONDS))[0]:
        if stop.is_set():
            task.cancel()
    if not task.cancelled():
        task.result()


async def for_each_by_host(
    urls: Sequence[str], function: Callable[[str], Awaitable[None]], *, at_once: int, per_host: int
) -> None:
    """Await `function` for each URL, at most `at_once` in total and `per_host` for one host; hosts take turns.

    Each host is in the queue of turns `per_host` times; whoever takes a turn handles its next URL, then returns it.
    """
    waiting: dict[str | None, deque[str]] = {}
    for url in urls:
        waiting.setdefault(host_of(url), deque()).append(url)
    turns = deque(host for _ in range(per_host) for host in waiting)

    async def take_turns() -> None:
        while turns:
            host = turns.popleft()
            if waiting[host]:
                await function(waiting[host].popleft())
                turns.append(host)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(at_once, len(turns))):
                group.create_task(take_turns())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
