"""The limit of all bodies together, and the description of every route."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import anyio
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
    assert set(described) == {route for route in routes if not route.startswith("/api/")}
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


def test_every_operation_has_a_name_and_every_parameter_a_description(index):
    described = TestClient(create_app(index)).get("/openapi.json").json()
    operations = [each for methods in described["paths"].values() for each in methods.values()]
    names = [each["operationId"] for each in operations]
    assert len(set(names)) == len(names) and all(name.isidentifier() for name in names)
    assert all(each.get("description") for operation in operations for each in operation.get("parameters", ()))
    forms = [described["components"]["schemas"][name]["properties"] for name in ("SearchForm", "ListingForm")]
    assert all(field.get("description") for form in forms for field in form.values())
    assert "/search?text=" in described["info"]["description"]
    assert "securitySchemes" not in described["components"]


def test_a_key_is_described_where_there_is_one(index):
    client = TestClient(create_app(index, access=Access(key="change-me-0123")), headers={"x-api-key": "change-me-0123"})
    described = client.get("/openapi.json").json()
    (scheme,) = described["components"]["securitySchemes"].values()
    assert (scheme["type"], scheme["in"], scheme["name"].lower()) == ("apiKey", "header", "x-api-key")
    assert described["paths"]["/search"]["get"]["security"]
    assert client.get("/search?text=red").status_code == 200


def test_the_limits_of_parameters_are_described(index):
    described = TestClient(create_app(index)).get("/openapi.json").json()["paths"]["/search"]["get"]["parameters"]
    limits = {each["name"]: each["schema"] for each in described}
    assert limits["text"]["maxLength"] == limits["query"]["maxLength"] == limits["plus"]["items"]["maxLength"] == 1000
    assert (limits["plus"]["maxItems"], limits["top"]["maximum"]) == (16, 200)
