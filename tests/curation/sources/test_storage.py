"""Sources at a URL give what the same files give on disk."""

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openalign.curation.html.page import PageSettings
from openalign.curation.pipeline import curate
from openalign.curation.recipe import CurateRecipe
from openalign.curation.sources.listings import _url_of_image
from openalign.curation.sources.locations import parse_location
from openalign.curation.sources.storage import opened, read_at
from openalign.curation.sources.warc import scan
from openalign.data.left_out import Kind, counted
from openalign.errors import OpenAlignError
from tests.curation.crawl import drawing, encoded, write_crawl
from tests.curation.extracted import extracted

pytestmark = pytest.mark.slow

OFFLINE = CurateRecipe.of(download=False)


@pytest.fixture
def bucket() -> Iterator[fsspec.AbstractFileSystem]:
    files = fsspec.filesystem("memory")
    yield files
    files.rm("/", recursive=True)


def kept(folder: Path) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = pq.read_table(folder / "pairs.parquet").to_pylist()
    return rows


def test_a_crawl_at_a_url_is_curated_as_on_disk(bucket: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    crawl = write_crawl(tmp_path / "crawl.warc.gz")
    bucket.pipe("/crawls/a.warc.gz", crawl.read_bytes())
    for source, to in ((str(crawl), "disk"), ("memory://crawls/*.warc.gz", "bucket")):
        curate([source], to=tmp_path / to, workers=1, recipe=OFFLINE)
    assert kept(tmp_path / "bucket") == kept(tmp_path / "disk")
    shard = Path("shards/shard-00000.tar")
    assert (tmp_path / "bucket" / shard).read_bytes() == (tmp_path / "disk" / shard).read_bytes()

    bucket.pipe("/out/shard-00000.tar", (tmp_path / "disk" / shard).read_bytes())
    again = extracted(["memory://out/shard-00000.tar"], tmp_path / "work", workers=1)
    images = again.images
    assert [parse_location(row["location"]).read()[:2] for row in images] == [b"\xff\xd8"] * len(
        kept(tmp_path / "disk")
    )


def test_a_changed_crawl_at_a_url_is_another_run(bucket: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    data = write_crawl(tmp_path / "crawl.warc.gz").read_bytes()
    bucket.pipe("/crawls/a.warc.gz", data)

    def fingerprint() -> str:
        report = curate(["memory://crawls/a.warc.gz"], to=tmp_path / "out", workers=1, recipe=OFFLINE)
        return str(report["run"]["fingerprint"])

    first = fingerprint()
    assert fingerprint() == first
    bucket.pipe("/crawls/a.warc.gz", data + data)
    assert fingerprint() != first


def test_damage_at_a_url_is_passed_over(bucket: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    path = write_crawl(tmp_path / "crawl.warc.gz")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 300] = b"\xa5" * 300
    path.write_bytes(data)
    bucket.pipe("/crawls/a.warc.gz", bytes(data))
    here, there = ([type(content) for content in scan(file)] for file in (path, "memory://crawls/a.warc.gz"))
    assert here == there


def test_a_table_at_a_url_names_images_beside_it_and_elsewhere(
    bucket: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    for number in range(3):
        bucket.pipe(f"/photos/jpg/{number}.jpg", encoded(drawing(number)))
    rows = "jpg/0.jpg,a picture beside it\n./jpg/1.jpg,a picture beside it too\n"
    rows += "memory:///photos/jpg/2.jpg,a picture with a URL\njpg/none.jpg,a picture not there\n"
    bucket.pipe("/photos/list.csv.gz", gzip.compress(f"image,text\n{rows}".encode()))
    curate(["memory://photos/*.csv.gz"], to=tmp_path / "out", workers=1)
    assert [row["image"] for row in kept(tmp_path / "out")] == [f"memory:///photos/jpg/{n}.jpg" for n in range(3)]
    [dropped] = pq.read_table(tmp_path / "out" / "dropped.parquet").to_pylist()
    assert (dropped["image"], dropped["reasons"]) == ("memory:///photos/jpg/none.jpg", ["unreadable_image"])


@pytest.mark.parametrize(
    ("table", "folder", "named"),
    [("sets/captions.csv", "sets/Images", ""), ("sets/annotations/t.csv", "sets/val", ""), ("a/s/t.csv", "a/s", "s/")],
)
def test_images_of_a_table_at_a_url_are_found_as_those_of_a_local_one(
    bucket: fsspec.AbstractFileSystem, tmp_path: Path, table: str, folder: str, named: str
) -> None:
    for number in range(2):
        bucket.pipe(f"/{folder}/{number}.jpg", encoded(drawing(number)))
    bucket.pipe(f"/{table}", f"image,text\n{named}0.jpg,one\n{named}1.jpg,two\n".encode())
    found = extracted([f"memory://{table}"], tmp_path / "work")
    assert [row["image"] for row in found.occurrences] == [f"memory://{folder}/{number}.jpg" for number in range(2)]
    images = [parse_location(row["location"]).read() for row in found.images]
    assert images == [encoded(drawing(number)) for number in range(2)]
    assert named or any(f"its images are found in memory://{folder}" in problem for problem in found.problems)


def test_images_written_in_a_table_at_a_url_are_read(bucket: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    written = [base64.b64encode(encoded(drawing(number))).decode() for number in range(2)]
    rows = [f"data:image/png;base64,{written[0]}", written[1], f"data:image/png;base64,{written[0]}"[:-5] + "*", ""]
    lines = "".join(json.dumps({"image": row, "text": [f"text {n}", "more"]}) + "\n" for n, row in enumerate(rows))
    bucket.pipe("/photos/list.jsonl", lines.encode())
    found = extracted(["memory://photos/list.jsonl"], tmp_path / "work")
    texts = ["text 0", "more", "text 1", "more"]
    assert [row["text"] for row in found.occurrences] == texts and len(found.images) == 2
    images = [parse_location(row["location"]).read() for row in found.images]
    assert images == [encoded(drawing(number)) for number in range(2)]
    assert counted(found.problems) == {Kind.IMAGE_NOT_READ: 1, Kind.ROW_WITHOUT_IMAGE: 2}


def test_a_table_opens_only_urls_of_its_own_scheme(
    bucket: fsspec.AbstractFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["simplecache::http://127.0.0.1/x.jpg", "ftp://10.0.0.1/x.jpg", "local:///etc/passwd", "http://[::1/x.jpg"]
    rows = "image,text\n" + "".join(f"{name},a picture of mine\n" for name in names)
    bucket.pipe("/photos/list.csv", rows.encode())
    (tmp_path / "list.csv").write_text(rows)
    monkeypatch.setattr("fsspec.implementations.http.HTTPFileSystem.__init__", lambda *_, **__: pytest.fail("http"))
    for number, source in enumerate(("memory://photos/list.csv", tmp_path / "list.csv")):
        found = extracted([source], tmp_path / f"work{number}")
        assert all(row["location"].startswith("at://memory://photos/") for row in found.images)
        for row in found.images:
            with pytest.raises(OpenAlignError, match="does not exist"):
                parse_location(row["location"]).read()


def test_a_table_at_a_web_url_links_to_images_and_does_not_open_them() -> None:
    assert _url_of_image("https://a.org/sets", "jpg/1.jpg") == "https://a.org/sets/jpg/1.jpg"
    assert _url_of_image("s3://b", "http://a.org/1.jpg") == "http://a.org/1.jpg"
    assert _url_of_image("s3://b", "gs://b/1.jpg") == "s3://b/gs://b/1.jpg"


def test_parquet_with_images_at_a_url_is_read_where_it_is(bucket: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    images = [{"bytes": encoded(drawing(number)), "path": f"{number}.jpg"} for number in range(4)]
    table = pa.table({"image": images, "caption": [f"picture number {number}" for number in range(4)]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    bucket.pipe("/sets/a.parquet", (tmp_path / "a.parquet").read_bytes())
    found = extracted(["memory://sets/a.parquet"], tmp_path / "work")
    assert [row["text"] for row in found.occurrences] == table["caption"].to_pylist()
    assert [parse_location(row["location"]).read() for row in found.images] == [image["bytes"] for image in images]


SITE = {
    "index.html": b"<img src='pix/0.jpg' alt='From the root'>",
    "posts/a.md": b"![One picture](/pix/1.jpg) ![Another](2.jpg) ![Lost](3.jpg) ![Web](http://example.org/4.jpg)",
    "pix/0.jpg": encoded(drawing(0)),
    "pix/1.jpg": encoded(drawing(1)),
    "posts/2.jpg": encoded(drawing(2)),
    ".git/draft.md": b"![hidden](/pix/0.jpg)",
}


def test_a_folder_of_pages_at_a_url_is_read_as_on_disk(bucket: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    for name, data in SITE.items():
        bucket.pipe(f"/site/{name}", data)
        (tmp_path / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "site" / name).write_bytes(data)
    for base_url in (None, "https://example.com/"):
        here, there = (
            extracted([source], tmp_path / f"work{number}{base_url is None}", pages=PageSettings(base_url=base_url))
            for number, source in enumerate((f"{tmp_path}/site", "memory://site"))
        )
        told = str(here).replace(f"file://{tmp_path}/site", "at://memory://site")
        assert told.replace(f"{tmp_path}/site", "memory://site") == str(there)
        assert [parse_location(row["location"]).read() for row in there.images] == [
            SITE[f"pix/{n}.jpg"] for n in (0, 1)
        ] + [SITE["posts/2.jpg"]]
    [page] = extracted(["memory://site/posts/a.md"], tmp_path / "work").images
    assert page["location"] == "at://memory://site/posts/2.jpg"


def test_a_page_that_changes_in_a_folder_at_a_url_makes_another_run(
    bucket: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    for name, data in SITE.items():
        bucket.pipe(f"/site/{name}", data)

    def fingerprint() -> str:
        report = curate(["memory://site"], to=tmp_path / "out", workers=1, recipe=OFFLINE)
        return str(report["run"]["fingerprint"])

    first = fingerprint()
    assert fingerprint() == first
    bucket.pipe("/site/posts/b.html", b"<p>Nothing to see</p>")
    assert fingerprint() != first


def test_shards_and_crawls_are_found_in_folders_at_a_url(bucket: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    bucket.pipe("/crawls/2026/a.warc.gz", write_crawl(tmp_path / "a.warc.gz").read_bytes())
    curate(["memory://crawls"], to=tmp_path / "out", workers=1, recipe=OFFLINE)
    bucket.put(str(tmp_path / "out"), "/curated", recursive=True)
    curate(["memory://curated"], to=tmp_path / "again", workers=1, recipe=OFFLINE)
    assert [row["text"] for row in kept(tmp_path / "again")] == [row["text"] for row in kept(tmp_path / "out")]
    bucket.pipe("/images/a.jpg", SITE["pix/0.jpg"])
    with pytest.raises(OpenAlignError, match="a folder of images at a URL: give a table"):
        extracted(["memory://images"], tmp_path / "work")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("memory://none/*.warc.gz", "matches no file"),
        ("memory://none/a.warc.gz", "does not exist"),
        ("memory://some/table.csv", "does not exist"),
        ("memory://some/page.html", "not a known kind of source"),
        ("https://example.org/", "make a WARC file"),
    ],
)
def test_what_cannot_be_read_at_a_url_is_reported(source: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(OpenAlignError, match=message):
        extracted([source], tmp_path / "work", workers=1)


def test_reading_elsewhere_leaves_the_position_of_the_stream(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(range(50)))
    with opened(tmp_path / "a") as stream:
        stream.read(10)
        assert read_at(stream, 40, 20) == bytes(range(40, 50))
        assert stream.read(1) == b"\x0a"
