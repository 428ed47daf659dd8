"""Clients that mean harm: many or slow ones, odd conditions and saved queries, and all that the description allows.

The fixture `victim` looks at the memory and the end of the service.
"""

import contextlib
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from tests.serve.victim import LONG, picture, refused

pytestmark = pytest.mark.slow
pytest_plugins = ["tests.serve.victim"]


def test_silent_and_slow_clients_do_not_keep_others_waiting(victim, client):
    heads = [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nX: a",
        b"POST /embed HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\na",
    ]
    with contextlib.ExitStack() as stack:
        for number in range(200):
            silent = stack.enter_context(socket.create_connection(("127.0.0.1", victim.port), timeout=LONG))
            silent.sendall(heads[number % len(heads)])
        for path in ("/health", "/search?text=boat", "/images/0"):
            assert client.get(path).status_code == 200


def test_five_hundred_at_once_are_answered_or_told_to_come_again(client):
    small, statuses = picture(600, 400, "JPEG"), Counter()

    def ask(number: int) -> None:
        if number % 2:
            reply = client.post("/search", files={"image": ("x.jpg", small)})
        else:
            reply = client.get(f"/search?text=boat+{number}")
        assert reply.status_code == 200 or int(reply.headers["retry-after"]) >= 1
        statuses[reply.status_code] += 1

    with ThreadPoolExecutor(500) as threads:
        asked = [threads.submit(ask, number) for number in range(500)]
        healthy = [client.get("/health").status_code for _ in range(5)]
        for each in asked:
            each.result(timeout=LONG)
    assert set(statuses) <= {200, 503} and statuses[200] > 0
    assert healthy == [200] * 5


def test_clients_that_leave_before_their_answer_cost_nothing_later(victim, client):
    request = b"GET /search?text=boat HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for _ in range(200):
        with socket.create_connection(("127.0.0.1", victim.port), timeout=LONG) as connection:
            connection.sendall(request)
    assert client.get("/search?text=boat").status_code == 200


@pytest.mark.parametrize(
    "where",
    [
        ["text=" + "*a" * 490 + "b"] * 16, ["image=*" + "?" * 980 + "b*"] * 16, ["folder=" + "*é*/" * 240 + "b"] * 16,
        ["region=" + "0,1," * 240 + "3"] * 16, ["region=" + "1,2," * 10_000 + "1"], ["region=nan"], ["region=inf,nan"],
        ["region=1e308,-1e308,-1e308,-1e308,0,1e308"], ["region=" + "9" * 900], ["near=0,0,1e308km"], ["near=nan,0,1m"],
        ["alike=99999999999999999999999"], ["duplicates>=1e400"], ["date=9999-99-99"], ["text=\0"], ["\0=\0"],
        ["width=" + "9" * 990], ["bytes>9e300GB"], ["fields.x=1"], ["=" * 900], ["text=[" * 200], ["label=*"] * 17,
        ["a" * 1001], ["text=*\u0301*"], ["'); DROP TABLE images; --=1"],
    ],
)  # fmt: skip
def test_odd_conditions_are_compared_or_refused(client, where):
    for path in ("/search", "/listing"):
        replies = [client.post(path, data={"query": "boat", "where": where})]
        if sum(map(len, where)) < 5000:
            replies.append(client.get(path, params={"where": where, "query": "boat"}))
        assert all(reply.status_code == 200 or refused(reply) for reply in replies), replies[0].text


SAVED = {"query": "boat"}


@pytest.mark.parametrize(
    "name",
    [
        "..%2f..%2fetc%2fpasswd", "%00", "a%00b", "..", "%2e%2e", "%ff", "%ed%a0%80", "x" * 101, "%e2%80%ae", "a%0ab",
        "con:", "%20", "a%20", "%5c..%5cx", "\ud55c".encode().hex(), "%F0%9F%91%A9%E2%80%8D", "'%20OR%201=1",
    ],
)  # fmt: skip
def test_names_of_saved_queries_are_names_or_refused(client, name):
    for method, body in (("GET", None), ("PUT", SAVED), ("GET", None), ("DELETE", None), ("DELETE", None)):
        reply = client.request(method, f"/saved/{name}", json=body)
        assert reply.status_code in (200, 307) or refused(reply), reply.text
    assert client.get("/saved").json()["saved"] == []


@pytest.mark.parametrize(
    "headers", [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}]
)
def test_pages_of_others_neither_save_nor_remove_queries(client, headers):
    assert client.put("/saved/mine", json=SAVED).status_code == 200
    for method, body in (("PUT", {"query": "theirs"}), ("DELETE", None)):
        assert client.request(method, "/saved/mine", json=body, headers=headers).status_code == 403
    # What a form of another page may send without being asked for leave.
    assert refused(client.post("/saved/mine", data=SAVED))
    assert client.get("/saved/mine").json()["query"] == "boat"
    assert client.delete("/saved/mine").status_code == 200


def test_saved_queries_have_a_bound_and_many_bodies_are_refused(client):
    for body in (b"[" * 100_000, b"{}", b'{"query": "\\ud800"}', b'{"query": "a", "where": ' + b"[" * 9000, b"\xff"):
        assert refused(client.put("/saved/x", content=body, headers={"content-type": "application/json"}))
    assert refused(client.put("/saved/x", json={"query": "a", "where": ["width>1"] * 17}))
    assert refused(client.put("/saved/x", json={"query": "img:/etc/passwd"}))
    assert client.get("/saved").json()["saved"] == []


@pytest.mark.parametrize("path", ["/facets", "/map", "/listing", "/saved", "/listing?query=boat&sort=-date"])
def test_many_who_ask_for_the_whole_collection_at_once_are_answered(client, path):
    with ThreadPoolExecutor(60) as threads:
        asked = [
            threads.submit(client.get, path, headers={"if-none-match": f'"{number}"' * 99}) for number in range(60)
        ]
        assert client.get("/health").status_code == 200
        assert {each.result(timeout=LONG).status_code for each in asked} <= {200, 404, 503}


def test_no_request_that_the_description_allows_or_forbids_fails(victim):
    """Requests made from `/openapi.json`, within its limits and beyond them."""
    schema = schemathesis.openapi.from_url(f"{victim.url}/openapi.json")
    operations = [each.ok() for each in schema.get_all_operations()]
    operations = [each for each in operations if not each.path.startswith("/api/")]  # the same once more
    assert len(operations) >= 10
    assert {"/listing", "/facets", "/map", "/saved", "/saved/{name}", "/rows"} <= {each.path for each in operations}
    for operation in operations:

        @given(case=operation.as_strategy())
        @settings(
            max_examples=10, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        def ask(case) -> None:
            reply = case.call(timeout=LONG)
            assert reply.status_code < 500 or reply.status_code == 503, reply.text

        ask()
