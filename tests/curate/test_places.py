"""Sources at an address give what the same files give on disk."""

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow.parquet as pq
import pytest

from openalign.curate.pipeline import curate
from openalign.curate.places import bytes_at, opened
from openalign.curate.settings import CurateSettings
from openalign.curate.sources import read_image
from openalign.curate.warc import scan
from openalign.errors import OpenAlignError
from tests.curate.crawl import write_crawl
from tests.curate.extracted import extracted

OFFLINE = CurateSettings(download=False)


@pytest.fixture
def bucket() -> Iterator[fsspec.AbstractFileSystem]:
    files = fsspec.filesystem("memory")
    yield files
    files.rm("/", recursive=True)


def kept(folder: Path) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = pq.read_table(folder / "pairs.parquet").to_pylist()
    return rows


def test_a_crawl_at_an_address_is_curated_as_on_disk(bucket: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    crawl = write_crawl(tmp_path / "crawl.warc.gz")
    bucket.pipe("/crawls/a.warc.gz", crawl.read_bytes())
    for source, to in ((str(crawl), "disk"), ("memory://crawls/*.warc.gz", "bucket")):
        curate([source], to=tmp_path / to, workers=1, settings=OFFLINE)
    assert kept(tmp_path / "bucket") == kept(tmp_path / "disk")
    shard = Path("shards/shard-00000.tar")
    assert (tmp_path / "bucket" / shard).read_bytes() == (tmp_path / "disk" / shard).read_bytes()

    bucket.pipe("/out/shard-00000.tar", (tmp_path / "disk" / shard).read_bytes())
    again = extracted(["memory://out/shard-00000.tar"], tmp_path / "work", workers=1)
    images = again.images
    assert [read_image(row["location"])[:2] for row in images] == [b"\xff\xd8"] * len(kept(tmp_path / "disk"))


def test_a_changed_crawl_at_an_address_is_another_run(bucket: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    data = write_crawl(tmp_path / "crawl.warc.gz").read_bytes()
    bucket.pipe("/crawls/a.warc.gz", data)

    def fingerprint() -> str:
        report = curate(["memory://crawls/a.warc.gz"], to=tmp_path / "out", workers=1, settings=OFFLINE)
        return str(report["run"]["fingerprint"])

    first = fingerprint()
    assert fingerprint() == first
    bucket.pipe("/crawls/a.warc.gz", data + data)
    assert fingerprint() != first


def test_damage_at_an_address_is_passed_over(bucket: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    path = write_crawl(tmp_path / "crawl.warc.gz")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 300] = b"\xa5" * 300
    path.write_bytes(data)
    bucket.pipe("/crawls/a.warc.gz", bytes(data))
    here, there = ([type(finding) for finding in scan(place)] for place in (path, "memory://crawls/a.warc.gz"))
    assert here == there


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("memory://none/*.warc.gz", "matches no file"),
        ("memory://none/a.warc.gz", "does not exist"),
        ("memory://some/table.csv", "only WARC files"),
        ("https://example.org/", "make a WARC file"),
    ],
)
def test_what_cannot_be_read_at_an_address_is_said(source: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(OpenAlignError, match=says):
        extracted([source], tmp_path / "work", workers=1)


def test_a_look_elsewhere_leaves_the_stream_where_it_was(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(range(50)))
    with opened(tmp_path / "a") as stream:
        stream.read(10)
        assert bytes_at(stream, 40, 20) == bytes(range(40, 50))
        assert stream.read(1) == b"\x0a"
