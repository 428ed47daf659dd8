"""Shards at a URL give the same pairs as on disk, read by byte ranges."""

import functools
import re
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import numpy as np
import pytest
import torch

from openalign.data.files import remote
from openalign.data.images.decode import encode_jpeg
from openalign.data.loading.loader import Batch, BatchLoader
from openalign.data.loading.settings import LoaderSettings
from openalign.data.pairs.open import open_pairs
from openalign.data.pairs.pairs import Pairs
from openalign.data.shards.index import index_path, read_index
from openalign.data.shards.writer import ShardWriter
from openalign.data.tokenizer.wordpiece import Tokenizer, train_tokenizer
from openalign.errors import OpenAlignError

COUNT = 12


class RangeHandler(SimpleHTTPRequestHandler):
    """Files of a folder and parts of them, as object stores serve them; `/whole/` serves whole files only."""

    asked: list[str]
    failures: list[int]
    """The status codes of the next answers."""

    def do_GET(self) -> None:
        if self.failures:
            self.send_error(self.failures.pop())
            return
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        if wanted is None or not path.is_file() or "whole" in self.path:
            super().do_GET()
            return
        self.asked.append(self.path)
        first, last = int(wanted[1]), int(wanted[2])
        data = path.read_bytes()
        if first >= len(data):
            self.send_error(416)
            return
        self.send_response(206)
        part = data[first : last + 1]
        self.send_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with ShardWriter(tmp_path / "shards", samples_per_shard=5) as writer:
        for i in range(COUNT):
            colours = np.random.default_rng(i).integers(0, 255, (40, 50, 3), dtype=np.uint8)
            writer.write(f"{i}", encode_jpeg(colours), f"picture {i}", {"image": f"http://a.test/{i}"})
    return tmp_path / "shards"


@pytest.fixture
def serving(folder: Path) -> Iterator[tuple[ThreadingHTTPServer, type[RangeHandler]]]:
    handler = type("Handler", (RangeHandler,), {"asked": [], "failures": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(folder.parent)))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server, handler
    server.shutdown()
    server.server_close()


@pytest.fixture
def server(serving: tuple[ThreadingHTTPServer, type[RangeHandler]]) -> str:
    return f"http://127.0.0.1:{serving[0].server_port}"


@pytest.fixture
def handler(serving: tuple[ThreadingHTTPServer, type[RangeHandler]]) -> type[RangeHandler]:
    return serving[1]


@pytest.fixture
def memory(folder: Path) -> Iterator[str]:
    files = fsspec.filesystem("memory")
    for file in folder.iterdir():
        files.pipe_file(f"/bucket/{file.name}", file.read_bytes())
    yield "memory://bucket"
    files.rm("/bucket", recursive=True)


def batches(pairs: Pairs, tokenizer: Tokenizer, workers: int) -> list[Batch]:
    settings = LoaderSettings(batch_size=4, seed=1, image_size=24, resize_size=32, workers=workers)
    return list(BatchLoader(pairs, tokenizer, settings, first_step=0, last_step=4))


def assert_same(some: Pairs, others: Pairs) -> None:
    assert some.table.equals(others.table)
    assert all(some.image_bytes(row) == others.image_bytes(row) for row in range(len(others)))


def test_shards_in_memory_give_the_pairs_of_those_on_disk(folder: Path, memory: str) -> None:
    assert_same(open_pairs(memory), open_pairs(folder))
    assert len(open_pairs(f"{memory}/shard-00002.tar")) == 2
    assert_same(open_pairs(f"file://{folder}"), open_pairs(folder))


def test_without_its_sidecar_a_shard_is_indexed_by_one_pass(folder: Path, memory: str) -> None:
    files = fsspec.filesystem("memory")
    for file in folder.glob("*.parquet"):
        files.rm(f"/bucket/{file.name}")
    some, others = open_pairs(memory), open_pairs(folder)
    assert some.texts() == others.texts()
    assert all(some.image_bytes(row) == others.image_bytes(row) for row in range(len(others)))
    assert some.table["image"].to_pylist()[5] == "shard-00001.tar/5.jpg"


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_over_http_are_those_of_the_files(folder: Path, server: str, tmp_path: Path, workers: int) -> None:
    local, remote = open_pairs(folder), open_pairs(f"{server}/shards/")
    tokenizer = Tokenizer.load(train_tokenizer(local.texts(), tmp_path / "tokenizer.json", 100))
    assert remote.image_bytes(0) == local.image_bytes(0)  # connections of this process must not reach the workers
    for one, other in zip(batches(local, tokenizer, 0), batches(remote, tokenizer, workers), strict=True):
        assert torch.equal(one.images_BHWC, other.images_BHWC)
        assert torch.equal(one.ids_BT, other.ids_BT)
        assert other.problems == []


def test_the_fingerprint_follows_the_file_at_the_url(memory: str) -> None:
    before = open_pairs(memory).fingerprint()
    assert open_pairs(memory).fingerprint() == before
    files = fsspec.filesystem("memory")
    files.pipe_file("/bucket/shard-00000.tar", files.cat_file("/bucket/shard-00000.tar") + bytes(512))
    assert open_pairs(memory).fingerprint() != before


def test_a_read_that_fails_is_tried_again(
    folder: Path, server: str, handler: type[RangeHandler], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_FIRST_PAUSE_S", 0.01)
    pairs = open_pairs(f"{server}/shards")
    handler.failures += [503, 500]
    assert pairs.image_bytes(3) == open_pairs(folder).image_bytes(3)
    handler.failures += [503] * 3
    with pytest.raises(OpenAlignError, match=r"row 4 .*shard-00000\.tar cannot be read \(503"):
        pairs.image_bytes(3)


def test_rows_past_the_end_of_a_truncated_shard_are_named_without_a_request_for_each(
    folder: Path, server: str, handler: type[RangeHandler]
) -> None:
    pairs = open_pairs(f"{server}/shards")
    tar = folder / "shard-00000.tar"
    offsets = read_index(tar)["image_offset"].to_pylist()
    tar.write_bytes(tar.read_bytes()[: offsets[2]])
    assert pairs.image_bytes(1)
    handler.asked.clear()
    for row in (2, 3, 4):
        with pytest.raises(OpenAlignError, match=rf"row {row + 1} .*shard-00000\.tar is shorter than its index says"):
            pairs.image_bytes(row)
    assert handler.asked == ["/shards/shard-00000.tar"]
    assert pairs.image_bytes(5)


def test_a_truncated_shard_at_a_url_gives_its_complete_samples(folder: Path, server: str) -> None:
    tar = folder / "shard-00002.tar"
    offsets = read_index(tar)["image_offset"].to_pylist()
    tar.write_bytes(tar.read_bytes()[: offsets[1] + 100])
    index_path(tar).unlink()
    pairs = open_pairs(f"{server}/shards")
    assert len(pairs) == 11
    assert pairs.problems[0].startswith(f"{server}/shards/shard-00002.tar is cut off or damaged after 1 samples")


def test_a_server_without_ranges_is_an_error(folder: Path, server: str) -> None:
    (folder.parent / "whole").symlink_to(folder)
    with pytest.raises(OpenAlignError, match="the server sends whole files only"):
        open_pairs(f"{server}/whole/").image_bytes(0)


def test_what_cannot_be_opened_is_an_error_that_names_it(
    server: str, memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_FIRST_PAUSE_S", 0.01)
    fsspec.filesystem("memory").pipe_file("/other/readme.txt", b"x")
    for url, message in (
        ("memory://nowhere", "memory://nowhere does not exist"),
        ("memory://other", "holds no shards"),
        (f"{server}/nothing.tar", "nothing.tar does not exist"),
        ("http://127.0.0.1:9/shards", "cannot be read"),
        ("gopher://a/b", "gopher://a/b is not a URL that can be read"),
    ):
        with pytest.raises(OpenAlignError, match=message) as error:
            open_pairs(url)
        assert "\n" not in str(error.value)
