"""Sources of every kind become one list of occurrences and one of images at hand."""

import gzip
import io
import json
import os
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from openalign.curation.html.urls import normalise
from openalign.curation.html.whitespace import clean_text
from openalign.curation.sources.locations import parse_location
from openalign.curation.sources.settings import TableSettings
from openalign.data.shards.writer import ShardWriter
from openalign.errors import OpenAlignError
from tests.curation.extracted import Extracted, extracted

pytestmark = pytest.mark.slow

WEB = Path(__file__).parents[3].parent / "shared" / "data" / "web"
JPEG = b"\xff\xd8\xff\xe0 not decoded here"
SITE = "http://example.org/"


def write_warc(path: Path, responses: dict[str, bytes]) -> Path:
    with path.open("wb") as stream:
        writer = WARCWriter(stream, gzip=True)
        for name, body in responses.items():
            kind = "image/jpeg" if body.startswith(b"\xff\xd8") else "text/html"
            http = StatusAndHeaders("200 OK", [("Content-Type", kind)], protocol="HTTP/1.1")
            record = writer.create_warc_record(SITE + name, "response", payload=io.BytesIO(body), http_headers=http)
            writer.write_record(record)
    return path


def shown(found: Extracted) -> list[tuple[str | None, str | None]]:
    return [(row["image"], row["text"]) for row in found.occurrences]


def test_candidate_that_is_stored_stands_for_the_image_even_in_another_file(tmp_path: Path) -> None:
    page = b"""<img srcset="l.jpg 900w, m.jpg 400w" src="s.jpg" alt="stored src">
        <img data-src="m.jpg" src="x.gif" alt="stored lazy"><img src="gone.jpg" data-src="lost.jpg" alt="not stored">
        <img src="data:image/gif;base64,AA" alt="nothing">"""
    first = write_warc(tmp_path / "a.warc.gz", {"page": page})
    second = write_warc(tmp_path / "b.warc.gz", {"s.jpg": JPEG + b"s", "m.jpg": JPEG + b"m", "unused.jpg": JPEG})
    found = extracted([first, second], tmp_path / "work", workers=2)
    assert shown(found) == [
        (SITE + "m.jpg", "stored src"),
        (SITE + "m.jpg", "stored lazy"),
        (SITE + "lost.jpg", "not stored"),
    ]
    [image] = found.images
    assert image["image"] == SITE + "m.jpg"
    assert parse_location(image["location"] or "").read() == JPEG + b"m"
    assert (found.pages, found.records, found.without_url) == (1, 4, 1)
    assert found.occurrences[0]["page"] == SITE + "page"
    assert found.occurrences[0]["host"] == "example.org"


def test_image_stored_twice_keeps_its_first_location(tmp_path: Path) -> None:
    page = b'<img src="s.jpg" alt="x">'
    files = [write_warc(tmp_path / f"{n}.warc.gz", {"p": page, "s.jpg": JPEG + b"%d" % n}) for n in range(3)]
    found = extracted(files, tmp_path / "work", workers=2)
    [image] = found.images
    assert image["location"] == f"warc://{files[0]}#{(image['location'] or '').rpartition('#')[2]}"
    assert len(shown(found)) == 3


def test_order_and_content_do_not_depend_on_the_workers(tmp_path: Path) -> None:
    for n in range(5):
        page = "".join(f'<img src="{n}-{i}.jpg" alt="text {n} {i}">' for i in range(20))
        write_warc(tmp_path / f"{n}.warc.gz", {"p": page.encode(), f"{n}-3.jpg": JPEG})
    one, two = (extracted([f"{tmp_path}/*.warc.gz"], tmp_path / f"w{n}", workers=n) for n in (1, 2))
    assert one.occurrences == two.occurrences
    assert one.images == two.images
    assert [text for _, text in shown(one)] == [f"text {n} {i}" for n in range(5) for i in range(20)]


def test_table_rows_are_paths_beside_it_or_urls(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(JPEG)
    table = tmp_path / "photos.csv"
    table.write_text("file,text\nx.jpg,An  apple\nHTTP://Example.org/a b.jpg,Pear\n,No image\nlost.jpg,Lost\n")
    found = extracted([table], tmp_path / "work", workers=1)
    assert shown(found) == [
        (f"{tmp_path}/x.jpg", "An apple"),
        ("http://example.org/a%20b.jpg", "Pear"),
        (f"{tmp_path}/lost.jpg", "Lost"),
    ]
    assert [row["location"] for row in found.images] == [f"file://{tmp_path}/x.jpg"]
    assert found.problems == [
        f"{table}: 1 rows have no image and are left out, the first: row 3",
        f"{table} row 4: there is no file {tmp_path}/lost.jpg.",
    ]
    assert found.records == 3


def test_named_columns_are_used(tmp_path: Path) -> None:
    table = tmp_path / "photos.jsonl"
    table.write_text(json.dumps({"picture": "http://a.org/1.jpg", "words": "One", "url": "http://a.org/no"}) + "\n")
    found = extracted(
        [table], tmp_path / "work", workers=1, tables=TableSettings(image_column="picture", text_column="words")
    )
    assert shown(found) == [("http://a.org/1.jpg", "One")]


def test_shards_are_read_in_place(tmp_path: Path) -> None:
    with ShardWriter(tmp_path / "photos" / "shards") as writer:
        writer.write("a", JPEG + b"a", "An apple", {"image": "http://a.org/a.jpg"})
        writer.write("b", JPEG + b"b", "A pear", {"image": "pears/b.jpg"})
    found = extracted([tmp_path / "photos"], tmp_path / "work", workers=1)
    assert shown(found) == [("http://a.org/a.jpg", "An apple"), ("pears/b.jpg", "A pear")]
    assert [parse_location(row["location"] or "").read() for row in found.images] == [JPEG + b"a", JPEG + b"b"]


def test_folder_of_images_beside_a_readme_is_no_site(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "README.md").write_text("Photos ![badge](https://example.org/badge.svg)")
    (folder / "a.jpg").write_bytes(JPEG)
    (folder / "a.txt").write_text("An apple")
    found = extracted([folder], tmp_path / "work", workers=1)
    assert shown(found) == [(f"{folder}/a.jpg", "An apple")]


def test_several_sources_keep_their_order(tmp_path: Path) -> None:
    table = tmp_path / "b.csv"
    table.write_text("url,text\nhttp://a.org/1.jpg,From the table\n")
    crawl = write_warc(tmp_path / "a.warc.gz", {"p": b'<img src="1.jpg" alt="From the crawl">'})
    found = extracted([table, crawl], tmp_path / "work", workers=2)
    assert [text for _, text in shown(found)] == ["From the table", "From the crawl"]


def test_folder_gives_its_crawls_and_pages_but_nothing_hidden(tmp_path: Path) -> None:
    folder = tmp_path / "crawl"
    for name in ("2026", ".partial"):
        (folder / name).mkdir(parents=True)
        write_warc(folder / name / "a.warc.gz", {"p": f'<img src="1.jpg" alt="{name}">'.encode()})
    (folder / "page.html").write_text('<img src="2.jpg" alt="page">')
    found = extracted([folder], tmp_path / "work", workers=1)
    assert [text for _, text in shown(found)] == ["2026", "page"]


def test_page_in_no_encoding_is_a_problem_and_not_the_end(tmp_path: Path) -> None:
    noise = b"\x00\xff\xfe\x81" + bytes((i * i * 37 + i * 11) % 256 for i in range(4000))
    crawl = write_warc(tmp_path / "a.warc.gz", {"bad": b"x" + noise, "p": b'<img src="1.jpg" alt="x">'})
    found = extracted([crawl], tmp_path / "work", workers=1)
    assert found.problems == [f"{SITE}bad: not text in any known encoding."]
    assert len(shown(found)) == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.csv", None, "does not exist"),
        ("none-*.warc.gz", None, "matches no file"),
        ("http://example.org/", None, "make a WARC file"),
        ("notes.doc", b"text", "not a known kind of source"),
        ("empty.warc.gz", b"", "no page or row in it shows an image. The first problem: .*empty.warc.gz is empty"),
        ("plain.html", b"<p>no image</p>", "no page or row in it shows an image"),
        ("table.csv", b"a,b\n1,2\n", "no image column"),
        ("empty", "folder", "holds no WARC files, pages, images, tables or shards"),
    ],
)
def test_source_without_images_is_one_message(
    tmp_path: Path, name: str, content: bytes | str | None, message: str
) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        path.mkdir()
    with pytest.raises(OpenAlignError, match=message):
        extracted([name if "://" in name else path], tmp_path / "work", workers=1)
    assert not list((tmp_path / "work").rglob("*.parquet"))


PAGE = b'<html><img src="1.jpg" alt="an apple"></html>'


def bad_and_good(folder: Path, kind: str) -> tuple[Path, str]:
    """Write two files of a kind into `folder`, of which one cannot be read; returns that and the text in the other."""
    folder.mkdir()
    if kind == "tar":
        with ShardWriter(folder) as shards:
            shards.write("0", b"image", "an apple", {})
        bad = folder / "garbage.tar"
        bad.write_bytes(b"no tar" * 1000)
    elif kind == "parquet":
        pq.write_table(pa.table({"url": ["http://a.org/1.jpg"], "text": ["an apple"]}), folder / "good.parquet")
        bad = folder / "bad.parquet"
        bad.write_bytes(b"PAR1 and no more")
    elif kind == "csv":
        (folder / "good.csv").write_text("url,text\nhttp://a.org/1.jpg,an apple\n")
        bad = folder / "bad.csv"
        bad.write_text("a,b\n1,2\n")
    else:
        good = write_warc(folder / "good.warc.gz", {"1.jpg": JPEG, "2.jpg": JPEG, "page": PAGE})
        bad = folder / "bad.warc.gz"
        bad.write_bytes(gzip.compress(gzip.decompress(good.read_bytes())))
    return bad, "an apple"


# Of several tables in a folder only those that name its images are read.
@pytest.mark.parametrize(
    ("kind", "by"),
    [*((kind, "files") for kind in ("tar", "parquet", "csv", "warc"))]
    + [(kind, "folder") for kind in ("tar", "parquet", "warc")],
)
def test_a_file_that_cannot_be_read_is_one_problem_beside_one_that_can(tmp_path: Path, kind: str, by: str) -> None:
    bad, text = bad_and_good(tmp_path / "in", kind)
    sources = sorted(tmp_path.glob(f"in/*.{kind}*")) if by == "files" else [tmp_path / "in"]
    found = extracted(sources, tmp_path / "work", workers=2)
    assert [row["text"] for row in found.occurrences] == [text]
    [problem] = found.problems
    assert str(bad) in problem
    with pytest.raises(OpenAlignError, match=bad.name) as raised:
        extracted([bad], tmp_path / "alone")
    assert str(raised.value) == problem
    with pytest.raises(OpenAlignError, match=f"no page or row in it shows an image. The first problem: .*{bad.name}"):
        extracted([bad, bad], tmp_path / "none")


def test_a_file_that_could_not_be_read_is_tried_again_by_the_next_run(tmp_path: Path) -> None:
    bad, text = bad_and_good(tmp_path / "in", "tar")
    assert len(extracted([tmp_path / "in"], tmp_path / "work").occurrences) == 1
    bad.write_bytes(next((tmp_path / "in").glob("shard-*.tar")).read_bytes())
    (tmp_path / "work" / "relations.duckdb").unlink(missing_ok=True)  # as a run that ends before its report leaves it
    again = extracted([tmp_path / "in"], tmp_path / "work")
    assert [row["text"] for row in again.occurrences] == [text] * 2
    assert again.problems == []


def test_a_damaged_index_of_a_good_shard_ends_the_run_with_advice(tmp_path: Path) -> None:
    bad_and_good(tmp_path / "in", "tar")
    next((tmp_path / "in").glob("*.index.parquet")).write_bytes(b"no index")
    with pytest.raises(OpenAlignError, match=r"index\.parquet cannot be read as an index .*: delete it"):
        extracted([tmp_path / "in"], tmp_path / "work", workers=2)


def test_reading_a_missing_image_is_one_message(tmp_path: Path) -> None:
    for location in (f"file://{tmp_path}/x.jpg", f"tar://{tmp_path}/x.tar#0+9", f"warc://{tmp_path}/x.warc#0"):
        with pytest.raises(OpenAlignError, match="No such file"):
            parse_location(location).read()


@pytest.mark.skipif(not WEB.exists(), reason="the real crawl is not here")
def test_real_crawl_gives_the_image_tags_that_another_program_found(tmp_path: Path) -> None:
    found = extracted([f"{WEB}/*.warc.gz"], tmp_path, workers=min(2, os.cpu_count() or 1))
    stored = {row["image"] for row in found.images}
    ours = Counter((row["page"], row["image"], row["text"]) for row in found.occurrences if row["image"] in stored)
    theirs: Counter[tuple[str | None, str | None, str | None]] = Counter()
    with gzip.open(WEB / "img-tags.jsonl.gz", "rt") as lines:
        for tag in map(json.loads, lines):
            text = None if tag["alt"] is None else clean_text(tag["alt"])
            theirs[normalise(tag["page"]), normalise(tag["image"]), text] += 1
    assert ours == theirs
    assert (found.pages, len(found.occurrences), found.problems) == (1165, 12266, [])
