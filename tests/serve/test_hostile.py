"""A client that means harm, against the service as a process: 4xx or 503, never 500; memory stays; nothing is fetched.

Every request goes to loopback, each loop of them is bounded, and none waits longer than `LONG`.
"""

import base64
import contextlib
import io
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import zlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from PIL import Image

from openalign.serve.protection.guard import MAX_BODY
from tests import preloaded

pytestmark = pytest.mark.slow

LONG = 60
MEMORY = 600 * 2**20
"""Bytes by which the process may grow: an image of 25 million pixels takes 260 MB for itself while it is decoded."""


@dataclass(frozen=True)
class Victim:
    """A running service."""

    process: "preloaded.Popen"
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def memory(self) -> int:
        """Bytes of RAM that its process ever had at once."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


@pytest.fixture(scope="module")
def victim(make_index, tmp_path_factory) -> Iterator[Victim]:
    """One service for all of this file; it must still answer, and end well, when all is over."""
    folder = make_index(tmp_path_factory.mktemp("hostile"))
    command = [sys.executable, "-m", "openalign", "serve", str(folder), "--port", "0"]
    process = preloaded.Popen(command, stderr=subprocess.PIPE)
    try:
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)", process.stderr.readline())[1])
        running = Victim(process, port)
        before = warmed_up(running)
        yield running
        with connected(running) as client:
            assert client.get("/api/search?text=a+red+apple").status_code == 200
        assert running.memory() - before < MEMORY
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=LONG)[1]
    finally:
        process.kill()
    assert process.returncode == 0
    assert "Traceback" not in said
    assert "Exception" not in said


def warmed_up(victim: Victim) -> int:
    """The memory of a service that has answered each kind of request once."""
    with connected(victim) as client:
        assert client.get("/api/search?text=boat").status_code == 200
        assert client.post("/embed", files={"images": picture(64, 64)}).status_code == 200
    return victim.memory()


def connected(victim: Victim) -> httpx.Client:
    """A client of many connections, one a request: one that is kept may be closed while a request is on its way."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    return httpx.Client(base_url=victim.url, timeout=LONG, limits=limits, verify=False, trust_env=False)


@pytest.fixture
def client(victim) -> Iterator[httpx.Client]:
    with connected(victim) as client:
        yield client


@pytest.fixture(scope="module")
def listener() -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """The address of a server on loopback, and who connected to it."""
    callers: list[tuple[str, int]] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, caller = listening.accept()
                    callers.append(caller)
                    connection.close()

        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{listening.getsockname()[1]}", callers
        listening.shutdown(socket.SHUT_RDWR)


def picture(width: int, height: int, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("L", (width, height), 200).save(out, kind)
    return out.getvalue()


def png_of_zeros(width: int, height: int, rows: int) -> bytes:
    """A PNG that says it has this size; its data are as many rows of zeros, which take a thousandth of their size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packed = zlib.compressobj(9)
    data = b"".join(packed.compress(bytes(width * 3 + 1)) for _ in range(rows)) + packed.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def refused(reply: httpx.Response) -> bool:
    """Refused in the service's words, none of which names a folder of this machine."""
    assert "error" in reply.json(), reply.text
    assert "/tmp" not in reply.text and str(Path.home()) not in reply.text
    return 400 <= reply.status_code < 500 or reply.status_code == 503


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


def raw(victim: Victim, sent: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", victim.port), timeout=LONG) as connection:
        connection.sendall(sent)
        got = bytearray()
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(2**16):
                got += part
    return bytes(got)


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


def test_silent_and_slow_clients_do_not_keep_others_waiting(victim, client):
    heads = [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nX: a",
        b"POST /embed HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\na",
    ]
    with contextlib.ExitStack() as stack:
        for number in range(200):
            silent = stack.enter_context(socket.create_connection(("127.0.0.1", victim.port), timeout=LONG))
            silent.sendall(heads[number % len(heads)])
        for path in ("/health", "/search?text=boat", "/images/0"):
            assert client.get(path).status_code == 200


def test_five_hundred_at_once_are_answered_or_told_to_come_again(client):
    small, statuses = picture(600, 400, "JPEG"), Counter()

    def ask(number: int) -> None:
        if number % 2:
            reply = client.post("/search", files={"image": ("x.jpg", small)})
        else:
            reply = client.get(f"/search?text=boat+{number}")
        assert reply.status_code == 200 or int(reply.headers["retry-after"]) >= 1
        statuses[reply.status_code] += 1

    with ThreadPoolExecutor(500) as threads:
        asked = [threads.submit(ask, number) for number in range(500)]
        healthy = [client.get("/health").status_code for _ in range(5)]
        for each in asked:
            each.result(timeout=LONG)
    assert set(statuses) <= {200, 503} and statuses[200] > 0
    assert healthy == [200] * 5


def test_clients_that_leave_before_their_answer_cost_nothing_later(victim, client):
    request = b"GET /search?text=boat HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for _ in range(200):
        with socket.create_connection(("127.0.0.1", victim.port), timeout=LONG) as connection:
            connection.sendall(request)
    assert client.get("/search?text=boat").status_code == 200


@pytest.mark.parametrize(
    "where",
    [
        ["text=" + "*a" * 490 + "b"] * 16, ["image=*" + "?" * 980 + "b*"] * 16, ["folder=" + "*é*/" * 240 + "b"] * 16,
        ["region=" + "0,1," * 240 + "3"] * 16, ["region=" + "1,2," * 10_000 + "1"], ["region=nan"], ["region=inf,nan"],
        ["region=1e308,-1e308,-1e308,-1e308,0,1e308"], ["region=" + "9" * 900], ["near=0,0,1e308km"], ["near=nan,0,1m"],
        ["alike=99999999999999999999999"], ["duplicates>=1e400"], ["date=9999-99-99"], ["text=\0"], ["\0=\0"],
        ["width=" + "9" * 990], ["bytes>9e300GB"], ["fields.x=1"], ["=" * 900], ["text=[" * 200], ["label=*"] * 17,
        ["a" * 1001], ["text=*\u0301*"], ["'); DROP TABLE images; --=1"],
    ],
)  # fmt: skip
def test_odd_conditions_are_compared_or_refused(client, where):
    for path in ("/search", "/listing"):
        replies = [client.post(path, data={"query": "boat", "where": where})]
        if sum(map(len, where)) < 5000:
            replies.append(client.get(path, params={"where": where, "query": "boat"}))
        assert all(reply.status_code == 200 or refused(reply) for reply in replies), replies[0].text


SAVED = {"query": "boat"}


@pytest.mark.parametrize(
    "name",
    [
        "..%2f..%2fetc%2fpasswd", "%00", "a%00b", "..", "%2e%2e", "%ff", "%ed%a0%80", "x" * 101, "%e2%80%ae", "a%0ab",
        "con:", "%20", "a%20", "%5c..%5cx", "\ud55c".encode().hex(), "%F0%9F%91%A9%E2%80%8D", "'%20OR%201=1",
    ],
)  # fmt: skip
def test_names_of_saved_queries_are_names_or_refused(client, name):
    for method, body in (("GET", None), ("PUT", SAVED), ("GET", None), ("DELETE", None), ("DELETE", None)):
        reply = client.request(method, f"/saved/{name}", json=body)
        assert reply.status_code in (200, 307) or refused(reply), reply.text
    assert client.get("/saved").json()["saved"] == []


@pytest.mark.parametrize(
    "headers", [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}]
)
def test_pages_of_others_neither_save_nor_remove_queries(client, headers):
    assert client.put("/saved/mine", json=SAVED).status_code == 200
    for method, body in (("PUT", {"query": "theirs"}), ("DELETE", None)):
        assert client.request(method, "/saved/mine", json=body, headers=headers).status_code == 403
    # What a form of another page may send without being asked for leave.
    assert refused(client.post("/saved/mine", data=SAVED))
    assert client.get("/saved/mine").json()["query"] == "boat"
    assert client.delete("/saved/mine").status_code == 200


def test_saved_queries_have_a_bound_and_many_bodies_are_refused(client):
    for body in (b"[" * 100_000, b"{}", b'{"query": "\\ud800"}', b'{"query": "a", "where": ' + b"[" * 9000, b"\xff"):
        assert refused(client.put("/saved/x", content=body, headers={"content-type": "application/json"}))
    assert refused(client.put("/saved/x", json={"query": "a", "where": ["width>1"] * 17}))
    assert refused(client.put("/saved/x", json={"query": "img:/etc/passwd"}))
    assert client.get("/saved").json()["saved"] == []


def test_the_sum_of_uploads_is_limited(client):
    large = picture(64, 64) + bytes(2 * 2**20)
    files = [("image", (f"{number}.png", large)) for number in range(16)]
    with contextlib.suppress(httpx.WriteError):  # the service may stop reading before all is sent
        assert client.post("/search", files=files).status_code == 413
    small = [("image", (f"{number}.png", picture(64, 64))) for number in range(17)]
    assert refused(client.post("/search", files=small))


@pytest.mark.parametrize("path", ["/facets", "/map", "/listing", "/saved", "/listing?query=boat&sort=-date"])
def test_many_who_ask_for_the_whole_collection_at_once_are_answered(client, path):
    with ThreadPoolExecutor(60) as threads:
        asked = [
            threads.submit(client.get, path, headers={"if-none-match": f'"{number}"' * 99}) for number in range(60)
        ]
        assert client.get("/health").status_code == 200
        assert {each.result(timeout=LONG).status_code for each in asked} <= {200, 404, 503}


def test_no_request_that_the_description_allows_or_forbids_fails(victim):
    """Requests made from `/openapi.json`, within its limits and beyond them."""
    schema = schemathesis.openapi.from_url(f"{victim.url}/openapi.json")
    operations = [each.ok() for each in schema.get_all_operations()]
    operations = [each for each in operations if not each.path.startswith("/api/")]  # the same once more
    assert len(operations) >= 10
    assert {"/listing", "/facets", "/map", "/saved", "/saved/{name}", "/rows"} <= {each.path for each in operations}
    for operation in operations:

        @given(case=operation.as_strategy())
        @settings(
            max_examples=10, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        def ask(case) -> None:
            reply = case.call(timeout=LONG)
            assert reply.status_code < 500 or reply.status_code == 503, reply.text

        ask()
