"""The limit of all bodies together, and the description of every route."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import anyio
import pytest
from fastapi.testclient import TestClient

from openalign.serve.app import create_app
from openalign.serve.protection import guard
from openalign.serve.protection.access import Access
from openalign.serve.protection.guard import Guard

LONG = 60
PAGE = {"/", "/favicon.ico", "/static"}


def test_bodies_that_together_are_too_large_are_refused_until_there_is_room(monkeypatch):
    monkeypatch.setattr(guard, "MAX_BODIES", 1000)
    held, go = Event(), Event()

    async def app(scope, receive, send) -> None:
        await receive()
        if scope["path"] == "/hold":
            held.set()
            while not go.is_set():
                await anyio.sleep(0.01)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    client = TestClient(Guard(app, Access()))
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(client.post, "/hold", content=b"x" * 900)
        assert held.wait(LONG)
        refused = client.post("/", content=b"x" * 200)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert client.post("/", content=b"x" * 90).status_code == 200
        go.set()
        assert first.result().status_code == 200
        assert client.post("/", content=b"x" * 900).status_code == 200


def test_every_route_is_described_with_its_answers_and_errors(index):
    app = create_app(index)
    described = TestClient(app).get("/openapi.json").json()["paths"]
    routes = {route.path for route in app.routes if route.path not in PAGE | {"/openapi.json"}}
    assert set(described) == routes
    assert {"/search", "/api/search", "/classify", "/embed", "/images/{row}", "/health", "/metrics"} <= routes
    for path, operations in described.items():
        for operation in operations.values():
            answers = operation["responses"]
            assert set(answers) - {"304"} == {"200", "4XX", "5XX"}
            assert operation["description"]
            problem = "OpenAIProblem" if path.startswith("/v1/") else "Problem"
            for status in ("4XX", "5XX"):
                (schema,) = (content["schema"] for content in answers[status]["content"].values())
                assert schema == {"$ref": f"#/components/schemas/{problem}"}
            assert all(content["schema"] for content in answers["200"]["content"].values())


@pytest.mark.parametrize(("method", "path"), [("get", "/search"), ("get", "/api/search")])
def test_the_limits_of_parameters_are_described(index, method, path):
    described = TestClient(create_app(index)).get("/openapi.json").json()["paths"][path][method]["parameters"]
    limits = {each["name"]: each["schema"] for each in described}
    assert limits["text"]["maxLength"] == limits["query"]["maxLength"] == limits["plus"]["items"]["maxLength"] == 1000
    assert (limits["plus"]["maxItems"], limits["top"]["maximum"]) == (16, 200)
