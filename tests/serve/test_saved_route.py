from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from openalign.search.results import saved
from openalign.serve.app import create_app
from openalign.serve.protection.access import Access

QUERY = {"query": "2*red - blue", "where": ["width>=10"], "sort": "-date", "against": "image", "fold": False}


@pytest.fixture(scope="module")
def app(shared_index):
    return create_app(shared_index, whole_paths=True)


@pytest.fixture
def client(app, shared_index):
    yield TestClient(app, raise_server_exceptions=False)
    for name in shared_index.saved.all():
        shared_index.saved.remove(name)


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_a_query_is_saved_read_listed_and_removed(client, prefix):
    put = client.put(f"{prefix}/saved/red things", json=QUERY)
    assert put.status_code == 200 and put.json() == {"name": "red things", **QUERY}
    assert client.get(f"{prefix}/saved/red%20things").json() == put.json()
    alone = {"saved": [put.json()], "next": None, "total": 1, "full": False, "writable": True}
    assert client.get(f"{prefix}/saved").json() == alone
    assert client.delete(f"{prefix}/saved/red things").json() == put.json()
    assert client.get(f"{prefix}/saved").json()["saved"] == []


def test_saved_queries_are_listed_by_pages(client, monkeypatch):
    names = ["A", "b", "B", "c", "Ça va", "z & a + b"]
    for name in names:
        assert client.put(f"/saved/{quote(name)}", json={"query": "red"}).status_code == 200
    found, after = [], ""
    for _ in range(4):
        page = client.get("/saved", params={"after": after, "count": 2}).json()
        assert page["total"] == 6 and len(page["saved"]) == 2
        found += [each["name"] for each in page["saved"]]
        after = page["next"]
        if after is None:
            break
    assert sorted(found) == sorted(names) and found[-1] == "Ça va"
    assert client.get("/saved", params={"after": "zz"}).json()["saved"][0]["name"] == "Ça va"
    for params in ({"count": 0}, {"count": 201}, {"after": "x" * 101}):
        assert client.get("/saved", params=params).status_code == 422


def test_a_full_index_says_so_and_takes_no_other_name(client, monkeypatch):
    monkeypatch.setattr(saved, "MOST", 2)
    for name, full in (("a", False), ("b", True), ("a", True)):
        assert client.put(f"/saved/{name}", json={"query": "red"}).status_code == 200
        assert client.get("/saved").json()["full"] is full
    refused = client.put("/saved/c", json={"query": "red"})
    assert refused.status_code == 400 and "which is the most" in refused.json()["error"]


@pytest.mark.parametrize("method", ["get", "delete"])
def test_a_query_that_is_not_saved_is_404(client, method):
    reply = getattr(client, method)("/saved/none")
    assert reply.status_code == 404 and "No query is saved as 'none'" in reply.json()["error"]


@pytest.mark.parametrize(
    ("name", "changes", "status"),
    [
        ("x", {"query": "img:/etc/passwd"}, 400),
        ("x", {"query": ""}, 422),
        ("x", {"query": "red", "where": ["widht>1"]}, 400),
        ("x", {"query": "red", "sort": "colour"}, 422),
        ("x", {"query": "red", "extra": 1}, 422),
        ("x" * 101, {"query": "red"}, 422),
        ("%20", {"query": "red"}, 400),
        ("x", {"query": "r" * 1001}, 422),
    ],
)
def test_what_cannot_be_asked_is_not_saved(client, name, changes, status):
    assert client.put(f"/saved/{name}", json=changes).status_code == status
    assert client.get("/saved").json()["saved"] == []


def test_a_service_of_the_network_saves_only_with_its_key(index):
    client = TestClient(create_app(index))
    assert client.put("/saved/x", json=QUERY).status_code == client.delete("/saved/x").status_code == 403
    nothing = {"saved": [], "next": None, "total": 0, "full": False, "writable": False}
    assert client.get("/saved").json() == nothing
    with_key = TestClient(create_app(index, access=Access(key="change-me-0123")))
    assert with_key.put("/saved/x", json=QUERY).status_code == 401
    headers = {"x-api-key": "change-me-0123"}
    assert with_key.put("/saved/x", json=QUERY, headers=headers).status_code == 200


def test_a_page_of_another_host_saves_nothing(index):
    client = TestClient(create_app(index, access=Access({"testserver"}), whole_paths=True))
    assert client.put("/saved/x", json=QUERY, headers={"origin": "https://evil.example"}).status_code == 403
    assert client.put("/saved/x", json=QUERY, headers={"origin": "http://testserver"}).status_code == 200
