"""`/search` with several uploads, conditions, folding, orders and texts."""

import io

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from openalign.search import Index
from openalign.serve.app import create_app


@pytest.fixture(scope="module")
def client(shared_index):
    with TestClient(create_app(shared_index), raise_server_exceptions=False) as client:
        yield client


def words(reply) -> list[str]:
    assert reply.status_code == 200, reply.text
    return [hit["text"].split()[0] for hit in reply.json()["hits"]]


def colour(name: str) -> tuple[str, bytes]:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), name).save(file, "PNG")
    return name, file.getvalue()


def test_uploads_are_named_in_the_query_by_their_numbers(client):
    files = [("image", colour("red")), ("image", colour("blue"))]
    assert words(client.post("/search", files=files, data={"query": "img:1 + img:2", "top": 1})) == ["violet"]
    assert words(client.post("/search", files=files, data={"query": "0.01*img:1 + img:2", "top": 1})) == ["blue"]
    assert words(client.post("/search", files=files, data={"query": "img:1 - 0.5*img:2", "top": 1})) == ["red"]


def test_uploads_that_the_query_does_not_name_are_added(client):
    files = [("image", colour("red")), ("image", colour("blue"))]
    assert words(client.post("/search", files=files, data={"top": 1})) == ["violet"]
    assert words(client.post("/search", files=files, data={"query": "img:2", "top": 1})) == ["violet"]


@pytest.mark.parametrize("query", ["img:3", "img:0", "img:/etc/passwd", "img:01", "img:http://10.0.0.1/x.png"])
def test_an_image_that_was_not_sent_is_refused(client, query):
    reply = client.post("/search", files=[("image", colour("red"))], data={"query": query})
    assert reply.status_code == 400
    assert "the number of an image of the request, which has 1" in reply.json()["error"]


def test_a_request_without_uploads_names_none(client):
    assert client.get("/search", params={"query": "img:1"}).status_code == 400
    assert "which has 0" in client.post("/search", data={"query": "img:1"}).json()["error"]
    assert client.post("/search", files=[("image", colour("red"))] * 17).status_code == 422


def test_conditions_narrow_a_search(client):
    assert words(client.get("/search?text=red&where=text=blue*&where=width>150&top=3")) == ["blue"] * 3
    failed = client.get("/search?text=red&where=widht>1")
    assert failed.status_code == 400 and "nearest is `width`" in failed.json()["error"]


def test_matches_come_in_the_order_that_was_asked_for(client):
    names = [hit["image"] for hit in client.get("/search?text=red&sort=-name&top=5").json()["hits"]]
    assert names == sorted(names, reverse=True) and all("red" in name for name in names)
    assert "no image that matches has a date" in client.get("/search?text=red&sort=date").json()["note"].lower()
    assert client.get("/search?text=red").json()["note"] is None
    assert client.get("/search?text=red&sort=colour").status_code == 422


@pytest.fixture
def copies(tmp_path, paint_encoder):
    """Three copies of one picture in two sizes, and another picture; with vectors of their texts."""
    rows = ["file,text"]
    for seed, name, size in ((1, "a", 200), (1, "b", 120), (1, "c", 90), (2, "d", 200)):
        noise = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), np.uint8)
        path = tmp_path / "photos" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(noise).resize((size, size), Image.Resampling.BICUBIC).save(path)
        rows.append(f"{name}.png,{'red' if name < 'c' else 'blue'}")
    (tmp_path / "photos" / "pairs.csv").write_text("\n".join(rows) + "\n")
    index = Index.build(tmp_path / "photos", model=paint_encoder, to=tmp_path / "i", embed_texts=True)
    return TestClient(create_app(index))


def test_near_duplicates_are_folded_unless_asked_otherwise_and_can_be_listed(copies):
    hits = copies.get("/search?text=red").json()["hits"]
    assert sorted(hit["alike"] for hit in hits) == [0, 2]
    assert len(copies.get("/search?text=red&fold=false").json()["hits"]) == 4
    row = max(hits, key=lambda hit: hit["alike"])["row"]
    alike = copies.get(f"/alike/{row}").json()["images"]
    assert sorted([row, *(image["row"] for image in alike)]) == [0, 1, 2]
    assert len(copies.get(f"/search?text=red&where=alike={row}").json()["hits"]) == 3
    assert copies.get("/alike/9").status_code == 404


def test_texts_are_searched_on_request(copies):
    hits = copies.get("/search?text=blue&against=text").json()["hits"]
    assert [(hit["caption"], hit["alike"]) for hit in hits] == [("blue", 1), ("red", 1)]
    both = copies.get("/search?text=blue&against=both&fold=false").json()["hits"]
    assert len(both) == 4 and {hit["row"] for hit in both if hit["caption"] == "blue"} <= {2, 3}
    assert all(hit["caption"] is None for hit in copies.get("/search?text=blue").json()["hits"])


def test_an_index_without_vectors_of_texts_says_so(client):
    failed = client.get("/search?text=red&against=text")
    assert failed.status_code == 400 and "have no vectors" in failed.json()["error"]
