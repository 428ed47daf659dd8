"""Photos to vectors to Milvus to answers, by the commands and the service."""

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from openalign.commands.cli import app
from openalign.embedding.embed import embed
from openalign.search import Index
from openalign.serve.app import create_app

pytest.importorskip("pymilvus", reason="pymilvus is not installed")
pytest.importorskip("milvus_lite", reason="Milvus Lite is not installed")

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def texts_are_embedded() -> None:
    """By the real model here."""


@pytest.fixture(scope="module")
def embedded(road, tmp_path_factory):
    folder = tmp_path_factory.mktemp("embedded")
    for kept in ("thumbnails", "none"):
        embed(road.table, model=road.run / "model", to=folder / kept, workers=1, thumbnails=kept == "thumbnails")
    return folder


def run(*arguments) -> str:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_commands_take_an_address_where_they_take_a_folder(embedded, lite, tmp_path):
    for to in (lite, tmp_path / "photos.index"):
        run("index", embedded / "thumbnails", "--to", to)
    for options in (["a red wall"], ["a blue wall", "--where", "text=*red*"], ["red - blue", "--all"]):
        found, expected = (
            json.loads(run("search", to, *options, "--top", 24, "--json")) for to in (lite, tmp_path / "photos.index")
        )
        assert found["index"] == lite and found["nothing_matches"] == expected["nothing_matches"]
        hits = {hit["image"]: hit for hit in found["hits"]}
        for hit in expected["hits"]:
            name = Path(hit["image"]).name  # a collection knows no path
            assert hits.pop(name) == hit | {"image": name, "score": pytest.approx(hit["score"], abs=2e-4)}
        assert not hits
    assert "red" in run("search", lite, "a red wall", "--all")


@pytest.mark.parametrize("kept", ["thumbnails", "none"])
def test_the_service_shows_pictures_and_originals(embedded, lite, kept):
    index = Index.build(embedded / kept, to=lite)
    with TestClient(create_app(index)) as client:
        assert client.get("/info").json()["name"] == "photos" and client.get("/health").json()["rows"] == 24
        hits = client.get("/search", params={"text": "a red wall"}).json()["hits"]
        for hit in hits[:3]:
            assert client.get(hit["thumbnail"]).headers["content-type"] == "image/jpeg"
            assert client.get(hit["original"]).content == index.original(hit["row"])
        assert client.get("/rows/24").status_code == client.get("/thumbnails/99").status_code == 404
        again = client.get("/search", params={"row": hits[0]["row"]}).json()["hits"]
        assert hits[0]["row"] not in {hit["row"] for hit in again}


def test_a_thumbnail_without_its_original_is_grey(embedded, lite):
    index = Index.build(embedded / "none", to=lite)
    coloured = index.thumbnail(0)
    index.store.meta.sources[:] = ["/nowhere"]
    index.store._originals._opened.clear()
    assert index.thumbnail(0)[:2] == coloured[:2] and index.thumbnail(0) != coloured


def test_a_store_tells_that_a_later_run_has_ended(embedded, lite):
    first = Index.build(embedded / "none", to=lite)
    assert first.store.is_current
    assert len(Index.build([embedded / "none", embedded / "thumbnails"], to=lite)) == 24
    assert not first.store.is_current and first.store.opened_again().is_current


def test_a_server_that_is_gone_is_a_503_that_does_not_name_it(embedded, lite):
    index = Index.build(embedded / "none", to=lite)
    with TestClient(create_app(index)) as client:
        index.store._collection._client.drop_collection("photos")
        reply = client.get("/search", params={"text": "a red wall"})
        assert reply.status_code == 503 and "Milvus refuses a request" in reply.json()["error"]
        assert reply.json()["error"].startswith("photos: ") and "store.db" not in reply.text
        assert client.get("/health").status_code == 200
