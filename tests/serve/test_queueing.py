"""The bounded queue: refused at once where too much waits, dropped where nobody waits any more."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import httpx
import pytest
from fastapi.testclient import TestClient

from openalign.search import Index
from openalign.search.store import database
from openalign.serve.app import create_app
from openalign.serve.work import queueing
from openalign.serve.work.batching import Abandoned
from openalign.serve.work.queueing import Busy, QueueLimits, WorkQueue

LONG = 60
"""Seconds that no test takes."""


class Held:
    """A model that embeds no text before it is told to."""

    def __init__(self, encoder) -> None:
        self.called, self.go = threading.Event(), threading.Event()
        self.texts: list[str] = []
        inner = encoder._embed_text_batch

        def embed(texts):
            self.called.set()
            assert self.go.wait(LONG)
            self.texts += texts
            return inner(texts)

        encoder._embed_text_batch = embed


class Client:
    """In place of a request: its client stays until it is told to leave."""

    def __init__(self) -> None:
        self.leave = asyncio.Event()
        self.began = threading.Event()

    async def receive(self):
        await self.leave.wait()
        return {"type": "http.disconnect"}


@contextmanager
def busy_service(index, encoder, limits):
    """A service whose model is held by one search, and a client of it."""
    held = Held(encoder)
    with TestClient(create_app(index, encoder, limits=limits)) as client, ThreadPoolExecutor(8) as threads:
        try:
            first = threads.submit(client.get, "/api/search?text=red")
            assert held.called.wait(LONG)
            yield client, threads, held
        finally:
            held.go.set()
        assert first.result().status_code == 200


def until(holds) -> None:
    deadline = time.monotonic() + LONG
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def queued(client) -> int:
    line = next(line for line in client.get("/metrics").text.splitlines() if line.startswith("openalign_queue_items "))
    return int(line.split()[1])


@pytest.mark.slow
@pytest.mark.parametrize(
    "sent",
    [
        ("GET", "/search?text=blue", {}),
        ("POST", "/api/classify", {"data": {"labels": ["red", "blue"], "row": 3}}),
        ("POST", "/embed", {"data": {"texts": ["red"]}}),
        ("POST", "/v1/embeddings", {"json": {"input": "red"}}),
    ],
)
def test_what_a_full_queue_has_no_room_for_is_refused_at_once(index, paint_encoder, sent):
    method, url, options = sent
    with busy_service(index, paint_encoder, QueueLimits(items=1)) as (client, _, held):
        refused = client.request(method, url, **options)
        assert not held.go.is_set()  # it did not wait for the model
        assert refused.status_code == 503
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert "too many requests" in str(refused.json()["error"])
        held.go.set()
        until(lambda: queued(client) == 0)
        assert client.request(method, url, **options).status_code == 200


def test_the_queue_takes_as_many_as_its_limit(index, paint_encoder):
    with busy_service(index, paint_encoder, QueueLimits(items=4)) as (client, threads, held):
        waiting = [threads.submit(client.get, f"/api/search?text={colour}") for colour in ("blue", "green", "white")]
        until(lambda: queued(client) == 4)
        assert client.get("/api/search?text=red").status_code == 503
        held.go.set()
        assert [each.result().status_code for each in waiting] == [200] * 3


@pytest.mark.slow
def test_health_metrics_and_pictures_are_answered_while_searches_wait_for_every_thread(index, paint_encoder):
    with busy_service(index, paint_encoder, QueueLimits(threads=1)) as (client, threads, held):
        waiting = [threads.submit(client.get, "/api/search?text=blue") for _ in range(5)]
        until(lambda: queued(client) == 6)
        for url in ("/health", "/metrics", "/api/info", "/api/thumbnails/3", "/api/images/3", "/"):
            assert client.get(url).status_code == 200
        held.go.set()
        assert [each.result().status_code for each in waiting] == [200] * 5


def test_a_request_whose_client_has_gone_is_dropped_from_the_queue(index, paint_encoder):
    held = Held(paint_encoder)
    app = create_app(index, paint_encoder)

    async def ask() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            first = asyncio.create_task(client.get("/api/search?text=red"))
            while not held.called.is_set():
                await asyncio.sleep(0.01)
            gone = asyncio.create_task(call_and_leave(app, "/api/search", b"text=green"))
            await gone
            held.go.set()
            assert (await first).status_code == 200
            assert (await client.get("/api/search?text=blue")).status_code == 200
            assert 'status="499"} 1' in (await client.get("/metrics")).text

    asyncio.run(ask())
    assert held.texts == ["red", "blue"]


async def call_and_leave(app, path: str, query: bytes) -> None:
    """A request whose client leaves as soon as it is sent."""
    messages = [{"type": "http.request", "body": b""}, {"type": "http.disconnect"}]

    async def receive():
        await asyncio.sleep(0.1)  # so that the request is in the queue when its client leaves
        return messages.pop(0)

    async def send(message):
        pass

    scope = {"type": "http", "method": "GET", "path": path, "query_string": query, "headers": [], "client": None}
    await app({**scope, "http_version": "1.1", "scheme": "http", "server": ("localhost", 80)}, receive, send)


def test_an_empty_queue_takes_a_request_of_any_size():
    async def ask() -> str:
        return await WorkQueue(QueueLimits(items=2)).run(Client(), 1000, lambda: "done")

    assert asyncio.run(ask()) == "done"


@pytest.mark.parametrize(("waiting", "admitted"), [(4, True), (6, False)])
def test_seconds_of_work_are_told_from_the_measured_rate(monkeypatch, waiting, admitted):
    now = [0.0]
    monkeypatch.setattr(queueing, "time", SimpleNamespace(monotonic=lambda: now[0]))

    async def ask() -> bool:
        queue = WorkQueue(QueueLimits(seconds=5))
        queue._items = queue._seconds = 0  # not guessed

        def work() -> None:
            now[0] += 2  # two items took two seconds

        await queue.run(Client(), 2, work)
        now[0] += 1000  # nobody asks: not counted
        await queue.run(Client(), 2, work)
        await asyncio.sleep(0)
        held = threading.Event()
        first = asyncio.create_task(queue.run(Client(), waiting, held.wait))
        await asyncio.sleep(0)
        assert queue.seconds_waiting == pytest.approx(waiting)
        try:
            second = asyncio.create_task(queue.run(Client(), 1, lambda: None))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if second.done():
                with pytest.raises(Busy) as error:
                    await second
                assert error.value.retry_after in (waiting, waiting + 1)  # rounded up
                return False
        finally:
            held.set()
        await asyncio.gather(first, second)
        return True

    assert asyncio.run(ask()) is admitted


def test_the_place_of_abandoned_and_failed_requests_is_free_again():
    async def ask() -> None:
        queue = WorkQueue(QueueLimits(items=1))
        client, held = Client(), threading.Event()
        running = asyncio.create_task(queue.run(client, 5, held.wait))
        await asyncio.sleep(0)
        assert queue.waiting == 5
        client.leave.set()
        with pytest.raises(Abandoned):
            await running
        assert queue.waiting == 5  # its thread still works on it
        held.set()
        while queue.waiting:
            await asyncio.sleep(0.01)
        with pytest.raises(ZeroDivisionError):
            await queue.run(Client(), 5, lambda: 1 // 0)
        await asyncio.sleep(0)
        assert queue.waiting == 0
        assert await queue.run(Client(), 5, lambda: "done") == "done"

    asyncio.run(ask())


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


class LeavesAtOnce(Client):
    """Its client leaves when the work has begun."""

    async def receive(self):
        await asyncio.to_thread(self.began.wait, LONG)
        return {"type": "http.disconnect"}


def read_until_stopped(index, limits, client) -> None:
    """Read from an index without end; the thread must be free again afterwards."""
    ended = threading.Event()

    def read() -> None:
        client.began.set()
        try:
            list(index.store.select(ENDLESS))
        finally:
            ended.set()

    try:
        asyncio.run(WorkQueue(limits).run(client, 1, read))
    finally:
        assert ended.wait(LONG)
        assert len(index.search("red")) == 10  # the connection serves others again


def test_a_reading_without_end_is_stopped_and_said_to_be_too_much(index):
    with pytest.raises(queueing.TooMuchWork, match=r"take longer than 0\.05 s"):
        read_until_stopped(index, QueueLimits(reading_seconds=0.05), Client())


def test_a_reading_stops_when_its_client_leaves(index):
    with pytest.raises(Abandoned):
        read_until_stopped(index, QueueLimits(), LeavesAtOnce())


def test_conditions_that_take_too_long_are_refused_and_others_answered(index, paint_encoder, monkeypatch):
    monkeypatch.setattr(database, "_ASKED_EVERY", 1)
    opened = Index.open(index.store.folder, paint_encoder)
    with TestClient(create_app(opened, limits=QueueLimits(reading_seconds=0))) as client:
        for path in ("/search?text=red&where=text=*é*b", "/listing?where=folder=*é*"):
            reply = client.get(path)
            assert reply.status_code == 400 and "use fewer or simpler ones" in reply.json()["error"]
        assert client.get("/rows?row=3").status_code == 200
