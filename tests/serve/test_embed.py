"""`/embed` and `/v1/embeddings`: the model's own vectors, in the forms that clients ask for; no URL is fetched."""

import base64

import numpy as np
import pytest
from fastapi.testclient import TestClient

from openalign.serve.app import create_app

pytestmark = pytest.mark.slow

SECRETS = "http://127.0.0.1:9/secret.png"


@pytest.fixture(scope="module")
def client(shared_index):
    with TestClient(create_app(shared_index), raise_server_exceptions=False) as client:
        yield client


def data_url(image: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(image).decode()


def vectors_of(reply) -> np.ndarray:
    assert reply.status_code == 200, reply.text
    assert [each["index"] for each in reply.json()["data"]] == list(range(len(reply.json()["data"])))
    return np.array([each["embedding"] for each in reply.json()["data"]], np.float32)


def test_embed_gives_the_vectors_of_texts_and_uploaded_images(client, index, paint_encoder):
    files = [("images", (f"{row}.png", index.original(row))) for row in (0, 2)]
    got = client.post("/embed", data={"texts": ["red", "a blue wall", "red"]}, files=files).json()
    assert (got["model"], got["width"]) == ("paint", 3)
    assert np.allclose(got["texts"], paint_encoder.embed_texts(["red", "a blue wall", "red"]))
    assert np.allclose(got["images"], paint_encoder.embed_images([index.original(0), index.original(2)]))
    coded = client.post("/api/embed", data={"texts": ["red"], "encoding_format": "base64"}).json()["texts"]
    assert np.array_equal(np.frombuffer(base64.b64decode(coded[0]), "<f4"), np.float32(got["texts"][0]))


def test_v1_embeddings_takes_one_text_or_several(client, paint_encoder):
    one = client.post("/v1/embeddings", json={"input": "red", "model": "paint"})
    several = client.post("/v1/embeddings", json={"input": ["blue", "a red wall"], "user": "me", "dimensions": 3})
    assert np.allclose(vectors_of(one), paint_encoder.embed_texts(["red"]))
    assert np.allclose(vectors_of(several), paint_encoder.embed_texts(["blue", "red"]))
    assert several.json()["usage"] == {"prompt_tokens": 4, "total_tokens": 4}
    assert (several.json()["object"], several.json()["model"]) == ("list", "paint")
    assert client.get("/v1/models").json()["data"][0]["id"] == "paint"


def test_v1_embeddings_as_base64_are_the_same_numbers(client):
    asked = {"input": ["red", "blue"]}
    coded = client.post("/v1/embeddings", json={**asked, "encoding_format": "base64"}).json()["data"]
    plain = vectors_of(client.post("/v1/embeddings", json=asked))
    assert np.array_equal([np.frombuffer(base64.b64decode(each["embedding"]), "<f4") for each in coded], plain)


def test_v1_embeddings_takes_images_beside_texts_in_the_order_given(client, index, paint_encoder):
    image = index.original(4)
    plain = base64.b64encode(image).decode()
    asked = ["red", data_url(image), {"image": plain}, {"text": "blue"}, {"image": data_url(image)}]
    got = vectors_of(client.post("/v1/embeddings", json={"input": asked}))
    (of_image,) = paint_encoder.embed_images([image])
    red, blue = paint_encoder.embed_texts(["red", "blue"])
    assert np.allclose(got, [red, of_image, of_image, blue, of_image])
    as_images = client.post("/v1/embeddings", json={"input": [plain, data_url(image)], "modality": "image"})
    assert np.allclose(vectors_of(as_images), [of_image, of_image])


@pytest.mark.parametrize(
    ("asked", "status", "message"),
    [
        ({"input": "red", "model": "gpt"}, 404, "There is no model 'gpt' here: this service has 'paint'."),
        ({"input": "red", "dimensions": 2}, 400, "dimensions: the model gives 3 numbers"),
        ({"input": [1, 2, 3]}, 422, "tokens are not taken"),
        ({"input": [[1], [2]]}, 422, "tokens are not taken"),
        ({"input": 7}, 422, "input: must be a text or a list of texts"),
        ({"input": []}, 422, "input: must have at least 1 value"),
        ({"input": ["red"] * 2049}, 422, "input: must have at most 2,048 values"),
        ({"input": "red " * 300}, 400, "input.0: must have at most 1,000 characters."),
        ({"input": ["red", "  "]}, 400, "Text 2 is empty."),
        ({"input": {"image": SECRETS}}, 422, "tokens are not taken"),
        ({"input": [{"image": SECRETS}]}, 400, "fetches nothing for a caller"),
        ({"input": [{"image": "file:///etc/passwd"}]}, 400, "fetches nothing for a caller"),
        ({"input": [SECRETS], "modality": "image"}, 400, "fetches nothing for a caller"),
        ({"input": [{"image": "data:image/png," + SECRETS}]}, 400, "fetches nothing for a caller"),
        ({"input": [{"image": "//127.0.0.1/x.png"}]}, 400, "fetches nothing for a caller"),
        ({"input": [{"image": "not*base64"}]}, 400, "is not base64"),
        ({"input": [{"image": ""}]}, 400, "empty"),
        ({"input": [{"image": "AAAA"}] * 65}, 400, "at most 64 images"),
        ({"input": "red", "modality": "audio"}, 422, "modality: must be"),
        ({"input": "red", "encoding_format": "int8"}, 422, "encoding_format: must be"),
        ({"input": "red", "messages": []}, 422, "messages: is not known."),
        ({}, 422, "input: is missing."),
    ],
)
def test_what_cannot_be_embedded_is_refused_in_openais_form(client, asked, status, message):
    reply = client.post("/v1/embeddings", json=asked)
    assert reply.status_code == status
    assert list(reply.json()["error"]) == ["message", "type", "code", "param"]
    assert message in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    ("sent", "status", "message"),
    [
        ({}, 400, "Nothing to embed"),
        ({"data": {"texts": ["red", ""]}}, 400, "Text 2 is empty."),
        ({"data": {"texts": ["red"], "encoding_format": "hex"}}, 422, "encoding_format: must be"),
        ({"data": {"images": SECRETS}}, 422, "must be an uploaded file"),
        ({"files": {"images": ("x.png", SECRETS.encode())}}, 400, "not a raster image"),
    ],
)
def test_what_embed_cannot_embed_is_refused(client, sent, status, message):
    reply = client.post("/embed", **sent)
    assert reply.status_code == status
    assert message in reply.json()["error"]


@pytest.mark.parametrize(
    "body", ['{"input": "\\ud800"}', '{"input": ["\\udfff", "red"]}', '{"\\ud800": 1}', "{", "[]", ""]
)
def test_json_that_no_text_can_hold_is_the_clients_mistake(client, body):
    reply = client.post("/v1/embeddings", content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 422
    assert reply.json()["error"]["message"]


def test_json_as_deep_as_a_body_can_be_is_the_clients_mistake(client):
    for opening, closing in (("[", "]"), ('{"input":', "}")):
        deep = opening * 200_000 + "1" + closing * 200_000
        reply = client.post("/v1/embeddings", content=deep, headers={"content-type": "application/json"})
        assert 400 <= reply.status_code < 500


@pytest.mark.parametrize("codec", ["punycode", "unicode_escape", "utf-16", "idna", "latin-1", "utf-8;charset=hex", ""])
def test_no_codec_but_utf_8_is_used_for_what_a_client_sends(client, codec):
    kind = f"multipart/form-data; boundary=b; charset={codec}"
    part = b'--b\r\nContent-Disposition: form-data; name="texts"\r\n\r\nred\\ud800\r\n--b--\r\n'
    reply = client.post("/embed", content=part, headers={"content-type": kind})
    assert reply.status_code == 415
    assert "UTF-8" in reply.json()["error"]


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", 'application/json;charset="UTF-8"'])
def test_utf_8_may_be_named(client, kind):
    assert client.post("/v1/embeddings", content='{"input": "red"}', headers={"content-type": kind}).status_code == 200
