"""Records as different crawlers write them: the fields and line ends that each is known for."""

import gzip
from pathlib import Path

import pytest

from openalign.curation.sources.warc import read_payload, scan
from openalign.curation.sources.warc_records import Damage, OtherRecord, StoredImage, StoredPage

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
HTML = b'<!doctype html><html><img src="a.png" alt="a crimson apple"></html>'
PAGE, IMAGE = "http://example.org/", "http://example.org/a.png"


def record(
    fields: str, content: bytes, *, version: str = "WARC/1.0", end: bytes = b"\r\n", after: bytes = b"\r\n\r\n"
) -> bytes:
    """A record with these fields, one a line, and its length."""
    lines = [version, *fields.strip().splitlines(), f"Content-Length: {len(content)}", "", ""]
    return end.join(line.strip().encode() for line in lines) + content + after


def http(body: bytes, media_type: str, *more: str, status: str = "HTTP/1.1 200 OK") -> bytes:
    return "\r\n".join([status, f"Content-Type: {media_type}", *more, "", ""]).encode() + body


def response(url: str, content: bytes, media_type: str = "application/http; msgtype=response", **how: object) -> bytes:
    fields = f"""
        WARC-Type: response
        WARC-Target-URI: {url}
        WARC-Date: 2026-03-04T05:06:07Z
        WARC-Record-ID: <urn:uuid:00000000-0000-4000-8000-000000000001>
        Content-Type: {media_type}
    """
    return record(fields, content, **how)  # type: ignore[arg-type]


def both(**how: object) -> bytes:
    page, image = http(HTML, "text/html"), http(PNG, "image/png")
    return response(PAGE, page, **how) + response(IMAGE, image, **how)  # type: ignore[arg-type]


def chunked(body: bytes) -> bytes:
    middle = len(body) // 2
    parts = (body[:middle], body[middle:], b"")
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)


WRITERS = {
    "wget 1.19.4 and later: angle brackets": response(f"<{PAGE}>", http(HTML, "text/html"))
    + response(f"<{IMAGE}>", http(PNG, "image/png")),
    "blanks within the brackets": response(f"< {PAGE} >", http(HTML, "text/html"))
    + response(f"<{IMAGE} >", http(PNG, "image/png")),
    "heritrix: no blank before msgtype, chunks left in": response(
        PAGE,
        http(chunked(HTML), "text/html", "Transfer-Encoding: chunked"),
        media_type="application/http;msgtype=response",
    )
    + response(IMAGE, http(chunked(PNG), "image/png", "transfer-encoding: Chunked")),
    "browsertrix: WARC/1.1, the encodings of the original under other names": response(
        PAGE, http(HTML, "text/html", "x-orig-content-encoding: gzip"), version="WARC/1.1"
    )
    + response(IMAGE, http(PNG, "image/png", "x-orig-transfer-encoding: chunked"), version="WARC/1.1"),
    "WARC/1.1: fractions of a second": both(version="WARC/1.1").replace(b"05:06:07Z", b"05:06:07.123456Z"),
    "names of fields in capitals": both().replace(b"WARC-Target-URI", b"WARC-TARGET-URI"),
    "more empty lines between records": both(after=b"\r\n\r\n\r\n\r\n"),
    "no empty lines between records": both(after=b""),
    "HTTP/2 status lines": response(PAGE, http(HTML, "text/html", status="HTTP/2 200"))
    + response(IMAGE, http(PNG, "image/png", status="HTTP/2 200")),
    "wget2, zeno: bodies compressed as they came": response(
        PAGE, http(gzip.compress(HTML), "text/html", "Content-Encoding: gzip")
    )
    + response(IMAGE, http(PNG, "image/png", "Content-Encoding: gzip")),
}


@pytest.mark.parametrize("packed", ["plain", "gzip"])
@pytest.mark.parametrize("writer", WRITERS)
def test_pages_and_images_of_every_writer_are_found(tmp_path: Path, writer: str, packed: str) -> None:
    file = tmp_path / ("a.warc.gz" if packed == "gzip" else "a.warc")
    data = WRITERS[writer]
    if packed == "gzip":
        version = data[:8]
        first, second = (version + part for part in data.split(version)[1:])
        data = gzip.compress(first) + gzip.compress(second)
    file.write_bytes(data)
    page, image = scan(file)
    assert isinstance(page, StoredPage) and isinstance(image, StoredImage)
    assert (page.url, page.body, image.url) == (PAGE, HTML, IMAGE)
    assert read_payload(file, image.offset) == PNG


OTHERS = {
    "revisit": "WARC-Type: revisit\nWARC-Target-URI: http://example.org/a.png\nContent-Type: application/http",
    "page information of browsertrix": (
        "WARC-Type: resource\nWARC-Target-URI: urn:pageinfo:http://example.org/\nContent-Type: application/json"
    ),
    "text of a conversion": ("WARC-Type: conversion\nWARC-Target-URI: http://example.org/\nContent-Type: text/plain"),
    "metadata of an HTTP message": "WARC-Type: metadata\nWARC-Target-URI: http://a.b/\nContent-Type: application/http",
    "request": "WARC-Type: request\nWARC-Target-URI: http://example.org/a.png\nContent-Type: application/http",
    "name lookup of heritrix": "WARC-Type: response\nWARC-Target-URI: dns:example.org\nContent-Type: text/dns",
    "crawl log of wget": (
        "WARC-Type: resource\nWARC-Target-URI: <metadata://gnu.org/wget.log>\nContent-Type: text/plain"
    ),
    "page without a target": "WARC-Type: response\nContent-Type: application/http; msgtype=response",
}


@pytest.mark.parametrize("kind", OTHERS)
def test_records_of_other_kinds_are_passed_over_and_the_next_is_read(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "a.warc"
    content = http(b"", "image/png", status="HTTP/1.1 304 Not Modified") if "http" in OTHERS[kind] else b"{}"
    file.write_bytes(record(OTHERS[kind], content) + both())
    found = [type(each) for each in scan(file)]
    assert found == [OtherRecord, StoredPage, StoredImage]


def test_a_resource_record_of_an_image_is_an_image(tmp_path: Path) -> None:
    file = tmp_path / "a.warc"
    fields = f"WARC-Type: resource\nWARC-Target-URI: <{IMAGE}>\nContent-Type: image/png"
    file.write_bytes(record(fields, PNG))
    (image,) = scan(file)
    assert isinstance(image, StoredImage) and read_payload(file, image.offset) == PNG


@pytest.mark.parametrize(
    "data",
    [both(end=b"\n"), both().replace(b"Content-Length", b"content-length")],
    ids=["line ends of one character", "lengths in lower case"],
)
def test_what_the_library_cannot_read_is_told(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.warc").write_bytes(data)
    found = list(scan(tmp_path / "a.warc"))
    assert [each.problem for each in found if isinstance(each, Damage)]
    assert not any(isinstance(each, StoredPage | StoredImage) for each in found)
