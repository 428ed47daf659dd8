import io
import socket
import struct
import threading
import zlib

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from openalign.errors import OpenAlignError
from openalign.search import Index
from openalign.serve.app import create_app, serve
from openalign.serve.protection.access import LOCAL_NAMES, Access
from openalign.serve.protection.guard import MAX_BODY


@pytest.fixture(scope="module")
def client(shared_index):
    with TestClient(create_app(shared_index), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def own_client(index):
    with TestClient(create_app(index), raise_server_exceptions=False) as client:
        yield client


def texts(reply) -> list[str]:
    assert reply.status_code == 200, reply.text
    return [hit["text"].split()[0] for hit in reply.json()["hits"]]


def png(width: int, height: int) -> bytes:
    """The header of a PNG of this size, and no pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def test_a_text_query_returns_images_and_scores(client):
    reply = client.get("/api/search", params={"text": "blue", "top": 3})
    assert texts(reply) == ["blue"] * 3
    hit = reply.json()["hits"][0]
    assert hit["score"] == pytest.approx(1, abs=0.01)
    assert client.get(hit["thumbnail"]).headers["content-type"] == "image/jpeg"
    assert client.get(hit["original"]).headers["content-type"] == "image/png"


def test_a_search_reads_each_row_of_the_index_once(own_client, index, monkeypatch):
    read = []
    rows = index.store.rows
    monkeypatch.setattr(index.store, "rows", lambda numbers: read.extend(numbers) or rows(numbers))
    reply = own_client.get("/api/search", params={"text": "blue", "top": 5})
    assert read == [hit["row"] for hit in reply.json()["hits"]] and len(read) == 5


def test_plus_and_minus_may_be_given_several_times(client):
    assert texts(client.get("/api/search?text=white&minus=red&minus=yellow&top=1")) == ["blue"]
    assert texts(client.get("/api/search?plus=red&plus=blue&top=1")) == ["violet"]


def test_an_indexed_image_can_be_the_query(client):
    assert texts(client.get("/api/search", params={"row": 0, "top": 1})) == ["red"]
    assert texts(client.get("/api/search", params={"row": 0, "plus": "blue", "top": 1})) == ["violet"]


def test_an_uploaded_image_can_be_the_query_with_texts_beside_it(client, index):
    image = ("my.png", index.original(0))
    assert texts(client.post("/api/search", files={"image": image}, data={"top": 2})) == ["red", "red"]
    with_text = client.post("/api/search", files={"image": image}, data={"text": "blue", "top": 1})
    assert texts(with_text) == ["violet"]
    taken = client.post("/api/search", files={"image": image}, data={"minus": ["red"], "top": 48})
    assert set(texts(taken)[-8:]) == {"red"}


def test_labels_of_an_indexed_and_of_an_uploaded_image_agree(client, index):
    data = {"labels": ["red", "green", "blue"]}
    by_row = client.post("/api/classify", data=data | {"row": 2}).json()["labels"]
    uploaded = client.post("/api/classify", data=data, files={"image": ("x", index.original(2))}).json()["labels"]
    assert by_row == uploaded
    assert by_row[0]["label"] == "blue"
    assert sum(each["probability"] for each in by_row) == pytest.approx(1)


def test_info_has_the_texts_of_the_page(client):
    info = client.get("/api/info").json()
    assert (info["name"], info["rows"], info["model"]) == ("paint", 48, "paint")
    assert info["examples"][1] == {"text": "white", "plus": [], "minus": ["red"], "row": None}
    assert info["credits"] == "Painted here, https://example.org/licence"
    assert client.get("/health").json() == {"status": "ok", "rows": 48}


def test_of_an_image_with_several_texts_one_is_suggested(tmp_path, paint, paint_encoder):
    paint(tmp_path / "1.png", "red")
    (tmp_path / "t.csv").write_text("image,caption\n1.png,a red field\n1.png,red all over\n")
    index = Index.build(tmp_path / "t.csv", model=paint_encoder, to=tmp_path / "i")
    examples = TestClient(create_app(index)).get("/api/info").json()["examples"]
    assert [example["text"] for example in examples] == ["a red field"]


def test_without_examples_texts_of_images_are_suggested(index):
    (index.store.folder / "examples.json").unlink()
    examples = TestClient(create_app(index)).get("/api/info").json()["examples"]
    assert len(examples) == 6
    assert all("paint" in example["text"] for example in examples)


def test_browsing_returns_images_at_even_intervals(client):
    assert [image["row"] for image in client.get("/api/browse?count=3").json()["images"]] == [0, 24, 47]


def test_only_urls_with_the_version_of_the_image_are_cached_without_limit(client):
    picture = client.get("/api/rows/5").json()
    for kind in ("thumbnail", "original"):
        assert "immutable" in client.get(picture[kind]).headers["cache-control"]
        assert client.get(picture[kind].split("?")[0]).headers["cache-control"] == "no-cache"


def test_only_http_urls_become_links(client):
    assert client.get("/api/rows/1").json()["page"] is None
    assert client.get("/api/rows/2").json()["page"] == "https://example.org/2"


@pytest.mark.parametrize(
    ("url", "status", "message"),
    [
        ("/api/search", 400, "The query is empty"),
        ("/api/search?text=red&top=0", 422, "top: must be at least 1."),
        ("/api/search?text=red&top=many", 422, "top: must be a whole number."),
        ("/api/search?text=" + "a" * 1001, 422, "text: must have at most 1,000 characters."),
        ("/api/search?row=48", 404, "There is no image 48: the index has 0 to 47."),
        ("/api/images/48", 404, "There is no image 48"),
        ("/api/thumbnails/-1", 404, "There is no image -1"),
        ("/docs", 404, "There is nothing at /docs; /openapi.json describes all requests."),
        ("/api/images/..%2f..%2fetc%2fpasswd", 404, "There is nothing at"),
        ("/static/..%2fapp.py", 404, "There is nothing at"),
        ("/api/search?top=201&text=red", 422, "top: must be at most 200."),
        ("/api/search?" + "plus=a&" * 17, 422, "plus: must have at most 16 values."),
        ("/api/search?plus=a&plus=" + "b" * 1001, 422, "plus.1: must have at most 1,000 characters."),
        ("/api/classify", 405, "/api/classify does not take the method GET."),
        ("/api/images/1e3", 422, "row: must be a whole number."),
    ],
)
def test_a_bad_request_gets_a_status_and_an_error_message(client, url, status, message):
    reply = client.get(url)
    assert reply.status_code == status
    assert list(reply.json()) == ["error"]
    assert message in reply.json()["error"]


@pytest.mark.parametrize(
    ("sent", "status", "message"),
    [
        ({"data": {"row": 1}}, 422, "labels: is missing."),
        ({"data": {"labels": [], "row": 1}}, 422, "labels: is missing."),
        ({"data": {"labels": ["a"] * 101, "row": 1}}, 422, "labels: must have at most 100 values."),
        ({"data": {"labels": ["a"], "row": -1}}, 422, "row: must be at least 0."),
        ({"data": {"labels": ["a"], "image": "photo.png"}}, 422, "image: must be an uploaded file."),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400, "cannot be read; send the fields"),
    ],
)
def test_a_bad_form_is_answered_in_our_words(client, sent, status, message):
    reply = client.post("/api/classify", **sent)
    assert reply.status_code == status
    assert message in reply.json()["error"]


@pytest.mark.parametrize(
    ("upload", "message"),
    [
        (b"no image at all", "The image cannot be read: not a raster image."),
        (b"", "empty"),
        (png(30_000, 30_000), "30000 x 30000"),
    ],
)
def test_an_upload_that_is_not_an_image_is_refused(client, upload, message):
    for url, data in (("/api/search", {}), ("/api/classify", {"labels": ["red"]})):
        reply = client.post(url, files={"image": ("x.png", upload)}, data=data)
        assert reply.status_code == 400
        assert message in reply.json()["error"]


@pytest.mark.slow
def test_a_large_upload_is_refused_with_and_without_content_length(client):
    large = b"x" * (MAX_BODY + 1)
    announced = client.post("/api/search", files={"image": ("x.png", large)})
    pieces = (large[start : start + 2**20] for start in range(0, len(large), 2**20))
    streamed = client.post("/api/search", content=pieces, headers={"content-type": "multipart/form-data; boundary=b"})
    for reply in (announced, streamed):
        assert reply.status_code == 413
        assert reply.json() == {"error": "The upload is larger than 20 MB; send a smaller image."}


def test_classify_needs_one_image_and_at_least_one_label(client):
    assert "either `image` or `row`" in client.post("/api/classify", data={"labels": ["a"]}).json()["error"]
    assert client.post("/api/classify", data={"row": 1}).status_code == 422
    assert "empty" in client.post("/api/classify", data={"row": 1, "labels": ["red", " "]}).json()["error"]
    twice = client.post("/api/classify", data={"row": 1, "labels": ["red", "red"]}).json()["labels"]
    assert [each["label"] for each in twice] == ["red", "red"]


def test_a_missing_image_is_reported_and_keeps_its_thumbnail(own_client, tmp_path):
    (tmp_path / "photos" / "00-red.png").unlink()
    reply = own_client.get("/api/images/0")
    assert reply.status_code == 400
    assert "00-red.png" in reply.json()["error"]
    assert Image.open(io.BytesIO(own_client.get("/api/thumbnails/0").content)).format == "JPEG"


def test_a_failing_model_gives_an_error_message_not_a_traceback(client):
    reply = client.get("/api/search?text=colourless")  # not a word of the painted model
    assert reply.status_code == 500
    assert reply.json() == {"error": "The service failed on this request; see its log."}
    assert client.get("/api/search?text=red").status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://localhost:8000"}, 200),
        ({"origin": "http://[::1]:8000"}, 200),
        ({"origin": "https://LOCALHOST"}, 200),
        ({"origin": "https://elsewhere.example"}, 403),
        ({"origin": "http://localhost.elsewhere.example:8000"}, 403),
        ({"origin": "http://elsewhere.example/localhost"}, 403),
        ({"origin": "http://elsewhere.example@localhost"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"host": "elsewhere.example"}, 421),
        ({"host": "elsewhere.example", "origin": "http://localhost:8000"}, 421),
    ],
)
def test_a_local_service_accepts_requests_of_its_own_page_only(index, headers, status):
    client = TestClient(create_app(index, access=Access(LOCAL_NAMES)), base_url="http://localhost:8000")
    for reply in (
        client.get("/api/search?text=red", headers=headers),
        client.post("/api/search", data={"text": "red"}, headers=headers),
    ):
        assert reply.status_code == status
        assert status == 200 or list(reply.json()) == ["error"]


def test_every_response_has_the_security_headers(client):
    for url in ("/", "/api/info", "/static/page.js", "/api/search"):
        headers = client.get(url).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "the file is not JSON"),
        ('"red"', "the file must be a list"),
        ('[{"words": "red"}]', "element 1 is neither a text nor an object"),
        ('["red", 3]', "element 2 is neither"),
        ('["red", {"text": "a", "row": "b"}]', "element 2 is neither"),
    ],
)
def test_damaged_examples_are_named(index, content, message):
    (index.store.folder / "examples.json").write_text(content)
    with pytest.raises(OpenAlignError, match=rf"paint\.index/examples\.json: {message}.*write a JSON list"):
        create_app(index)


def test_a_taken_port_is_reported_before_anything_is_loaded(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OpenAlignError, match=rf"Port {port} on 127.0.0.1 is taken; choose another with --port"):
            serve(tmp_path / "none.index", port=port)


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70_000), ("203.0.113.1", 8000), ("no such host", 8000)])
def test_an_impossible_host_or_port_is_reported(tmp_path, host, port):
    with pytest.raises(OpenAlignError, match=r"--port"):
        serve(tmp_path, host=host, port=port)


def test_concurrent_requests_get_their_own_responses(client):
    answers = {}

    def ask(number: int) -> None:
        colour = ["red", "green", "blue", "yellow"][number % 4]
        answers[number] = (colour, texts(client.get("/api/search", params={"text": colour, "top": 1})))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 24
    assert all(found == [colour] for colour, found in answers.values())
