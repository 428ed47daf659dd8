"""A service whose index is damaged while it runs, or asked for what ends other services: it answers on."""

import contextlib
import os
import shutil
import sqlite3
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient

from openalign.errors import OpenAlignError
from openalign.search import Index, run
from openalign.serve.app import create_app


@pytest.fixture
def with_graph(index, tmp_path, paint_encoder, monkeypatch) -> Path:
    monkeypatch.setattr(run, "EXACT_BELOW", 10)
    Index.build([tmp_path / "photos"], model=paint_encoder, to=tmp_path / "graph.index")
    return tmp_path / "graph.index"


def serve(folder: Path, model) -> TestClient:
    return TestClient(create_app(Index.open(folder, model), model), raise_server_exceptions=False)


def cut(path: Path) -> None:
    os.truncate(path, 10)


def assert_damaged(reply, name: str) -> None:
    assert reply.status_code == 503, reply.text
    assert list(reply.json()) == ["error"]
    assert name in reply.json()["error"]
    assert "Traceback" not in reply.text


def test_vectors_truncated_under_the_service_give_an_error_and_the_rest_works(with_graph, paint_encoder):
    with serve(with_graph, paint_encoder) as client:
        assert client.get("/api/search?text=red").status_code == 200
        cut(with_graph / "vectors.1.f16")
        assert_damaged(client.get("/api/search?text=red"), "vectors.1.f16")
        assert_damaged(client.get("/api/search?row=3"), "vectors.1.f16")
        for url in ("/health", "/api/info", "/api/rows/3", "/api/thumbnails/3", "/api/images/3", "/"):
            assert client.get(url).status_code == 200


def test_a_graph_truncated_under_the_service_changes_nothing(with_graph, paint_encoder):
    with serve(with_graph, paint_encoder) as client:
        before = client.get("/api/search?text=red").json()["hits"]
        cut(with_graph / "graph.1.48.usearch")
        assert client.get("/api/search?text=red").json()["hits"] == before


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 10, 4096, 5000])
def test_a_table_truncated_under_the_service_gives_an_error(index, paint_encoder, size):
    folder = index.store.folder
    with serve(folder, paint_encoder) as client:
        os.truncate(folder / "rows.sqlite", size)
        for url in ("/api/search?text=red", "/api/rows/3", "/api/thumbnails/3", "/api/images/3", "/api/browse"):
            assert_damaged(client.get(url), "rows.sqlite")
        assert_damaged(client.post("/api/classify", data={"row": 3, "labels": ["red"]}), "rows.sqlite")
        assert client.get("/health").status_code == client.get("/api/info").status_code == 200


def test_a_table_overwritten_under_the_service_returns_no_wrong_row(index, paint_encoder):
    folder = index.store.folder
    with serve(folder, paint_encoder) as client:
        content = (folder / "rows.sqlite").read_bytes()
        with (folder / "rows.sqlite").open("r+b") as file:
            file.write(content.replace(b"blue paint", b"BLUE PAINT"))
        assert_damaged(client.get("/api/search?text=blue"), "has changed since it was written")


def test_a_service_works_after_its_index_is_deleted(index, paint_encoder):
    with serve(index.store.folder, paint_encoder) as client:
        shutil.rmtree(index.store.folder)
        for url in ("/api/search?text=red", "/api/rows/3", "/api/thumbnails/3", "/api/images/3"):
            assert client.get(url).status_code == 200


def test_two_services_can_serve_one_index(index, paint_encoder):
    with serve(index.store.folder, paint_encoder) as one, serve(index.store.folder, paint_encoder) as other:
        replies = [client.get("/api/search?text=red").json()["hits"] for client in (one, other, one)]
        assert replies[0] == replies[1] == replies[2]


def test_a_vector_that_is_not_finite_gives_an_error(index, paint_encoder):
    path = index.store.folder / "vectors.1.f16"
    vectors = np.fromfile(path, np.float16)
    vectors[9] = np.nan
    vectors.tofile(path)
    with contextlib.closing(sqlite3.connect(path.parent / "rows.sqlite")) as table:
        table.execute("UPDATE blocks SET crc = ?", (zlib.crc32(vectors.tobytes()),))
        table.commit()
    with serve(path.parent, paint_encoder) as client:
        assert_damaged(client.get("/api/search?text=red&top=48"), "the vector of row 3 is not finite")


def test_search_works_without_the_sources(index, paint_encoder, tmp_path):
    with serve(index.store.folder, paint_encoder) as client:
        shutil.rmtree(tmp_path / "photos")
        reply = client.get("/api/images/3")
        assert (reply.status_code, list(reply.json())) == (400, ["error"])
        assert "does not exist" in reply.json()["error"]
        assert client.get("/api/thumbnails/3").status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("failure", [MemoryError(), OSError(28, "No space left on device"), RecursionError()])
def test_a_failed_request_does_not_affect_the_next(index, paint_encoder, failure, monkeypatch):
    with serve(index.store.folder, paint_encoder) as client:
        whole = paint_encoder._embed_text_batch

        def fail(texts):
            raise failure

        monkeypatch.setattr(paint_encoder, "_embed_text_batch", fail)
        reply = client.get("/api/search?text=red")
        assert (reply.status_code, list(reply.json())) == (500, ["error"])
        monkeypatch.setattr(paint_encoder, "_embed_text_batch", whole)
        assert client.get("/api/search?text=red").status_code == 200


def test_a_model_without_finite_vectors_gives_an_error(index, paint_encoder, monkeypatch):
    original = index.original(0)
    monkeypatch.setattr(paint_encoder, "_embed_prepared", lambda images: torch.full((len(images), 3), torch.nan))
    with serve(index.store.folder, paint_encoder) as client:
        for url, data in (("/api/search", {}), ("/api/classify", {"labels": ["red", "blue"]})):
            reply = client.post(url, data=data, files={"image": ("x.png", original)})
            assert (reply.status_code, list(reply.json())) == (400, ["error"])
            assert "finite" in reply.json()["error"]


def test_credits_that_are_not_text_are_named(index):
    (index.store.folder / "CREDITS").write_bytes(b"painted by \xff")
    with pytest.raises(OpenAlignError, match=r"CREDITS is not UTF-8 at byte 11"):
        create_app(index)
