"""Records as different crawlers write them: the fields and line ends that each is known for."""

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from openalign.curation.sources.warc import read_payload, scan
from openalign.curation.sources.warc_records import Damage, OtherRecord, StoredImage, StoredPage
from openalign.errors import OpenAlignError

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


def pair(**how: object) -> list[bytes]:
    page, image = http(HTML, "text/html"), http(PNG, "image/png")
    return [response(PAGE, page, **how), response(IMAGE, image, **how)]  # type: ignore[arg-type]


def both(**how: object) -> bytes:
    return b"".join(pair(**how))


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
    "metadata of an HTTP message": (
        "WARC-Type: metadata\nWARC-Target-URI: http://a.org/\nContent-Type: application/http"
    ),
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


def each_name(change: Callable[[bytes], bytes], data: bytes) -> bytes:
    return re.sub(rb"(?m)^[\w-]+(?=: )", lambda name: change(name[0]), data)


def with_lf_alone() -> list[bytes]:
    """Records of which the HTTP headers, too, end their lines in LF."""
    page, image = (http(b"", kind).replace(b"\r\n", b"\n") for kind in ("text/html", "image/png"))
    return [response(PAGE, page + HTML, end=b"\n", after=b"\n\n"), response(IMAGE, image + PNG, end=b"\n", after=b"\n")]


ODD = {
    "length in lower case": [each.replace(b"Content-Length", b"content-length") for each in pair()],
    "names in lower case": [each_name(bytes.lower, each) for each in pair()],
    "names in upper case": [each_name(bytes.upper, each) for each in pair()],
    "line ends of one character": pair(end=b"\n"),
    "line ends of one character everywhere": with_lf_alone(),
}


def zstd(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd], ids=["plain", "gzip", "zstd"])
@pytest.mark.parametrize("kind", ODD)
def test_headers_are_read_in_any_case_and_with_any_line_end(
    tmp_path: Path, kind: str, pack: Callable[[bytes], bytes]
) -> None:
    file = tmp_path / "a.warc"
    file.write_bytes(b"".join(map(pack, [*ODD[kind], *pair(), *ODD[kind]])))
    found = list(scan(file))
    assert [type(each) for each in found] == [StoredPage, StoredImage] * 3
    images = [each for each in found if isinstance(each, StoredImage)]
    assert len({image.offset for image in images}) == 3
    assert [read_payload(file, image.offset) for image in images] == [PNG] * 3


@pytest.mark.parametrize("kind", ODD)
def test_damage_among_odd_headers_is_told(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "a.warc"
    page, image = ODD[kind]
    file.write_bytes(page + b"nonsense\r\n\r\n" + image + image[:-1000])
    found = list(scan(file))
    assert [type(each) for each in found if not isinstance(each, Damage)] == [StoredPage, StoredImage]
    assert len([each for each in found if isinstance(each, Damage)]) == 2


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:46\nsize 12345\n", "a Git LFS pointer"),
        (b"<!doctype html>\n<html>404</html>", "an HTML page"),
    ],
)
@pytest.mark.parametrize("name", ["a.warc", "a.warc.gz"])
def test_what_is_no_warc_file_is_named(tmp_path: Path, name: str, data: bytes, what: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(OpenAlignError, match=f"{name} is no WARC file: it is {what}"):
        list(scan(tmp_path / name))


def in_chunks(body: bytes, end: bytes = b"\r\n", extension: bytes = b"", last: bytes = b"0\r\n\r\n") -> bytes:
    middle = len(body) // 3
    return (
        b"".join(b"%x%s%s%s%s" % (len(part), extension, end, part, end) for part in (body[:middle], body[middle:]))
        + last
    )


CHUNKS: dict[str, Callable[[bytes], bytes]] = {
    "lines that end in LF alone": lambda body: in_chunks(body, b"\n", last=b"0\n\n"),
    "extensions": lambda body: in_chunks(body, extension=b';name="value"'),
    "extensions after a blank, LF alone": lambda body: in_chunks(body, b"\n", b" ; name", b"0\n\n"),
    "trailers": lambda body: in_chunks(body, b"\n", last=b"0\nX-Checksum: 1\n\n"),
    "no last chunk": lambda body: in_chunks(body, b"\n", last=b""),
    "no line end at the end": lambda body: in_chunks(body, last=b"0"),
    "no chunks in spite of the header": bytes,
}


@pytest.mark.parametrize("kind", CHUNKS)
def test_chunks_are_put_together_as_servers_send_them(tmp_path: Path, kind: str) -> None:
    page, image = (
        response(url, http(CHUNKS[kind](body), media_type, "Transfer-Encoding: chunked"))
        for url, body, media_type in ((PAGE, HTML, "text/html"), (IMAGE, PNG, "image/png"))
    )
    assert_page_and_image(tmp_path / "a.warc", page + image)


def test_of_a_chunked_page_that_was_cut_off_what_came_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.warc"
    file.write_bytes(response(PAGE, http(in_chunks(HTML)[:-20], "text/html", "Transfer-Encoding: chunked")))
    [page] = scan(file)
    assert isinstance(page, StoredPage) and page.body == HTML[:-13]


def compressed_in_transfer(body: bytes, media_type: str) -> bytes:
    return http(chunked(gzip.compress(body)), media_type, "Transfer-Encoding: gzip", "Transfer-Encoding: chunked")


VALID = {
    "drafts of the format": both(version="WARC/0.17"),
    "ClueWeb09: a draft, lines that end in LF": both(version="WARC/0.18", end=b"\n"),
    "a media type in capitals": both(media_type="Application/HTTP;msgtype=response"),
    "a folded type": both().replace(b"WARC-Type: ", b"WARC-Type:\r\n\t"),
    "a folded length": both().replace(b"Content-Length: ", b"Content-Length:\r\n  "),
    "a folded target": both().replace(b"WARC-Target-URI: ", b"WARC-Target-URI:\r\n "),
    "resources": record(f"WARC-Type: resource\nWARC-Target-URI: {PAGE}\nContent-Type: text/html", HTML)
    + record(f"WARC-Type: resource\nWARC-Target-URI: {IMAGE}\nContent-Type: image/jpeg", PNG, version="WARC/1.1"),
    "bodies compressed for the transfer": response(PAGE, compressed_in_transfer(HTML, "text/html"))
    + response(IMAGE, compressed_in_transfer(PNG, "image/png")),
    "an encoding named twice": response(
        PAGE,
        http(gzip.compress(gzip.compress(HTML)), "text/html", "Content-Encoding: gzip", "Content-Encoding: gzip"),
    )
    + response(IMAGE, http(PNG, "image/png", "Content-Encoding: identity")),
}


@pytest.mark.parametrize("kind", VALID)
def test_records_that_are_unusual_but_valid_are_read(tmp_path: Path, kind: str) -> None:
    assert_page_and_image(tmp_path / "a.warc", VALID[kind])


def assert_page_and_image(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    page, image = scan(file)
    assert isinstance(page, StoredPage) and isinstance(image, StoredImage)
    assert (page.url, page.body, image.url) == (PAGE, HTML, IMAGE)
    assert read_payload(file, image.offset) == PNG


PADDING = {
    "zero bytes": bytes(700),
    "an empty member": gzip.compress(b""),
    "both, several times": (gzip.compress(b"") + bytes(512)) * 3,
    "more than is read at once": bytes(3 << 20),
}


@pytest.mark.parametrize("kind", PADDING)
def test_padding_between_compressed_records_is_passed_over(tmp_path: Path, kind: str) -> None:
    page, image = map(gzip.compress, pair())
    data = b"".join(each + PADDING[kind] for each in (page, image, page, image))
    file = tmp_path / "a.warc.gz"
    file.write_bytes(data)
    found = list(scan(file))
    assert [type(each) for each in found] == [StoredPage, StoredImage] * 2
    assert [read_payload(file, each.offset) for each in found if isinstance(each, StoredImage)] == [PNG] * 2


@pytest.mark.parametrize("junk", [b"x" * 100, gzip.compress(b"no record"), bytes(9) + b"x"])
def test_what_is_no_padding_is_told(tmp_path: Path, junk: bytes) -> None:
    page, image = map(gzip.compress, pair())
    file = tmp_path / "a.warc.gz"
    file.write_bytes(page + junk + image)
    found = list(scan(file))
    assert [type(each) for each in found if not isinstance(each, Damage)] == [StoredPage, StoredImage]
    assert any(isinstance(each, Damage) for each in found)
