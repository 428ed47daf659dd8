"""Who is answered: names, origins, keys, rates."""

import re
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from openalign.errors import UsageError
from openalign.serve.app import _hosts, create_app, serve
from openalign.serve.protection import access
from openalign.serve.protection.access import LOCAL_NAMES, Access

KEY = "a key of this test"[::2].replace(" ", "-") + "-0123456789"


def client_of(index, given: Access, base: str = "http://localhost:8000") -> TestClient:
    return TestClient(create_app(index, access=given), base_url=base, raise_server_exceptions=False)


@pytest.fixture(scope="module")
def asked(shared_index) -> Callable[..., TestClient]:
    """`asked(hosts, **options)`: a client of the service with that `Access`, which keeps nothing between requests."""
    made: dict[str, TestClient] = {}

    def client(hosts=None, **options) -> TestClient:
        asked_for = str((hosts and sorted(hosts), options))
        if asked_for not in made:
            made[asked_for] = client_of(shared_index, Access(hosts, **options))
        return made[asked_for]

    return client


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("photos.example", 200),
        ("PHOTOS.example:8443", 200),
        ("localhost:1", 200),
        ("other.example", 421),
        ("photos.example.evil.example", 421),
        ("photos.example@evil.example", 421),
        ("192.0.2.7", 421),
        ("", 421),
    ],
)
def test_the_names_of_allow_host_are_accepted_beside_the_local_ones(asked, host, status):
    client = asked(_hosts("127.0.0.1", ["Photos.example"], local=True))
    assert client.get("/api/info", headers={"host": host}).status_code == status


@pytest.mark.parametrize(
    ("host", "status"), [("192.0.2.7:8000", 200), ("[2001:db8::1]:80", 200), ("rebound.example", 421), ("1.2.3", 421)]
)
def test_a_service_of_the_network_is_asked_by_address_but_by_no_unknown_name(asked, host, status):
    client = asked(_hosts("0.0.0.0", [], local=False), addresses=True)
    assert client.get("/api/info", headers={"host": host}).status_code == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://192.0.2.7:8000", 200), ("http://192.0.2.8:8000", 403), ("https://a.example", 403), ("null", 403)],
)
def test_only_the_page_of_the_same_address_may_ask_a_service_of_the_network(asked, origin, status):
    client = asked(_hosts("0.0.0.0", [], local=False), addresses=True)
    headers = {"host": "192.0.2.7:8000", "origin": origin}
    assert client.get("/api/search?text=red", headers=headers).status_code == status


@pytest.mark.parametrize(
    ("path", "site", "status"),
    [
        ("/api/images/3", "cross-site", 403),
        ("/api/thumbnails/3", "cross-site", 403),
        ("/static/page.js", "cross-site", 403),
        ("/api/search?text=red", "cross-site", 403),
        ("/", "cross-site", 200),
        ("/api/images/3", "same-origin", 200),
        ("/api/images/3", "none", 200),
    ],
)
def test_pages_of_other_sites_load_nothing_but_may_link_to_the_page(asked, path, site, status):
    reply = asked(LOCAL_NAMES).get(path, headers={"sec-fetch-site": site})
    assert reply.status_code == status
    assert reply.headers["cross-origin-resource-policy"] == "same-origin"
    assert reply.headers["cross-origin-opener-policy"] == "same-origin"


def test_a_star_allows_every_name_and_every_page(index):
    client = client_of(index, Access(_hosts("127.0.0.1", ["*"], local=True)))
    headers = {"host": "a.example", "origin": "https://b.example", "sec-fetch-site": "cross-site"}
    assert client.get("/api/info", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": f"Bearer {KEY}"}, 200),
        ({"authorization": f"bearer  {KEY}"}, 200),
        ({"x-api-key": KEY}, 200),
        ({"authorization": f"Bearer {KEY}x"}, 401),
        ({"authorization": f"Bearer {KEY[:-1]}"}, 401),
        ({"authorization": f"Basic {KEY}"}, 401),
        ({"authorization": KEY}, 401),
        ({"authorization": "Bearer"}, 401),
        ({"x-api-key": ""}, 401),
        ({"x-api-key": KEY.upper()}, 401),
        ({"x-api-key": "\u00e9".encode("latin-1")}, 401),
        ({"x-api-key": "wrong", "authorization": f"Bearer {KEY}"}, 401),
    ],
)
def test_with_a_key_only_requests_that_have_it_are_answered(asked, headers, status):
    client = asked(key=KEY)
    for path in ("/api/search?text=red", "/search?text=red", "/metrics", "/openapi.json", "/api/rows/3", "/v1/models"):
        reply = client.get(path, headers=headers)
        assert reply.status_code == status, path
        assert status == 200 or reply.headers["www-authenticate"].startswith("Bearer")
    for path in ("/health", "/", "/static/page.js", "/favicon.ico"):
        assert client.get(path, headers=headers).status_code == 200
    assert client.get("/api/images/3").status_code == 401


def test_images_are_loaded_without_the_key_by_the_urls_of_answers_only(index):
    client = client_of(index, Access(key=KEY))
    hits = client.get("/api/search?text=blue&top=2", headers={"x-api-key": KEY}).json()["hits"]
    for hit in hits:
        assert client.get(hit["thumbnail"]).status_code == client.get(hit["original"]).status_code == 200
        assert KEY not in hit["thumbnail"]
    one, other = (hit["thumbnail"] for hit in hits)
    changed = [
        re.sub(r"thumbnails/\d+", f"thumbnails/{hits[1]['row']}", one),
        re.sub("v=[0-9a-f]+", "v=00000000", one),
        one[:-1] + ("0" if one[-1] != "0" else "1"),
        one.partition("&s=")[0],
        one.replace("/api/thumbnails/", "/api/rows/"),
        one.partition("?")[0] + "?" + other.partition("?")[2],
    ]
    assert [client.get(url).status_code for url in changed] == [401] * len(changed)
    assert client.post(one).status_code == 401


def test_the_url_of_an_image_that_is_another_one_now_shows_nothing(index):
    client = client_of(index, Access())
    assert client.get("/api/thumbnails/3?v=00000000").status_code == 404
    assert client.get("/api/images/3?v=00000000").status_code == 404


@pytest.mark.parametrize("key", ["", "short", "eight of it", "schl\u00fcsselschl\u00fcssel", "tab\there-and-there"])
def test_a_key_that_headers_cannot_carry_or_anyone_guesses_is_refused(tmp_path, key):
    with pytest.raises(UsageError, match="OPENALIGN_API_KEY"):
        serve(tmp_path, port=0, key=key)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_rate_that_admits_nobody_or_everybody_is_refused(tmp_path, rate):
    with pytest.raises(UsageError, match="--rate"):
        serve(tmp_path, port=0, rate=rate)


def test_a_client_that_asks_too_often_is_told_when_to_come_again(index, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(access.time, "monotonic", lambda: now[0])
    limited = Access(rate=2)

    def refused(address: str, path: str = "/search") -> str | None:
        refusal = limited.refusal({"headers": [], "path": path, "method": "GET", "client": (address, 1)})
        return refusal and refusal.headers["retry-after"]

    assert [refused("192.0.2.1") for _ in range(11)] == [None] * 10 + ["1"]
    assert refused("192.0.2.2") is None
    assert refused("192.0.2.1", "/health") is refused("192.0.2.1", "/api/thumbnails/3") is None
    for path in ("/api/search", "/listing", "/api/listing", "/v1/embeddings"):
        assert refused("192.0.2.1", path) == "1"
    now[0] += 0.5
    assert [refused("192.0.2.1"), refused("192.0.2.1")] == [None, "1"]
    assert [refused(f"2001:db8::{n:x}") for n in range(11)] == [None] * 10 + ["1"]  # one household


def test_clients_of_the_rate_are_forgotten_oldest_first(monkeypatch):
    monkeypatch.setattr(access, "_MOST_CLIENTS", 3)
    limited = Access(rate=0.001)
    for address in ("a", "b", "c", "d"):
        limited.refusal({"headers": [], "path": "/search", "method": "GET", "client": (address, 1)})
    assert list(limited._rate._buckets) == ["b", "c", "d"]


def test_a_rate_is_answered_with_429(index):
    client = client_of(index, Access(rate=0.2))
    replies = [client.get("/api/search?text=red") for _ in range(2)]
    assert [reply.status_code for reply in replies] == [200, 429]
    assert 1 <= int(replies[1].headers["retry-after"]) <= 5
    assert "0.2 requests a second" in replies[1].json()["error"]
