"""Whatever a server sends, and whatever a library raises on it, costs one URL and never the run."""

import asyncio
import gzip
import random
import socket
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import brotli
import pytest

from openalign.curation.fetch import fetcher, http_client
from openalign.curation.fetch.download import fetch
from openalign.curation.fetch.ledger import read_ledger
from openalign.curation.fetch.robots import MOST_PATTERNS, ROBOTS_BYTES
from openalign.curation.recipe import CurateRecipe
from openalign.errors import OpenAlignError
from tests.curation.site import JPEG, Server

pytestmark = pytest.mark.slow

ZEROS = bytes(1 << 26)
ASKED = CurateRecipe.of(
    allow_private_hosts=True, fetch_seconds=10.0, fetch_attempts=2, fetch_longest_wait=0.5, fetch_max_bytes=1 << 20
)


class RawServer:
    """Sends the very bytes of `answers` for a path, whole and then hangs up; robots.txt is one of them."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {"/good.jpg": answer(JPEG), "/robots.txt": answer(b"", status="404 none")}
        self.asked: Counter[str] = Counter()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=[connection], daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(10)
            request = b""
            while b"\r\n\r\n" not in request and (chunk := connection.recv(4096)):
                request += chunk
            path = request.partition(b" ")[2].partition(b" ")[0].decode("latin-1")
            self.asked[path] += 1
            try:
                connection.sendall(self.answers.get(path, answer(b"", status="404 none")))
                connection.shutdown(socket.SHUT_WR)
                connection.recv(1)
            except OSError:
                pass

    def stop(self) -> None:
        self._socket.close()


def answer(body: bytes, *headers: str | bytes, status: str = "200 OK", length: object = None) -> bytes:
    lines = [f"HTTP/1.1 {status}".encode(), *(line.encode() if isinstance(line, str) else line for line in headers)]
    lines += [f"Content-Length: {len(body) if length is None else length}".encode(), b"Connection: close"]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@pytest.fixture
def raw() -> Iterator[RawServer]:
    running = RawServer()
    yield running
    running.stop()


def problem_of(raw: RawServer, to: Path, path: str = "/odd.jpg", settings: CurateRecipe = ASKED) -> str | None:
    """Why the image at `path` was not fetched, the other one having been."""
    found = fetch([raw.address + path, f"{raw.address}/good.jpg"], to, settings=settings.fetch)["problem"].to_pylist()
    assert found[1] is None
    assert len(read_ledger(to / "ledger.jsonl")) == 2
    problem: str | None = found[0]
    assert problem is None or (problem.isprintable() and len(problem) <= 300)
    return problem


@pytest.mark.parametrize(
    "value",
    [
        "Fri, 31 Dec 99999 23:59:59 GMT",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Mon, 01 Jan 0001 00:00:00 +2359",
        "Mon, 01 Jan 1 00:00:00",
        f"Mon, 01 Jan 2030 00:00:00 +{'9' * 30}",
        "Mon, 32 Jan 2030 25:61:61 GMT",
        "-5",
        "9" * 5000,
        "nan",
        "inf",
        "1e400",
        "٣",
        "²",
        "",
        ",;:",
        b"\xff\xfe",
    ],
)
def test_a_retry_after_of_any_content_is_one_failure(raw: RawServer, tmp_path: Path, value: str | bytes) -> None:
    value = value.encode() if isinstance(value, str) else value
    raw.answers["/odd.jpg"] = answer(b"", b"Retry-After: " + value, status="503 busy")
    assert problem_of(raw, tmp_path) == "HTTP 503"


def test_a_retry_after_with_a_date_is_obeyed(raw: RawServer, tmp_path: Path) -> None:
    settings = ASKED.replace(fetch_attempts=3, fetch_longest_wait=0.0)
    past, future = (formatdate(time.time() + later, usegmt=True) for later in (-60, 60))
    raw.answers["/odd.jpg"] = answer(b"", f"Retry-After: {past}", status="503 busy")
    assert problem_of(raw, tmp_path / "past", settings=settings) == "HTTP 503"
    assert raw.asked["/odd.jpg"] == 3
    raw.answers["/odd.jpg"] = answer(b"", f"Retry-After: {future}", status="503 busy")
    assert problem_of(raw, tmp_path / "future", settings=settings) == "HTTP 503"
    assert raw.asked["/odd.jpg"] == 4


REDIRECTS = [
    "http://[::1", "http://127.0.0.1:99999999/", "http://127.0.0.1:0/", "http://xn--\udcff.example/", "http://.../",
    "http://" + "a" * 64 + ".example/", "http://" + "ß" * 300 + "/", "http://xn--a/", "http://user:pass@", "//",
    "http:",
    "http://%31%32/", "\\\\", "javascript:1", "data:image/png;base64,AA", "file:///etc/passwd", "", " ", "x" * 7000,
    "http://[fe80::1%25eth0]/", "http://[::ffff:1.2.3]/", "http://1.2.3.4.5.6/", "http://٣.٣.٣.٣:1/", "?" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("location", REDIRECTS, ids=range(len(REDIRECTS)))
def test_a_redirect_to_nowhere_is_one_failure(raw: RawServer, tmp_path: Path, location: str) -> None:
    raw.answers["/odd.jpg"] = answer(b"", b"Location: " + location.encode(errors="surrogateescape"), status="302 Found")
    assert problem_of(raw, tmp_path, settings=ASKED.replace(fetch_attempts=1)) is not None


ANSWERS: dict[str, bytes] = {
    "nothing": b"",
    "no HTTP": b"\x00\xff" * 500,
    "half a status line": b"HTTP/1.1 20",
    "a status of words": b"HTTP/1.1 OK fine\r\n\r\n",
    "a status of 999": answer(JPEG, status="999 no"),
    "a status of 000": answer(JPEG, status="000 no"),
    "an interim answer only": b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" + JPEG,
    "a longer length": answer(JPEG, length=10**6),
    "a length of words": answer(JPEG, length="many"),
    "a negative length": answer(JPEG, length=-1),
    "a length beyond any": answer(JPEG, length=10**30),
    "two lengths": answer(JPEG, "Content-Length: 5"),
    "length and chunks": answer(b"5\r\nabcde\r\n0\r\n\r\n", "Transfer-Encoding: chunked"),
    "a chunk of words": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nmany\r\nabc",
    "a chunk beyond any": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\nabc",
    "an unknown transfer encoding": answer(JPEG, "Transfer-Encoding: rot13"),
    "a type of odd bytes": answer(b"<html>", b"Content-Type: \xff\xfe\x80; charset=\xff"),
    "a type of nothing": answer(b"<html>", "Content-Type: ;;=;,/"),
    "a charset that is none": answer(b"<html>", "Content-Type: text/html; charset=idna"),
    "a long type": answer(b"<html>", "Content-Type: " + "x" * 7000),
    "a header of 100 kB": answer(JPEG, "X: " + "y" * 100_000),
    "40,000 headers": answer(JPEG, *["X: y"] * 40_000),
    "a header without a name": answer(JPEG, ": y"),
    "a header with a zero byte": answer(JPEG, b"X: \x00"),
    "broken gzip": answer(b"\x1f\x8b" + bytes(100), "Content-Encoding: gzip"),
    "no gzip at all": answer(JPEG, "Content-Encoding: gzip"),
    "broken deflate": answer(zlib.compress(JPEG)[3:], "Content-Encoding: deflate"),
    "broken brotli": answer(brotli.compress(JPEG)[2:] + b"\xff" * 9, "Content-Encoding: br"),
    "half a brotli": answer(brotli.compress(bytes(random.Random(0).randbytes(5000)))[:900], "Content-Encoding: br"),
    "a gzip bomb": answer(gzip.compress(gzip.compress(ZEROS, 1) + ZEROS, 1), "Content-Encoding: gzip"),
    "a brotli bomb": answer(brotli.compress(JPEG + ZEROS, quality=2), "Content-Encoding: br"),
    "gzip twice": answer(gzip.compress(gzip.compress(JPEG)), "Content-Encoding: gzip, gzip"),
    "a robots tag against us": answer(JPEG, b"X-Robots-Tag: \xff\xfe:::,,noai", b"X-Robots-Tag: openalign: noai"),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_of_any_bytes_is_one_failure(raw: RawServer, tmp_path: Path, name: str) -> None:
    raw.answers["/odd.jpg"] = ANSWERS[name]
    settings = ASKED.replace(fetch_attempts=1)
    assert problem_of(raw, tmp_path, settings=settings) is not None


@pytest.mark.parametrize(
    "header",
    [
        b"Set-Cookie: \xff\xfe=\x80;;;; Max-Age=999999999999999999; Expires=Fri, 31 Dec 99999 23:59:59 GMT; Domain=..",
        b"X-Robots-Tag: :,:,:\xff",
        b"Content-Type: image/\xff; charset=\xff",
        b"Retry-After: Fri, 31 Dec 99999 23:59:59 GMT",
        b"Location: http://[::1",
        b"Link: <<<<",
        b"Strict-Transport-Security: max-age=-1",
    ],
)
def test_an_odd_header_beside_a_good_image_does_not_matter(raw: RawServer, tmp_path: Path, header: bytes) -> None:
    raw.answers["/odd.jpg"] = answer(JPEG, header)
    assert problem_of(raw, tmp_path) is None


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_answer_costs_only_its_own_url(
    raw: RawServer, tmp_path: Path, seed: int, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(seed)
    body = rng.choice([JPEG, gzip.compress(JPEG)])
    headers = ["Content-Type: image/jpeg", "Set-Cookie: a=b; Path=/", "X-Robots-Tag: all", "Location: /good.jpg"]
    headers += ["Content-Encoding: gzip"] if body != JPEG else []
    damaged = bytearray(answer(body, *headers, status=rng.choice(["200 OK", "301 Moved", "503 Busy"])))
    for _ in range(rng.randint(1, 12)):
        damaged[rng.randrange(min(len(damaged), 250))] = rng.randrange(256)
    raw.answers["/odd.jpg"] = bytes(damaged)
    problem_of(raw, tmp_path, settings=ASKED.replace(fetch_attempts=1))
    assert "Traceback" not in "".join(capfd.readouterr())


ROBOTS: dict[str, tuple[bytes, bool]] = {  # and whether the good image may be fetched
    "zero bytes": (bytes(1000), True),
    "binary junk": (random.Random(1).randbytes(100_000), True),
    "another encoding": ("User-agent: *\nDisallow: /\n".encode("utf-16"), False),
    "a byte order mark": (b"\xef\xbb\xbfUser-agent: *\nDisallow: /\n", False),
    "ten million lines": (b"\n" * 10_000_000, True),
    "20,000 agents over 20,000 rules": (
        b"".join(b"user-agent:%d\n" % n for n in range(20_000)) + b"user-agent:*\n" + b"disallow:/\n" * 20_000,
        False,
    ),
    "many rules with wildcards": (b"user-agent: *\n" + b"disallow: /*x\n" * (MOST_PATTERNS + 1), False),
    "a line of 500 kB": (b"user-agent: *\ndisallow: /" + b"*a" * 250_000, True),
    "a rule behind 512 KiB": (b"user-agent: *\n" + b"# \n" * (ROBOTS_BYTES // 3) + b"disallow: /\n", True),
    "a rule that 512 KiB cut": (
        b"user-agent: *\n" + b"#" * (ROBOTS_BYTES - 27) + b"\ndisallow: /secret\n" + b"#" * 99, True,
    ),
    "a rule within 512 KiB": (b"user-agent: *\ndisallow: /\n" + b"#\n" * ROBOTS_BYTES, False),
}  # fmt: skip


@pytest.mark.parametrize("name", ROBOTS)
def test_a_robots_txt_of_any_content_is_read_as_far_as_it_says_something(
    raw: RawServer, tmp_path: Path, name: str
) -> None:
    content, allowed = ROBOTS[name]
    raw.answers["/robots.txt"] = answer(content)
    [problem] = fetch([f"{raw.address}/good.jpg"], tmp_path, settings=ASKED.fetch)["problem"].to_pylist()
    assert (problem is None) == allowed
    assert problem is None or "robots.txt of 127.0.0.1" in problem


@pytest.mark.parametrize("robots", [ANSWERS["no HTTP"], ANSWERS["broken gzip"], ANSWERS["a longer length"]])
def test_where_robots_txt_cannot_be_had_nothing_is_asked_for(
    raw: RawServer, tmp_path: Path, robots: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    raw.answers["/robots.txt"] = robots
    other = RawServer()
    found = fetch([f"{raw.address}/good.jpg", f"{other.address}/good.jpg"], tmp_path, settings=ASKED.fetch)
    other.stop()
    problems = found["problem"].to_pylist()
    assert problems[1] is None and problems[0].startswith("robots.txt of 127.0.0.1: ")
    assert "Traceback" not in "".join(capfd.readouterr())


def test_rules_of_more_sites_than_fit_into_memory_are_read_again(
    raw: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [RawServer() for _ in range(3)]
    names = ["secret", *(f"{number}.jpg" for number in range(5))]
    for running in (raw, *others):
        running.answers["/robots.txt"] = answer(b"User-agent: *\nDisallow: /secret\n")
        running.answers |= {f"/{name}": answer(JPEG) for name in names}
    urls = [f"{running.address}/{name}" for name in names for running in (raw, *others)]
    monkeypatch.setattr(http_client, "_MAX_RULES", 100)  # those of three sites
    settings = ASKED.replace(fetch_at_once=1, fetch_per_host=1)  # one after the other
    problems = fetch(urls, tmp_path, settings=settings.fetch)["problem"].to_pylist()
    assert problems == ["robots.txt of 127.0.0.1 forbids it"] * 4 + [None] * 20
    assert raw.asked["/robots.txt"] == 6
    for running in others:
        running.stop()


def test_a_url_that_no_server_takes_is_refused(raw: RawServer, tmp_path: Path) -> None:
    assert problem_of(raw, tmp_path, "/" + "a" * 9000) == "a URL of more than 8,192 characters"


STEPS: list[tuple[Any, str, bool]] = [  # where, which function, and whether it is awaited
    (fetcher, "normalise", False),
    (fetcher, "format_of", None),
    (fetcher, "refuse_opted_out", False),
    (fetcher, "file_of", False),
    (fetcher, "read_at_most", True),
    (fetcher, "_image_of", True),
    (fetcher, "_retry_after", False),
    (fetcher.Fetcher, "_store", False),
    (fetcher.Fetcher, "_request", True),
    (http_client, "resolve", False),
    (http_client.Robots, "permit", True),
    (http_client.Robots, "_permit_host", True),
]


@pytest.mark.parametrize("error", [RuntimeError, UnicodeError, OverflowError, RecursionError, MemoryError])
@pytest.mark.parametrize(("home", "name", "awaited"), STEPS, ids=[name for _, name, _ in STEPS])
def test_an_exception_at_any_step_of_one_url_is_its_failure(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    home: Any,
    name: str,
    awaited: bool,
    error: type[Exception],
) -> None:
    # Every step runs for the third URL, and raises for it alone.
    names = ["octets", "moved.jpg", "busy.jpg" if name == "_retry_after" else "moved.jpg?odd", "one.jpg"]
    odd = f"{server.url}/{names[2]}"
    real: Callable[..., Any] = getattr(home, name)
    current = task_local(monkeypatch)

    def wrapped(*given: Any, **named: Any) -> Any:
        if current() == odd:
            raise error("of a library")
        return real(*given, **named)

    async def wrapped_and_awaited(*given: Any, **named: Any) -> Any:
        return await wrapped(*given, **named)

    monkeypatch.setattr(home, name, wrapped_and_awaited if awaited else wrapped)
    urls = [f"{server.url}/{each}" for each in names]
    found = fetch(urls, tmp_path, settings=ASKED.fetch)["problem"].to_pylist()
    assert [problem is None for problem in found] == [True, True, False, True]
    assert "of a library" in found[2]
    statuses = {entry.image: entry.status for entry in read_ledger(tmp_path / "ledger.jsonl").values()}
    assert [statuses[url] == "kept" for url in urls] == [True, True, False, True]


def task_local(monkeypatch: pytest.MonkeyPatch) -> Callable[[], str | None]:
    """The URL that the running task fetches."""
    dealing: dict[Any, str] = {}
    real = fetcher.Fetcher.fetch

    async def fetch_one(self: Any, url: str) -> Any:
        dealing[asyncio.current_task()] = url
        return await real(self, url)

    monkeypatch.setattr(fetcher.Fetcher, "fetch", fetch_one)
    return lambda: dealing.get(asyncio.current_task())


@pytest.mark.parametrize("error", [RuntimeError, UnicodeError, OverflowError, RecursionError])
def test_an_exception_while_robots_txt_is_read_is_the_failure_of_its_site(
    raw: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    other = RawServer()
    raw.answers["/robots.txt"], other.answers["/robots.txt"] = answer(b"odd"), answer(b"")
    real = http_client.parse_robots

    def parse(body: bytes, product: str) -> Any:
        if body == b"odd":
            raise error("of a library")
        return real(body, product)

    monkeypatch.setattr(http_client, "parse_robots", parse)
    found = fetch([f"{raw.address}/good.jpg", f"{other.address}/good.jpg"], tmp_path, settings=ASKED.fetch)
    other.stop()
    problems = found["problem"].to_pylist()
    assert problems[1] is None and "robots.txt of 127.0.0.1: " in problems[0] and "of a library" in problems[0]


def test_a_folder_that_cannot_be_written_ends_the_run(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fetcher, "whole_file", full)
    with pytest.raises(OpenAlignError, match=r"No space left on device; run the same command again to resume"):
        fetch([f"{server.url}/one.jpg"], tmp_path, settings=ASKED.fetch)
