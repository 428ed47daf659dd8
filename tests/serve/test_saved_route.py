import pytest
from fastapi.testclient import TestClient

from openalign.serve.app import create_app
from openalign.serve.protection.access import Access

QUERY = {"query": "2*red - blue", "where": ["width>=10"], "sort": "-date", "against": "image", "fold": False}


@pytest.fixture(scope="module")
def client(shared_index):
    return TestClient(create_app(shared_index, whole_paths=True), raise_server_exceptions=False)


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_a_query_is_saved_read_listed_and_removed(client, prefix):
    put = client.put(f"{prefix}/saved/red things", json=QUERY)
    assert put.status_code == 200 and put.json() == {"name": "red things", **QUERY}
    assert client.get(f"{prefix}/saved/red%20things").json() == put.json()
    assert client.get(f"{prefix}/saved").json() == {"saved": [put.json()], "writable": True}
    assert client.delete(f"{prefix}/saved/red things").json() == put.json()
    assert client.get(f"{prefix}/saved").json()["saved"] == []


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
    assert client.get("/saved").json() == {"saved": [], "writable": False}
    with_key = TestClient(create_app(index, access=Access(key="change-me-0123")))
    assert with_key.put("/saved/x", json=QUERY).status_code == 401
    headers = {"x-api-key": "change-me-0123"}
    assert with_key.put("/saved/x", json=QUERY, headers=headers).status_code == 200


def test_a_page_of_another_host_saves_nothing(index):
    client = TestClient(create_app(index, access=Access({"testserver"}), whole_paths=True))
    assert client.put("/saved/x", json=QUERY, headers={"origin": "https://evil.example"}).status_code == 403
    assert client.put("/saved/x", json=QUERY, headers={"origin": "http://testserver"}).status_code == 200
