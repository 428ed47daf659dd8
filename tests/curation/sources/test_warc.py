"""WARC files that another program wrote, whole and damaged."""

import gzip
import io
import struct
import zlib
from pathlib import Path

import pyarrow as pa
import pytest
from fastwarc.stream_io import ZstdWriter
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from openalign.curation.sources.warc import read_payload, scan
from openalign.curation.sources.warc_records import Damage, OtherRecord, StoredImage, StoredPage
from openalign.errors import OpenAlignError

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
HTML = '<html><img src="a.png" alt="Größe"></html>'.encode()
SITE = "http://example.org/"


DICTIONARY = b"".join(b"WARC/1.0 WARC-Type: response Content-Type: application/http; %d " % n for n in range(40))


def frame(record: bytes) -> bytes:
    return bytes(pa.compress(record, codec="zstd", asbytes=True))


def frames_with_dictionary(record: bytes) -> tuple[bytes, bytes]:
    """The frame that holds the dictionary, and the record's own that needs it."""
    stream = io.BytesIO()
    writer = ZstdWriter(stream, dictionary=DICTIONARY, compress_dictionary_frame=True)
    writer.write(record)
    writer.close()
    both = stream.getvalue()
    end = 8 + struct.unpack("<I", both[4:8])[0]
    return both[:end], both[end:]


class Crawl:
    """A WARC file under construction, compressed according to its suffix."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offsets: dict[str, int] = {}
        self._stream = path.open("wb")
        if path.name == "dictionary.warc.zst":
            self._stream.write(frames_with_dictionary(b"")[0])

    def add(self, name: str, body: bytes, kind: str = "", status: str = "200 OK", **headers: str) -> None:
        fields = [(key.replace("_", "-"), value) for key, value in headers.items()]
        http = StatusAndHeaders(status, [("Content-Type", kind)] * bool(kind) + fields, protocol="HTTP/1.1")
        plain = io.BytesIO()
        writer = WARCWriter(plain, gzip=self.path.suffix == ".gz")
        record = writer.create_warc_record(SITE + name, "response", payload=io.BytesIO(body), http_headers=http)
        writer.write_record(record)
        self.offsets[name] = self._stream.tell()
        if self.path.name == "dictionary.warc.zst":
            self._stream.write(frames_with_dictionary(plain.getvalue())[1])
        else:
            self._stream.write(frame(plain.getvalue()) if self.path.suffix == ".zst" else plain.getvalue())

    def close(self) -> Path:
        self._stream.close()
        return self.path


@pytest.fixture(params=["crawl.warc.gz", "crawl.warc", "crawl.warc.zst", "dictionary.warc.zst"])
def crawl(request: pytest.FixtureRequest, tmp_path: Path) -> Crawl:
    return Crawl(tmp_path / request.param)


def test_pages_and_images_are_distinguished_by_their_bytes(crawl: Crawl) -> None:
    crawl.add("page", HTML, "text/html; charset=UTF-8")
    crawl.add("untyped", b"<!DOCTYPE html>" + HTML)
    crawl.add("picture", PNG, "text/html")
    crawl.add("broken", b"<html>not here</html>", "image/jpeg")
    crawl.add("gone", HTML, "text/html", status="404 Not Found")
    crawl.add("style", b"body {}", "text/css")
    found = list(scan(crawl.close()))
    assert found == [
        StoredPage(SITE + "page", HTML, "UTF-8"),
        StoredPage(SITE + "untyped", b"<!DOCTYPE html>" + HTML, None),
        StoredImage(SITE + "picture", crawl.offsets["picture"]),
        StoredImage(SITE + "broken", crawl.offsets["broken"]),
        OtherRecord(),
        OtherRecord(),
    ]
    assert read_payload(crawl.path, crawl.offsets["picture"]) == PNG


@pytest.mark.parametrize(
    ("encode", "name"), [(gzip.compress, "gzip"), (zlib.compress, "deflate"), (lambda body: body, "gzip")]
)
def test_content_encodings_are_undone_even_if_only_the_header_is_left(crawl, encode, name) -> None:  # type: ignore[no-untyped-def]
    crawl.add("page", encode(HTML), "text/html", Content_Encoding=name)
    crawl.add("picture", encode(PNG), "image/png", Content_Encoding=name)
    page, image = scan(crawl.close())
    assert page == StoredPage(SITE + "page", HTML, None)
    assert isinstance(image, StoredImage)
    assert read_payload(crawl.path, image.offset) == PNG


def test_chunked_bodies_are_put_together(crawl: Crawl) -> None:
    half = len(PNG) // 2
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (PNG[:half], PNG[half:], b""))
    crawl.add("picture", chunks, "image/png", Transfer_Encoding="chunked")
    [image] = scan(crawl.close())
    assert isinstance(image, StoredImage)
    assert read_payload(crawl.path, image.offset) == PNG


def three_images(crawl: Crawl) -> tuple[Path, list[int]]:
    for name in ("one", "two", "three"):
        crawl.add(name, PNG + name.encode(), "image/png")
    return crawl.close(), list(crawl.offsets.values())


def test_damaged_record_is_named_and_the_rest_is_read(crawl: Crawl) -> None:
    path, (one, two, three) = three_images(crawl)
    data = bytearray(path.read_bytes())
    data[two : two + 40] = b"\xa5" * 40
    path.write_bytes(data)
    first, damage, last = scan(path)
    assert first == StoredImage(SITE + "one", one)
    assert isinstance(damage, Damage)
    assert str(path) in damage.problem and "at byte" in damage.problem
    assert last == StoredImage(SITE + "three", three)


def test_damage_inside_a_compressed_record_is_named_by_its_offset(tmp_path: Path) -> None:
    path, (_, two, three) = three_images(Crawl(tmp_path / "crawl.warc.gz"))
    data = bytearray(path.read_bytes())
    for position in range(two + 60, three - 20, 7):
        data[position] ^= 0x5A
    path.write_bytes(data)
    _, damage, last = scan(path)
    assert isinstance(damage, Damage)
    assert f"{path}, record at byte {two}:" in damage.problem
    assert last == StoredImage(SITE + "three", three)


@pytest.mark.parametrize("missing", [30, 200])
def test_truncated_file_gives_what_is_whole_and_one_problem(crawl: Crawl, missing: int) -> None:
    path, (_, two, three) = three_images(crawl)
    path.write_bytes(path.read_bytes()[:-missing])
    *whole, damage = scan(path)
    assert [image.url for image in whole if isinstance(image, StoredImage)] == [SITE + "one", SITE + "two"]
    assert isinstance(damage, Damage)
    # Of a zstd frame that is cut off nothing can be read: then it is what follows the last whole record.
    named = two if path.suffix == ".zst" else three
    assert f"record at byte {named}:" in damage.problem
    with pytest.raises(OpenAlignError, match=f"record at byte {three}"):
        read_payload(path, three)


@pytest.mark.parametrize(("compress", "suffix"), [(gzip.compress, "gz"), (frame, "zst")])
def test_file_that_is_compressed_as_a_whole_is_refused_with_the_remedy(tmp_path: Path, compress, suffix) -> None:  # type: ignore[no-untyped-def]
    path, _ = three_images(Crawl(tmp_path / "crawl.warc"))
    whole = tmp_path / f"whole.warc.{suffix}"
    whole.write_bytes(compress(path.read_bytes()))
    with pytest.raises(OpenAlignError, match="fastwarc recompress"):
        list(scan(whole))


@pytest.mark.parametrize("content", [b"", b"no WARC at all\r\n\r\n" * 9, b"\x1f\x8b\x08broken"])
def test_file_without_records_is_one_problem(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "junk.warc.gz"
    path.write_bytes(content)
    [damage] = scan(path)
    assert isinstance(damage, Damage)
