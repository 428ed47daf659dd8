"""Fetching from a real server on loopback: what is kept, what is refused, and what is never asked."""

import asyncio
import hashlib
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from openalign.curation.fetch.download import fetch
from openalign.curation.fetch.http_client import is_public
from openalign.curation.fetch.ledger import read_ledger
from openalign.curation.pipeline import curate
from openalign.curation.recipe import CurateRecipe
from openalign.curation.sources.locations import parse_location
from openalign.errors import OpenAlignError
from tests import preloaded
from tests.curation.site import JPEG, Server

pytestmark = pytest.mark.slow

PUBLIC = CurateRecipe.of(fetch_seconds=1.0, fetch_max_bytes=100_000, fetch_longest_wait=1.0)
QUICK = PUBLIC.replace(allow_private_hosts=True)


def problems(names: list[str], server: Server, to: Path) -> list[str | None]:
    urls = [f"{server.url}/{name}" for name in names]
    return fetch(urls, to, settings=QUICK.fetch)["problem"].to_pylist()


def test_images_are_kept_whole_under_the_hash_of_their_url(server: Server, tmp_path: Path) -> None:
    urls = [f"{server.url}/{name}" for name in ("one.jpg", "octets", "moved.jpg", "one.jpg")]
    table = fetch(urls, tmp_path, settings=QUICK.fetch)
    assert table.column_names == ["image", "location", "problem"]
    assert table["image"].to_pylist() == urls
    assert table["problem"].to_pylist() == [None] * 4
    assert all(parse_location(location).read() == JPEG for location in table["location"].to_pylist())
    entries = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert sorted(entry["image"] for entry in entries) == sorted(set(urls))
    assert {entry["bytes"] for entry in entries} == {len(JPEG)}


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("missing.jpg", "HTTP 404"),
        ("html.jpg", "not an image but image/jpeg"),
        ("loop", "more than 5 redirects"),
        ("to-file", "HTTP 302 redirects to no valid URL"),
        ("noai.jpg", "X-Robots-Tag: noai"),
        ("noimageai.jpg", "X-Robots-Tag: noimageai"),
        ("named.jpg", "X-Robots-Tag: noai"),
        ("others.jpg", None),
        ("bomb.jpg", "larger than 0.0953674 MB"),
        ("large.jpg", "larger than 0.0953674 MB"),
        ("endless.jpg", "larger than 0.0953674 MB"),
        ("secret/a.jpg", "robots.txt of 127.0.0.1 forbids it"),
        ("to-secret", "robots.txt of 127.0.0.1 forbids it"),
        ("much-too-busy.jpg", "HTTP 429"),
    ],
)
def test_what_cannot_be_had_has_a_reason(server: Server, tmp_path: Path, name: str, problem: str | None) -> None:
    assert problems([name, "one.jpg"], server, tmp_path) == [problem, None]
    assert server.asked["/secret/a.jpg"] == 0


def test_slow_server_is_given_up_within_the_time(server: Server, tmp_path: Path) -> None:
    settings = QUICK.replace(fetch_seconds=0.3, fetch_attempts=1)
    started = time.monotonic()
    table = fetch([f"{server.url}/slow.jpg"], tmp_path, settings=settings.fetch)
    assert table["problem"].to_pylist() == ["no complete response within 0.3 s"]
    assert time.monotonic() - started < 2


def test_an_answer_that_is_cut_off_is_tried_again_and_then_named(server: Server, tmp_path: Path) -> None:
    [problem, none] = problems(["short.jpg", "one.jpg"], server, tmp_path)
    assert none is None
    assert problem is not None and "not" in problem.lower()
    assert server.asked["/short.jpg"] == QUICK.fetch.fetch_attempts


def test_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    assert problems(["busy.jpg"], server, tmp_path) == [None]
    assert server.asked["/busy.jpg"] == 2


def test_rerun_asks_only_for_what_is_missing(server: Server, tmp_path: Path) -> None:
    names = ["one.jpg", "missing.jpg", "much-too-busy.jpg"]
    problems(names, server, tmp_path)
    with (tmp_path / "ledger.jsonl").open("a") as ledger:
        ledger.write('{"image": "cut off')
    server.asked.clear()
    assert problems([*names, "octets"], server, tmp_path) == [None, "HTTP 404", "HTTP 429", None]
    assert server.asked == {"/robots.txt": 1, "/much-too-busy.jpg": 1, "/octets": 1}
    [kept] = [path for path in tmp_path.rglob("*") if path.is_file() and "/one.jpg" in ledger_of(tmp_path, path)]
    kept.unlink()
    server.asked.clear()
    assert problems(["one.jpg", "octets"], server, tmp_path) == [None, None]
    assert server.asked == {"/robots.txt": 1, "/one.jpg": 1}


def ledger_of(folder: Path, path: Path) -> str:
    """The URL whose image is stored at `path`, "" if there is none."""
    for line in (folder / "ledger.jsonl").read_text().splitlines():
        if line.endswith("}") and (entry := json.loads(line))["file"] == path.relative_to(folder).as_posix():
            return str(entry["image"])
    return ""


def test_one_host_sees_few_requests_at_once(server: Server, tmp_path: Path) -> None:
    assert problems([f"many{n}.jpg" for n in range(40)], server, tmp_path) == [None] * 40
    assert 2 <= server.most_at_once <= 4
    assert server.asked["/robots.txt"] == 1


def test_dead_host_and_odd_urls_do_not_raise(server: Server, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    urls = [
        f"http://127.0.0.1:{port}/a.jpg",
        f"https://{server.url.partition('//')[2]}/one.jpg",  # speaks no TLS
        "ftp://a.org/x",
        "http://[::1/x",
        "http://a b/x",
        "",
        "x.jpg",
        "http://:80/",
    ]
    found = fetch(urls, tmp_path, settings=QUICK.fetch)["problem"].to_pylist()
    assert all(found)
    assert found[2:] == ["not an http(s) URL"] * 6


class FixedResolver(AbstractResolver):
    """Resolves every name to the same address."""

    def __init__(self, address: str) -> None:
        self.address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host=self.address, port=port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        return None


@pytest.fixture
def no_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*args: object, **kwargs: object) -> None:
        pytest.fail("a connection was opened")

    monkeypatch.setattr("aiohttp.connector.TCPConnector._wrap_create_connection", refuse)


@pytest.mark.usefixtures("no_connections")
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8000",
        "169.254.169.254",
        "10.0.0.1",
        "0x7f000001",
        "2130706433",
        "127.1",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "[fe80::1]",
        "[64:ff9b::a00:1]",
        "0.0.0.0",
        "100.64.0.1",
        "224.0.0.1",
    ],
)
def test_private_addresses_are_never_requested(tmp_path: Path, host: str) -> None:
    [problem] = fetch([f"http://{host}/a.jpg"], tmp_path, settings=PUBLIC.fetch)["problem"].to_pylist()
    assert "not a" in problem and "public address" in problem


@pytest.mark.usefixtures("no_connections")
@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "::ffff:192.168.0.1"])
def test_names_that_resolve_to_private_addresses_are_never_requested(tmp_path: Path, address: str) -> None:
    table = fetch(["http://images.example/a.jpg"], tmp_path, settings=PUBLIC.fetch, resolver=FixedResolver(address))
    assert table["problem"].to_pylist() == [f"images.example resolves to {address}, which is not a public address"]


def test_redirect_into_a_private_network_is_not_followed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openalign.curation.fetch.http_client.is_public", lambda address: address == "127.0.0.1")
    table = fetch([f"{server.url}/to-metadata"], tmp_path, settings=PUBLIC.fetch)
    assert table["problem"].to_pylist() == ["169.254.169.254 is not a public address"]


def test_folder_that_cannot_be_written_is_one_message(server: Server, tmp_path: Path) -> None:
    name = hashlib.sha256(f"{server.url}/one.jpg".encode()).hexdigest()
    (tmp_path / name[:2]).write_bytes(b"a file where a folder should be")
    with pytest.raises(OpenAlignError, match=f"{tmp_path} could not be written"):
        problems(["one.jpg"], server, tmp_path)


def test_interrupted_run_leaves_a_ledger_that_the_next_one_goes_on_from(server: Server, tmp_path: Path) -> None:
    urls = [f"{server.url}/one.jpg", *(f"{server.url}/many{n}.jpg" for n in range(400))]
    script = f"""
import signal
from pathlib import Path
from openalign.curation.fetch.download import fetch
from openalign.curation.recipe import CurateRecipe
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start what runs in the background without it
fetch({urls!r}, Path({str(tmp_path)!r}), settings=CurateRecipe.of(allow_private_hosts=True).fetch)
"""
    server.stalls_after = 100  # else a quick client may be done before the signal reaches it
    with preloaded.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE) as running:
        while sum(server.asked.values()) <= 100 and running.poll() is None:
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=120) != 0
    done = len((tmp_path / "ledger.jsonl").read_text().splitlines())
    assert 10 < done < 401
    server.asked.clear()
    server.stalls_after = 10_000
    assert fetch(urls, tmp_path, settings=CurateRecipe.of(allow_private_hosts=True).fetch)["problem"].null_count == 401
    assert sum(server.asked.values()) == 401 - done + 1


def test_a_second_curation_can_ask_again_for_just_what_failed(server: Server, tmp_path: Path) -> None:
    rows = [f"{server.url}/{name},a picture of something" for name in ("one.jpg", "busy.jpg", "missing.jpg")]
    (tmp_path / "pairs.csv").write_text("\n".join(["url,text", *rows]) + "\n")
    settings = CurateRecipe.of(allow_private_hosts=True, fetch_attempts=1)

    def again(retry_failed: bool) -> list[str]:
        server.asked.clear()
        curate([tmp_path / "pairs.csv"], to=tmp_path / "to", workers=1, recipe=settings, retry_failed=retry_failed)
        return sorted(server.asked)

    kept = tmp_path / ".to.cache" / "downloads"
    assert again(False) == ["/busy.jpg", "/missing.jpg", "/one.jpg", "/robots.txt"]
    assert kept.is_dir() and statuses(tmp_path / "to") == {
        "one.jpg": "kept",
        "busy.jpg": "failed",
        "missing.jpg": "refused",
    }
    assert again(False) == []
    server.busy = 0
    assert again(True) == ["/busy.jpg", "/robots.txt"]
    assert statuses(tmp_path / "to")["busy.jpg"] == "kept"


def statuses(folder: Path) -> dict[str, str]:
    return {entry.image.rpartition("/")[2]: entry.status for entry in read_ledger(folder / "ledger.jsonl").values()}


def test_public_addresses_are_public() -> None:
    assert all(map(is_public, ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34"]))


def test_fetch_works_inside_a_running_event_loop(server: Server, tmp_path: Path) -> None:
    async def notebook() -> list[str | None]:
        return problems(["one.jpg"], server, tmp_path)

    assert asyncio.run(notebook()) == [None]
