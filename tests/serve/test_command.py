"""`openalign serve` as a user runs it: a process, a trained model's folder, a URL, Ctrl-C."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from openalign.model import hub
from openalign.model.onnx import export, faster
from openalign.search import Index
from openalign.serve.app import create_app
from tests import preloaded
from tests.model import plain_graphs

pytestmark = pytest.mark.slow


def status_of(request: urllib.request.Request) -> int:
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code


WITH_FEW_FILES = """
import resource
from openalign.commands.cli import main
resource.setrlimit(resource.RLIMIT_NOFILE, (120, 120))
main()
"""


def test_the_command_prints_its_url_serves_and_ends_on_ctrl_c(index_folder):
    command = [sys.executable, "-m", "openalign", "serve", str(index_folder), "--port", "0"]
    process = preloaded.Popen(command, stderr=subprocess.PIPE)
    try:
        said = process.stderr.readline()
        url = re.search(r"2 images at (http://127\.0\.0\.1:\d+)", said)[1]
        with urllib.request.urlopen(f"{url}/api/search?text=a%20red%20apple&plus=boat") as reply:
            assert {Path(hit["image"]).name for hit in json.load(reply)["hits"]} == {"red.jpg", "blue.jpg"}
        for host, status in (("localhost", 200), ("[::1]:80", 200), ("elsewhere.example", 421), ("", 421)):
            assert status_of(urllib.request.Request(f"{url}/api/info", headers={"Host": host})) == status
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert (process.returncode, rest) == (0, "")


def test_incomplete_requests_do_not_block_a_service_with_few_open_files(index_folder):
    command = [sys.executable, "-c", WITH_FEW_FILES, "serve", index_folder, "--port", "0"]
    process = preloaded.Popen(command, stderr=subprocess.PIPE)
    try:
        port = int(re.search(r"2 images at http://127\.0\.0\.1:(\d+)", process.stderr.readline())[1])
        with ExitStack() as stack:
            for _ in range(300):
                client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
                client.sendall(b"GET / HT")
            for _ in range(3):
                for path in ("/health", "/api/search?text=a%20red%20apple", "/api/images/0"):
                    assert status_of(urllib.request.Request(f"http://127.0.0.1:{port}{path}")) == 200
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert (process.returncode, rest) == (0, "")


def test_an_opened_index_loads_its_model(index_folder):
    opened = Index.open(index_folder)
    assert opened.model.fingerprint == opened.store.meta.fingerprint
    assert len(opened.search("a blue boat")) == 2


def test_an_export_in_the_model_folder_is_used(index_folder, monkeypatch):
    opened = Index.open(index_folder)
    model = Path(opened.store.meta.model)
    monkeypatch.setattr(export, "_write", plain_graphs.write)
    export.export(model, model / "onnx")
    monkeypatch.setattr(faster, "_recall", lambda key: {"torch": 2.0, "onnx": 1.0})
    monkeypatch.setattr(hub, "load", lambda source: pytest.fail(f"{source} was loaded although it is exported"))
    with TestClient(create_app(Index.open(index_folder))) as client:
        assert len(client.get("/api/search?text=a+blue+boat").json()["hits"]) == 2


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_service_after_the_requests_in_work_and_within_its_limit(index_folder, ending):
    """Of three clients one is answered, one sends half a body, and one has only connected."""
    command = [sys.executable, "-m", "openalign", "serve", str(index_folder), "--port", "0"]
    process = preloaded.Popen(command, stderr=subprocess.PIPE)
    try:
        port = int(re.search(r":(\d+) ", process.stderr.readline())[1])
        with ExitStack() as stack:
            working, half, _ = (
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60)) for _ in range(3)
            )
            labels = "&".join(f"labels=label+{number}" for number in range(100)) + "&row=0"
            form = "Content-Type: application/x-www-form-urlencoded\r\n"
            head = f"POST /classify HTTP/1.1\r\nHost: localhost\r\n{form}Content-Length: {len(labels)}\r\n\r\n"
            half.sendall(f"{head}{labels[:50]}".encode())
            working.sendall(f"{head}{labels}".encode())
            queued(port, 1)
            process.send_signal(ending)
            assert working.recv(2**20).startswith(b"HTTP/1.1 200")
            rest = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == 0
    assert "Traceback" not in rest and "Exception" not in rest


def queued(port: int, least: int) -> None:
    """Returns when so much waits for the model of a service, or has been embedded already."""
    counted = re.compile(r"^openalign_(?:queue_items|batch_items_sum\S*) (\d+)", re.MULTILINE)
    for _ in range(1000):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as reply:
            if sum(map(int, counted.findall(reply.read().decode()))) >= least:
                return
    raise AssertionError("nothing waits")


def test_the_key_of_the_environment_is_asked_for_and_names_are_allowed_by_option(index_folder, monkeypatch):
    monkeypatch.setenv("OPENALIGN_API_KEY", "0123456789abcdef")
    options = ["--port", "0", "--allow-host", "photos.example", "--rate", "1"]
    process = preloaded.Popen(
        [sys.executable, "-m", "openalign", "serve", str(index_folder), *options], stderr=subprocess.PIPE
    )
    try:
        url = re.search(r"http://127\.0\.0\.1:\d+", process.stderr.readline())[0]
        search, key = f"{url}/search?text=boat", {"X-Api-Key": "0123456789abcdef"}
        assert status_of(urllib.request.Request(search)) == 401
        assert status_of(urllib.request.Request(search, headers=key)) == 200
        assert status_of(urllib.request.Request(search, headers={**key, "Host": "photos.example"})) == 200
        assert status_of(urllib.request.Request(search, headers={**key, "Host": "other.example"})) == 421
        statuses = [status_of(urllib.request.Request(search, headers=key)) for _ in range(20)]
        assert set(statuses) == {200, 429}
        assert status_of(urllib.request.Request(f"{url}/health")) == 200
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("key", "options", "message"),
    [("short", [], "OPENALIGN_API_KEY"), ("", [], "OPENALIGN_API_KEY"), (None, ["--rate", "0"], "--rate")],
)
def test_a_key_or_rate_that_is_of_no_use_is_a_mistake_in_what_is_typed(tmp_path, monkeypatch, key, options, message):
    if key is not None:
        monkeypatch.setenv("OPENALIGN_API_KEY", key)
    command = [sys.executable, "-m", "openalign", "serve", str(tmp_path), "--port", "0", *options]
    done = preloaded.run(command)
    assert done.returncode == 2
    assert message in done.stderr
