"""`GET /map`: the points in bytes, kept by clients until they change; and searches within a region."""

import json
import struct

import numpy as np
import pytest

from openalign.search import Index

pytest.importorskip("fastapi", reason="needs the serve extra")
from fastapi.testclient import TestClient

from openalign.serve.app import create_app


@pytest.fixture
def mapped(index, tmp_path, paint_encoder) -> Index:
    return Index.build(tmp_path / "photos", model=paint_encoder, to=tmp_path / "paint.index")


def decoded(body: bytes):
    (length,) = struct.unpack_from("<I", body)
    about = json.loads(body[4 : 4 + length])
    count, at = about["count"], 4 + length
    assert at % 4 == 0
    rows = np.frombuffer(body, "<u4", count, at)
    x, y, cluster = np.frombuffer(body, "<u2", 3 * count, at + 4 * count).reshape(3, count)
    return about, rows, np.stack([x, y], 1) * about["step"] + about["low"], cluster


def test_the_map_has_every_image_with_its_place_and_cluster(mapped):
    with TestClient(create_app(mapped), base_url="http://localhost") as client:
        assert client.get("/info").json()["has_map"]
        about, rows, at, cluster = decoded(client.get("/map").content)
    assert rows.tolist() == mapped.map.rows_N.tolist() == list(range(48))
    assert np.abs(at - mapped.map.at_N2).max() <= about["step"]
    assert [each["name"] for each in about["clusters"]] == [each.name for each in mapped.map.clusters]
    assert np.array_equal(np.where(cluster == 65_535, -1, cluster.astype(int)), mapped.map.cluster_N)


def test_a_hundred_thousand_points_are_at_most_a_megabyte_and_a_half():
    from openalign.search.map.file import MapContent
    from openalign.search.map.opened import OpenedMap
    from openalign.serve.routes.map import encoded

    count = 100_000
    at = np.random.default_rng(0).normal(size=(count, 2)).astype(np.float32)
    rows, cluster = np.arange(count), np.zeros(count, np.int32)
    content = MapContent(rows, at, cluster, np.ones(count, bool), ())
    assert len(encoded(OpenedMap(rows, at, cluster, (), "v", content))) < 1_500_000


@pytest.mark.slow
def test_a_client_that_has_the_map_gets_it_again_only_when_it_changed(mapped, tmp_path, paint, paint_encoder):
    app = create_app(mapped)
    with TestClient(app, base_url="http://localhost") as client:
        tag = client.get("/map").headers["etag"]
        again = client.get("/map", headers={"if-none-match": tag})
        assert (again.status_code, again.content) == (304, b"")
        assert client.get("/map", headers={"if-none-match": '"other"'}).status_code == 200
    path = paint(tmp_path / "photos" / "new.png", "red", (99, 98))
    with (path.parent / "pairs.csv").open("a") as table:
        table.write("new.png,new,\n")
    changed = Index.build(tmp_path / "photos", model=paint_encoder, to=tmp_path / "paint.index")
    with TestClient(create_app(changed), base_url="http://localhost") as client:
        answer = client.get("/map", headers={"if-none-match": tag})
        assert answer.status_code == 200
        assert decoded(answer.content)[0]["count"] == 49


def test_an_index_without_a_map_says_so(index):
    with TestClient(create_app(index), base_url="http://localhost") as client:
        assert not client.get("/info").json()["has_map"]
        answer = client.get("/map")
        assert (answer.status_code, "no map" in answer.json()["error"]) == (404, True)
        assert client.get("/listing", params={"where": "region=0"}).status_code == 400


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/search?query=red&top=60&fold=false&", "/listing?fold=false&"])
def test_answers_within_a_region_are_the_images_there(mapped, path):
    x, y = np.median(mapped.map.at_N2, axis=0).tolist()
    region = f"region={x - 99},{y - 99},{x},{y - 99},{x},{y + 99},{x - 99},{y + 99}"
    expected = mapped.store.matching([region]).tolist()
    assert 0 < len(expected) < 48
    with TestClient(create_app(mapped), base_url="http://localhost") as client:
        answer = client.get(f"{path}where={region}").json()
    assert sorted(answer["rows"] if "rows" in answer else [hit["row"] for hit in answer["hits"]]) == expected
