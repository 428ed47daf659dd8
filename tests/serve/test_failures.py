"""Messages for clients: no folder of this machine in them, and the operator's log has them whole."""

import logging
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from openalign.options import typed_options
from openalign.search import Index
from openalign.serve.app import create_app
from openalign.serve.failures import WithoutFolders
from openalign.serve.links import Links
from openalign.serve.protection.access import Access


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("{photos}/00-red.png: does not exist.", "photos/00-red.png: does not exist."),
        ("{index}/rows.sqlite cannot be read", "paint.index/rows.sqlite cannot be read"),
        ("/srv/a b/c.jpg is gone", "a b/c.jpg is gone"),
        ("cannot read '/var/lib/x/y.bin' (denied)", "cannot read 'y.bin' (denied)"),
        ("/etc/passwd", "passwd"),
        ("see https://example.org/a/b/c.jpg", "see https://example.org/a/b/c.jpg"),
        ("1/2 of photos/a.jpg, either/or", "1/2 of photos/a.jpg, either/or"),
        ("half \ud800", "half \\ud800"),
    ],
)
def test_folders_of_this_machine_are_taken_out_of_messages(index, tmp_path, message, shown):
    message = message.replace("{photos}", str(tmp_path / "photos")).replace("{index}", str(tmp_path / "paint.index"))
    assert WithoutFolders(index)(message) == shown


def test_a_missing_original_is_named_without_its_folder_and_logged_with_it(tmp_path, paint, paint_encoder):
    folder = tmp_path / "my own photos" / "2024 summer"
    paint(folder / "a red one.png", "red")
    paint(folder / "a blue one.png", "blue")
    index = Index.build([folder], model=paint_encoder, to=tmp_path / "my own index")
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("uvicorn.error")
    logger.addHandler(handler)
    try:
        with TestClient(create_app(index)) as client:
            (hit,) = client.get("/search?text=red&top=1").json()["hits"]
            assert hit["image"] == "2024 summer/a red one.png"
            (folder / "a red one.png").unlink()
            reply = client.get(f"/images/{hit['row']}")
    finally:
        logger.removeHandler(handler)
    assert reply.status_code == 400
    assert "a red one.png" in reply.json()["error"]
    assert str(tmp_path) not in reply.text and "my own photos" not in reply.text
    assert any(str(folder) in line for line in said)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"where": "boat"}, "`where='boat'`: there is no comparison in it"),
        ({"where": "boat=2"}, "`where='boat=2'`: there is no column"),
        ({"query": "img:1"}, "a query given as text opens no file; give the image as `image`"),
    ],
)
def test_a_client_is_told_of_its_parameters_not_of_options_of_the_command_line(index, request_, message):
    with typed_options(), TestClient(create_app(index)) as client:
        reply = client.get("/search", params={"text": "a boat"} | request_ if "where" in request_ else request_)
    assert reply.status_code == 400 and message in reply.json()["error"]


def test_who_started_the_service_is_told_of_the_command_line(index):
    with typed_options():
        access = Access({"localhost"})
        with TestClient(create_app(index, access=access)) as client:
            reply = client.get("/search", headers={"Host": "elsewhere.example"})
    assert "--allow-host must name the host" in reply.json()["error"]


def test_folders_whose_names_have_spaces_are_taken_out_too(tmp_path, paint, paint_encoder):
    folder = tmp_path / "my own photos" / "2024 summer"
    paint(folder / "red.png", "red")
    index = Index.build([folder], model=paint_encoder, to=tmp_path / "my own index" / "an index")
    shown = WithoutFolders(index)
    assert shown(f"{folder}/red.png: no; {folder} is empty") == "2024 summer/red.png: no; 2024 summer is empty"
    assert shown(f"{index.store.folder}/rows.sqlite is damaged") == "an index/rows.sqlite is damaged"


@pytest.mark.parametrize(
    ("image", "shown"),
    [
        ("/srv/photos/2024/a.jpg", "2024/a.jpg"),
        ("file:///srv/photos/a b.jpg", "photos/a b.jpg"),
        ("/a.jpg", "a.jpg"),
        ("2024/a.jpg", "2024/a.jpg"),
        ("https://example.org/x/a.jpg", "https://example.org/x/a.jpg"),
    ],
)
def test_an_image_is_shown_by_its_folder_and_name_or_by_its_url(index, image, shown):
    row = replace(index.row(3), image=image)
    assert Links().image(row) == shown
    assert Links(whole_paths=True).image(row) == image


def test_a_log_line_is_not_of_a_clients_making(index, caplog):
    WithoutFolders(index)("no such /srv/x/y\nERROR: forged\x1b[31m")
    assert "\n" not in caplog.messages[-1] and "\x1b" not in caplog.messages[-1]


def test_a_service_of_this_machine_only_names_images_as_their_source_does(index):
    image = TestClient(create_app(index, whole_paths=True)).get("/api/rows/3").json()["image"]
    assert image == index.row(3).image


def test_every_method_of_a_path_is_named_where_another_is_refused(index):
    client = TestClient(create_app(index))
    for url, methods in (("/search", "GET, POST"), ("/api/classify", "POST"), ("/health", "GET")):
        reply = client.delete(url)
        assert (reply.status_code, reply.headers["allow"]) == (405, methods)


def test_a_failing_service_answers_with_all_headers(index, paint_encoder, monkeypatch):
    monkeypatch.setattr(paint_encoder, "_embed_text_batch", lambda texts: 1 // 0)
    client = TestClient(create_app(index, paint_encoder), raise_server_exceptions=False)
    reply = client.get("/search?text=red")
    assert reply.status_code == 500
    assert reply.headers["cross-origin-resource-policy"] == "same-origin"
    assert "log" in reply.json()["error"]


@pytest.mark.parametrize("beside", [{"text": "blue"}, {"plus": "blue"}, {"minus": "blue"}])
def test_a_query_stands_alone(index, beside):
    client = TestClient(create_app(index))
    assert client.get("/search", params={"query": "red", "top": 1}).json()["hits"][0]["text"].startswith("red")
    for reply in (
        client.get("/search", params={"query": "red", **beside}),
        client.post("/api/search", data={"query": "red", **beside}),
    ):
        assert reply.status_code == 400
        assert "either `query`" in reply.json()["error"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("img:/etc/passwd", 400, ""),
        ("red + img:beach.jpg", 400, ""),
        ("red + row:48", 404, "There is no image 48"),
        ("row:0 + 2*row:999999999999999", 404, "There is no image"),
    ],
)
def test_a_query_names_no_file_and_only_rows_that_there_are(index, query, status, message):
    client = TestClient(create_app(index))
    for reply in (client.get("/search", params={"query": query}), client.post("/search", data={"query": query})):
        assert reply.status_code == status
        assert message in reply.json()["error"]


def test_a_query_has_weights_signs_and_rows_and_a_text_means_itself(index, paint_encoder, monkeypatch):
    embedded: list[str] = []
    inner = paint_encoder._embed_text_batch
    monkeypatch.setattr(paint_encoder, "_embed_text_batch", lambda texts: embedded.extend(texts) or inner(texts))
    client = TestClient(create_app(index, paint_encoder))

    def first(**parameters) -> str:
        return client.get("/search", params={**parameters, "top": 1}).json()["hits"][0]["text"].split()[0]

    assert first(query="white - red - yellow") == "blue"
    assert first(query="red + 5*blue") == "blue"
    assert first(query="blue + row:0") == "violet"
    embedded.clear()
    first(text="red - yellow", plus="2*blue")
    assert sorted(embedded) == ["2*blue", "red - yellow"]
