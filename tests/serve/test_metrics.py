"""`/metrics`: what Prometheus reads is what the service did."""

import re

import pytest
from fastapi.testclient import TestClient

from openalign.serve.app import create_app

SAMPLE = re.compile(r'([a-z_]+)((?:\{[a-z_]+="[^"]*"(?:,[a-z_]+="[^"]*")*\})?) (\S+)')


@pytest.fixture
def client(index):
    with TestClient(create_app(index), raise_server_exceptions=False) as client:
        yield client


def samples(client) -> dict[str, float]:
    reply = client.get("/metrics")
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = {}
    for line in reply.text.splitlines():
        if not line.startswith(("# HELP ", "# TYPE ")):
            name, labels, value = SAMPLE.fullmatch(line).groups()
            assert name + labels not in found
            found[name + labels] = float(value)
    return found


def test_requests_are_counted_by_method_route_and_status(client):
    for url in ("/api/rows/3", "/api/rows/4", "/api/rows/99", "/no/such/path", "/static/page.js", "/api/search?top=0"):
        client.get(url)
    client.request("BREW", "/health")
    found = samples(client)
    count = 'openalign_requests_total{method="%s",route="%s",status="%d"}'
    assert found[count % ("GET", "/api/rows/{row}", 200)] == 2
    assert found[count % ("GET", "/api/rows/{row}", 404)] == 1
    assert found[count % ("GET", "other", 404)] == 1
    assert found[count % ("GET", "/static", 200)] == 1
    assert found[count % ("GET", "/api/search", 422)] == 1
    assert found[count % ("other", "/health", 405)] == 1


def test_paths_and_methods_that_a_client_makes_up_add_no_series(client):
    def make_up(number: int) -> int:
        client.request(f"M{number}", f"/made/up/{number}")
        client.get(f'/static/{number}"}} 1')
        samples(client)
        return len(samples(client))

    assert make_up(1) == make_up(2) == make_up(3)


def test_histograms_count_up_to_the_number_of_requests(client):
    for _ in range(3):
        client.get("/api/search?text=red&plus=blue")
    found = samples(client)
    buckets = [value for name, value in found.items() if 'request_seconds_bucket{route="/api/search"' in name]
    assert buckets == sorted(buckets)
    assert buckets[-1] == found['openalign_request_seconds_count{route="/api/search"}'] == 3
    assert found['openalign_batch_items_sum{kind="text"}'] == 6
    assert found['openalign_batch_items_bucket{kind="text",le="1"}'] == 0
    assert found['openalign_batch_items_bucket{kind="text",le="2"}'] == 3
    assert found["openalign_queue_items"] == 0
    assert found["openalign_index_rows"] == 48


def test_embedded_images_are_counted(client, index):
    client.post("/embed", files=[("images", ("x", index.original(0)))] * 3)
    assert samples(client)['openalign_batch_items_sum{kind="image"}'] == 3
