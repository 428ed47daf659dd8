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
from openalign.model.export import export
from openalign.search import Index
from openalign.serve.app import create_app
from tests import preloaded

pytestmark = pytest.mark.slow


def status_of(request: urllib.request.Request) -> int:
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code


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
    command = ["bash", "-c", f"ulimit -n 120; exec {sys.executable} -m openalign serve {index_folder} --port 0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
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
    export(model, model / "onnx")
    monkeypatch.setattr(hub, "load", lambda source: pytest.fail(f"{source} was loaded although it is exported"))
    with TestClient(create_app(Index.open(index_folder))) as client:
        assert len(client.get("/api/search?text=a+blue+boat").json()["hits"]) == 2
