"""Requests that mean harm: images, paths, hosts, URLs, texts and bodies; nothing is fetched.

The fixture `victim` looks at the memory and the end of the service.
"""

import base64
import contextlib
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from openalign.serve.protection.guard import MAX_BODY
from tests.serve.victim import MEMORY, picture, png_of_zeros, raw, refused

pytestmark = pytest.mark.slow
pytest_plugins = ["tests.serve.victim"]


JPEG = picture(64, 64, "JPEG")
IMAGES = {
    "empty": b"",
    "text": b"no image at all",
    "html": b"<html><script>alert(1)</script></html>",
    "script": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "header only": JPEG[:20],
    "half": picture(500, 500)[:-400],
    "zeros after the signature": b"\x89PNG\r\n\x1a\n" + bytes(1000),
    "claims 30,000 x 30,000": png_of_zeros(30_000, 30_000, 1),
    "claims 2**31 pixels a side": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff\x08\x02\0\0\0",
    "claims 20,000 x 20,000, with some rows": png_of_zeros(20_000, 20_000, 400),
    "archive": b"PK\x03\x04" + bytes(200),
    "gzip": zlib.compress(bytes(10**6)),
    "GIF of no frames": b"GIF89a\xff\xff\xff\xff\0\0\0;",
    "BMP of negative size": b"BM" + bytes(12) + struct.pack("<IiiHHI", 40, -5, -(2**31), 1, 24, 0) + bytes(100),
    "TIFF that points at itself": b"II*\0\x08\0\0\0\x01\0\x00\x01\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0",
    "WebP of one byte": b"RIFF\x01\0\0\0WEBPVP8 ",
}


@pytest.mark.parametrize("image", list(IMAGES.values()), ids=list(IMAGES))
def test_what_is_no_usable_image_is_refused_by_every_route(client, image):
    coded = base64.b64encode(image).decode()
    replies = [
        client.post("/search", files={"image": ("x.png", image)}),
        client.post("/api/classify", files={"image": ("x.png", image)}, data={"labels": ["a", "b"]}),
        client.post("/embed", files={"images": ("x.png", image)}),
        client.post("/v1/embeddings", json={"input": [{"image": coded}, f"data:image/png;base64,{coded}"]}),
    ]
    assert all(refused(reply) for reply in replies), [reply.status_code for reply in replies]


@pytest.mark.parametrize("image", [png_of_zeros(3_000, 3_000, 10), png_of_zeros(100, 100, 100_000)])
def test_an_image_whose_data_do_not_fit_its_size_is_an_image_or_refused(client, image):
    reply = client.post("/search", files={"image": ("x.png", image)})
    assert reply.status_code == 200 or refused(reply)


def test_large_images_are_decoded_one_at_a_time(victim, client):
    large, before = {"image": picture(5_000, 5_000)}, victim.memory()
    with ThreadPoolExecutor(8) as threads:
        statuses = [each.status_code for each in threads.map(lambda _: client.post("/search", files=large), range(8))]
    assert set(statuses) <= {200, 503} and 200 in statuses
    assert victim.memory() - before < MEMORY  # eight at once would take 2 GB


@pytest.mark.parametrize(
    "target",
    [
        b"/static/../app.py", b"/static/../../../../etc/passwd", b"/static/%2e%2e/app.py", b"/static/..%2f..%2fapp.py",
        b"/static//etc/passwd", b"/static/%2fetc%2fpasswd", b"/static/..%5capp.py", b"/static/%00",
        b"/static/page.js%00", b"/static/" + b"a" * 5000, b"/static/%ff%fe", b"/static/....//app.py",
        b"/api/images/../../etc/passwd", b"/api/images/%2e%2e%2fmeta.json", b"/images/-1", b"/images/1e9",
        b"/images/9" + b"9" * 5000, b"/thumbnails/\xd9\xa3", b"/rows/0x1", b"//etc/passwd", b"/../etc/passwd",
        b"/api/rows/0/../../../etc/passwd", b"/%", b"/%zz", b"/api/rows/%00",
    ],
)  # fmt: skip
def test_no_path_leads_out_of_the_page_and_the_index(victim, target):
    answer = raw(victim, b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert answer[9:12] in (b"400", b"404", b"414", b"422", b"307"), answer[:200]
    assert b"root:" not in answer and b"create_app" not in answer


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "localhost.evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example:80"}, 421),
        ({"host": "evil.example@localhost"}, 421),
        ({"host": "10.0.0.1"}, 421),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost.evil.example"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
    ],
)
def test_foreign_hosts_and_origins_get_nothing(client, headers, status):
    for path in ("/api/search?text=boat", "/images/0", "/metrics", "/v1/models", "/openapi.json"):
        reply = client.get(path, headers=headers)
        assert reply.status_code == status and refused(reply)
        assert reply.headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in reply.headers
    assert client.post("/search", data={"text": "boat"}, headers=headers).status_code == status


def test_no_field_makes_the_service_fetch_a_url(client, listener):
    address, callers = listener
    urls = [f"http://{address}/x.png", f"http://localhost:{address.partition(':')[2]}/x.png", f"//{address}/x.png"]
    urls += [
        f"ftp://{address}/",
        f"file://{address}/x",
        f"\\\\{address}\\x",
        f"data:image/svg+xml,<a href='http://{address}'/>",
    ]
    for url in urls:
        text_only = [
            client.get("/search", params={"text": url, "plus": [url], "minus": ["boat"]}),
            client.get("/api/search", params={"query": f"img:{url}"}),
            client.get("/search", params={"query": url}),
            client.post("/classify", data={"labels": [url, "b"], "row": 0}),
            client.post("/embed", data={"texts": [url]}),
            client.post("/v1/embeddings", json={"input": url}),
        ]
        assert all(reply.status_code in (200, 400) for reply in text_only)  # a URL is a text like others
        as_image = [
            client.post("/search", data={"image": url}),
            client.post("/search", files={"image": (url, url.encode())}),
            client.post("/classify", data={"image": url, "labels": ["a"]}),
            client.post("/embed", data={"images": url}),
            client.post("/v1/embeddings", json={"input": [{"image": url}]}),
            client.post("/v1/embeddings", json={"input": url, "modality": "image"}),
        ]
        assert all(refused(reply) for reply in as_image)
    svg = f'<svg xmlns="http://www.w3.org/2000/svg"><image href="http://{address}/x.png"/></svg>'.encode()
    assert refused(client.post("/search", files={"image": ("x.svg", svg)}))
    client.get("/api/rows/0", headers={"referer": urls[0], "x-forwarded-host": address, "forwarded": f"host={address}"})
    assert callers == []


@pytest.mark.parametrize(
    "text", ["word " * 10_000, "a" * 1001, "\0" * 1001, "\U0001f469\u200d" * 5000, "\u202e" * 1001]
)
def test_texts_that_are_too_long_are_refused_by_every_field(client, text):
    replies = [
        client.post("/search", data={"text": text}),
        client.post("/search", data={"plus": ["a", text]}),
        client.post("/api/search", data={"query": text}),
        client.post("/classify", data={"labels": ["a", text], "row": 0}),
        client.post("/embed", data={"texts": ["a", text]}),
        client.post("/v1/embeddings", json={"input": text}),
        client.post("/v1/embeddings", json={"input": ["a", {"text": text}]}),
    ]
    assert all(refused(reply) for reply in replies)
    assert refused(client.get("/search", params={"text": text[:3000]}))


@pytest.mark.parametrize(
    "text",
    [
        "\0",
        "a\0b",
        "\u202e\u202d",
        "\ufffe\uffff",
        "'; DROP TABLE images; --",
        "{{7*7}}",
        "%s%n",
        "../" * 50,
        "\x1b[31m",
    ],
)
def test_odd_texts_are_texts(client, text):
    replies = [
        client.get("/search", params={"text": text}),
        client.post("/embed", data={"texts": [text]}),
        client.post("/v1/embeddings", json={"input": [text]}),
        client.post("/classify", data={"labels": [text, "a"], "row": 0}),
    ]
    assert all(reply.status_code in (200, 400) for reply in replies), [reply.text for reply in replies]


PART = b'--b\r\nContent-Disposition: form-data; name="texts"\r\n\r\n'


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"input": "\\ud800"}', "application/json"),
        (b'{"input": ["\\udc00 a", "b"]}', "application/json"),
        (b"[" * 500_000, "application/json"),
        (b'{"input":' * 100_000, "application/json"),
        (b'{"input": ' + b"9" * 100_000 + b"}", "application/json"),
        (b'{"input": NaN}', "application/json"),
        (b'{"input": "a", "input": 7}', "application/json"),
        (b"\xff\xfe\x00", "application/json"),
        (b'{"input": "a"}', "text/plain"),
        (b'{"input": "a"}', ""),
        (b'{"input": "a"}', "application/x-www-form-urlencoded"),
        (b"input=a&" * 5000, "application/x-www-form-urlencoded"),
        (b"--b\r\n" * 5000, "multipart/form-data; boundary=b"),
        (b"x", "multipart/form-data"),
        (b"x", "multipart/form-data; boundary="),
        (b"x", "multipart/form-data; boundary=" + "b" * 5000),
        (PART, "multipart/form-data; boundary=b"),
        (b"--b\r\n" + b"X: y\r\n" * 20_000 + b"\r\n\r\n--b--", "multipart/form-data; boundary=b"),
        (PART + b"a" * 2**21, "multipart/form-data; boundary=b"),
        (b"a", "multipart/form-data; boundary=b; charset=punycode"),
        (b"\0" * 1000, "image/png"),
        (b"<a/>", "application/xml"),
    ],
)  # fmt: skip
def test_bodies_that_are_not_what_a_route_takes_are_refused(client, body, kind):
    for path in ("/v1/embeddings", "/embed", "/classify"):
        assert refused(client.post(path, content=body, headers={"content-type": kind}))


@pytest.mark.parametrize("count", [1001, 20_000])
def test_many_parts_of_a_form_are_refused(client, count):
    part = '--b\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\na\r\n'
    for name, more in (("texts", ""), ("made-up", ""), ("images", '; filename="x"')):
        body = (part % (name, more)) * count + "--b--\r\n"
        for path in ("/embed", "/search", "/classify"):
            reply = client.post(path, content=body, headers={"content-type": "multipart/form-data; boundary=b"})
            assert refused(reply)


def test_uploads_that_are_too_large_are_refused_while_they_come(client):
    for kind in ("application/json", "multipart/form-data; boundary=b"):
        pieces = (b" " * 2**20 for _ in range(MAX_BODY // 2**20 + 2))
        with contextlib.suppress(httpx.WriteError):  # the service may stop reading before all is sent
            assert client.post("/v1/embeddings", content=pieces, headers={"content-type": kind}).status_code in (
                413,
                422,
            )


def test_the_sum_of_uploads_is_limited(client):
    large = picture(64, 64) + bytes(2 * 2**20)
    files = [("image", (f"{number}.png", large)) for number in range(16)]
    with contextlib.suppress(httpx.WriteError):  # the service may stop reading before all is sent
        assert client.post("/search", files=files).status_code == 413
    small = [("image", (f"{number}.png", picture(64, 64))) for number in range(17)]
    assert refused(client.post("/search", files=small))
