"""The routes that filters and long results need."""

import pytest
from fastapi.testclient import TestClient

from openalign.search import Index
from openalign.serve.app import create_app


@pytest.fixture(scope="module")
def client(shared_index):
    with TestClient(create_app(shared_index)) as client:
        yield client


def test_a_listing_has_every_image_once_and_rows_tell_the_rest(client):
    found = client.get("/listing", params={"query": "blue", "fold": False}).json()
    assert sorted(found["rows"]) == list(range(48))
    assert len(found["ratios"]) == len(found["scores"]) == 48
    assert found["scores"] == sorted(found["scores"], reverse=True)
    assert 8 <= found["within"] < 48
    pictures = client.get("/rows", params={"row": found["rows"][:3]}).json()["images"]
    assert [each["row"] for each in pictures] == found["rows"][:3]
    assert all(each["text"].startswith("blue") for each in pictures)


def test_conditions_narrow_a_search_and_a_listing_alike(client):
    params = {"query": "blue", "where": ["width<150", "image=*blue*"], "fold": False}
    searched = [hit["row"] for hit in client.get("/search", params=params).json()["hits"]]
    assert client.get("/listing", params=params).json()["rows"] == searched
    assert 0 < len(searched) < 8
    assert client.get("/listing", params={"where": "width<0"}).json() | {"milliseconds": 0} == {
        "rows": [], "ratios": [], "scores": None, "alike": [], "within": None, "note": None, "milliseconds": 0,
    }  # fmt: skip


def test_an_uploaded_image_orders_a_listing(client, index):
    image = index.original(5)
    found = client.post(
        "/listing", files={"image": image}, data={"where": "width>0", "sort": "score", "fold": False}
    ).json()
    assert all(index.row(row).text.startswith("white") for row in found["rows"][:7])
    assert found["scores"][0] == pytest.approx(1, abs=1e-2)


@pytest.mark.parametrize(
    ("path", "params", "status"),
    [
        ("/listing", {"where": "widht>3"}, 400),
        ("/listing", {"sort": "colour"}, 422),
        ("/listing", {"query": "red", "against": "caption"}, 422),
        ("/listing", {"query": "red", "against": "text"}, 400),  # the texts have no vectors
        ("/listing", {"where": ["width>1"] * 17}, 422),
        ("/listing", {"query": "red", "top": 5}, 422),
        ("/search", {"query": "red", "agianst": "text"}, 422),
        ("/rows", {"row": 48}, 404),
        ("/rows", {"row": -1}, 422),
        ("/rows", {"row": [0] * 201}, 422),
    ],
)
def test_what_cannot_be_listed_is_told(client, path, params, status):
    answer = client.get(path, params=params)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])


def test_what_is_not_known_is_named_in_an_address_and_in_a_form(client, shared_index):
    for path, name in (("/search", "limit"), ("/listing", "text")):
        told = f"{name}: is not known."
        assert client.get(path, params={"query": "red", name: "5"}).json() == {"error": told}
        answer = client.post(path, files={"image": shared_index.original(5)}, data={name: "5"})
        assert (answer.status_code, answer.json()) == (422, {"error": told})


def test_a_form_takes_what_an_address_does(client):
    params = {"plus": ["red", "line"], "minus": "blue", "row": 3, "where": "width>0", "fold": False, "sort": "-name"}
    for path in ("/search", "/listing"):
        answers = [client.get(path, params=params).json(), client.post(path, data=params).json()]
        assert answers[0] | {"milliseconds": 0} == answers[1] | {"milliseconds": 0}
        assert answers[0].get("rows", answers[0].get("hits"))


def test_facets_name_folders_of_the_source_only(client, shared_index):
    facets = client.get("/facets").json()
    assert facets["images"] == 48
    assert str(shared_index.store.folder.parent) not in str(facets)
    assert {each["column"] for each in facets["numbers"]} == {"width", "height", "bytes"}


@pytest.fixture
def copied(tmp_path, paint, paint_encoder):
    """A client of five images, of which two have one and two copies more."""
    for colour, copies in {"red": 1, "blue": 3, "green": 2}.items():
        for number in range(copies):
            paint(
                tmp_path / "copied" / f"{colour}{number}.png", colour, (60 + 3 * number, 40 + 2 * number), "rectangle"
            )
    shapes = {"blue": "ellipse", "green": "line"}
    for colour, shape in shapes.items():
        paint(tmp_path / "copied" / f"{colour}.png", colour, (40, 60), shape)
    index = Index.build([tmp_path / "copied"], model=paint_encoder, to=tmp_path / "copied.index", map_=False)
    with TestClient(create_app(index)) as client:
        yield client


def test_near_duplicates_are_folded_and_counted_as_in_a_search(copied):
    searched = copied.get("/search", params={"query": "blue", "top": 48}).json()["hits"]
    listed = copied.get("/listing", params={"query": "blue"}).json()
    assert [hit["row"] for hit in searched] == listed["rows"]
    assert [hit["alike"] for hit in searched] == listed["alike"]
    assert len(listed["rows"]) + sum(listed["alike"]) == 8 > len(listed["rows"])


def test_a_condition_on_near_duplicates_unfolds_them(copied):
    listed = copied.get("/listing").json()
    for row, others in zip(listed["rows"], listed["alike"], strict=True):
        unfolded = copied.get("/listing", params={"where": f"alike={row}"}).json()
        assert (len(unfolded["rows"]), unfolded["alike"]) == (1 + others, [])
        assert row in unfolded["rows"]
    assert copied.get("/facets").json()["duplicates"] == sum(1 + others for others in listed["alike"] if others)


def test_a_query_is_compared_with_texts_as_in_a_search(copied, tmp_path, paint_encoder):
    (tmp_path / "copied" / "pairs.csv").write_text("file,text\nred0.png,blue\ngreen0.png,blue\nblue0.png,red\n")
    paths = {"model": paint_encoder, "to": tmp_path / "texts.index", "map_": False}
    index = Index.build([tmp_path / "copied" / "pairs.csv"], embed_texts=True, **paths)
    with TestClient(create_app(index)) as client:
        for against in ("image", "text", "both"):
            params = {"query": "blue", "against": against}
            hits = client.get("/search", params=params).json()["hits"]
            listed = client.get("/listing", params=params).json()
            assert (listed["rows"], listed["alike"]) == ([h["row"] for h in hits], [h["alike"] for h in hits])
            form = client.post("/listing", data=params, files={"image": index.original(0)})
            assert form.status_code == 200
        assert client.get("/listing", params={"query": "blue", "against": "text"}).json()["alike"][0] == 1
