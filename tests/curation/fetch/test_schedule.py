"""Scheduling of requests: limits in total and per host, hosts that take turns, and an end on request."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from threading import Event

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openalign.curation.fetch.schedule import for_each_by_host, run, run_until
from openalign.curation.html.urls import host_of


class Requests:
    """Records which URLs are handled, and how many at the same time in total and for each host."""

    def __init__(self) -> None:
        self.handled: list[str] = []
        self.most, self.most_of_host = 0, 0
        self._running: Counter[str | None] = Counter()

    async def handle(self, url: str) -> None:
        self.handled.append(url)
        host = host_of(url)
        self._running[host] += 1
        self.most = max(self.most, self._running.total())
        self.most_of_host = max(self.most_of_host, self._running[host])
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self._running[host] -= 1


def handled(urls: Sequence[str], at_once: int, per_host: int) -> Requests:
    requests = Requests()
    run(for_each_by_host(urls, requests.handle, at_once=at_once, per_host=per_host))
    return requests


urls = st.builds("http://{}.org/{}".format, st.sampled_from("abcde"), st.integers(0, 99))


@settings(deadline=None)
@given(st.lists(urls, unique=True), st.integers(1, 8), st.integers(1, 4))
def test_every_url_is_handled_once_within_the_limits(urls: list[str], at_once: int, per_host: int) -> None:
    requests = handled(urls, at_once, per_host)
    assert sorted(requests.handled) == sorted(urls)
    assert requests.most <= at_once and requests.most_of_host <= per_host


def test_hosts_take_turns() -> None:
    found = handled([f"http://{host}.org/{number}" for host in "abc" for number in range(3)], at_once=1, per_host=2)
    assert [host_of(url) for url in found.handled[:6]] == ["a.org", "b.org", "c.org"] * 2


def test_a_failure_is_raised_as_it_is() -> None:
    async def fail(url: str) -> None:
        raise ValueError(url)

    with pytest.raises(ValueError, match=r"^http://a\.org/$"):
        run(for_each_by_host(["http://a.org/"], fail, at_once=4, per_host=2))


def test_work_ends_soon_after_it_is_stopped() -> None:
    stop = Event()

    async def stop_and_wait(url: str) -> None:
        stop.set()
        await asyncio.sleep(600)

    start = time.monotonic()
    run(run_until(stop, for_each_by_host(["http://a.org/"], stop_and_wait, at_once=1, per_host=1)))
    assert time.monotonic() - start < 60


def test_a_coroutine_runs_inside_a_running_event_loop() -> None:
    async def notebook() -> Requests:
        return handled(["http://a.org/"], at_once=1, per_host=1)

    assert asyncio.run(notebook()).handled == ["http://a.org/"]
