"""Thousands of malformed crawls: the input of curation is changed at random, and nothing may raise.

    python -m tests.curation.fuzz --minutes 5 [--seed 0]

Seeds are real files made here. What raises anything but the error that is meant, or takes longer than `SLOW` seconds,
is written to tests/curate/crashes/TARGET-DIGEST, where test_fuzz.py reads it for ever after.
"""

import argparse
import gzip
import hashlib
import io
import json
import random
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
from PIL import Image

from openalign.curation.html.alt_text import TEXT_SOURCES, image_tags
from openalign.curation.html.srcset import read_candidates
from openalign.curation.sources.payload import Unreadable
from openalign.curation.sources.warc import read_payload, scan
from openalign.curation.sources.warc_records import StoredImage
from openalign.curation.sources.wat import read_listed_page, tags_of
from openalign.data.files.charset import decode_page
from openalign.data.images.decode import decode
from openalign.data.images.header import read_header
from openalign.errors import OpenAlignError
from tests.curation.crawl import HTML, PAGE, drawing, encoded, write_crawl

CRASHES = Path(__file__).parent / "crashes"
SLOW = 10.0
"""Seconds: nothing here is larger than a few hundred kilobytes."""

# What a change at random hardly hits upon.
WORDS = (
    *(b"<img src=", b'alt="', b"<base href=", b"<picture>", b"<source srcset=", b"<figure>", b"<!--", b"<svg>"),
    *(b"&#x110000;", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff"),
    *(b"\r\n\r\n", b"WARC/1.0\r\n", b"Content-Length: -1\r\n", b"Content-Length: 99999999999\r\n", b"chunked", b"gzip"),
    *(b"\xff\xd8\xff", b"\xed\xa0\x80"),
    *(b"charset=utf-16", b"charset=utf-7", b"http://[", b"//", b"\\\\", b"data:", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"),
)


def read_warc(data: bytes) -> None:
    """All findings of a file, and each image in it."""
    for suffix in (".warc.gz", ".warc"):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"fuzz{suffix}"
            path.write_bytes(data)
            try:
                for finding in scan(path):
                    if isinstance(finding, StoredImage):
                        read_payload(path, finding.offset)
            except OpenAlignError:
                continue


def read_page(data: bytes) -> None:
    """A page's text, its images, and their `srcset` read as if the page were one."""
    text = decode_page(data, None) or ""
    image_tags(text, PAGE, TEXT_SOURCES)
    read_candidates(text)
    decode_page(data, data[:12].decode("latin-1"))


def read_listing(data: bytes) -> None:
    """A WAT record."""
    try:
        page = read_listed_page(data)
    except Unreadable:
        return
    if page is not None:
        tags_of(page, TEXT_SOURCES)


def read_picture(data: bytes) -> None:
    """Header and pixels of an image."""
    for read in (read_header, decode):
        try:
            read(data)
        except OpenAlignError:
            continue


TARGETS: dict[str, Callable[[bytes], None]] = {
    "warc": read_warc,
    "page": read_page,
    "wat": read_listing,
    "image": read_picture,
}


def seeds() -> dict[str, list[bytes]]:
    """Whole files of each kind."""
    with tempfile.TemporaryDirectory() as folder:
        zipped = write_crawl(Path(folder) / "crawl.warc.gz").read_bytes()
    plain = gzip.decompress(zipped)
    records = [b"WARC/1.0" + record for record in plain.split(b"WARC/1.0")[1:]]
    frames = b"".join(pa.compress(record, codec="zstd", asbytes=True) for record in records)
    page = HTML + '<base href="/x/"><picture><source srcset="a.webp 2x, b.webp 1x"><img data-src=c.jpg></picture>'
    links = [{"path": "IMG@/src", "url": "a.jpg", "alt": "a red apple"}, {"path": "A@/href", "url": "b"}]
    listing = {
        "Envelope": {
            "WARC-Header-Metadata": {"WARC-Target-URI": PAGE},
            "Payload-Metadata": {"HTTP-Response-Metadata": {"HTML-Metadata": {"Head": {"Base": "/"}, "Links": links}}},
        }
    }
    image = drawing(1, 60, 50)
    formats = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "ICO", "PPM", "JPEG2000", "AVIF")
    pictures = [encoded(image, name) for name in formats if name in Image.SAVE]
    pictures += [encoded(image.convert("P"), "GIF"), encoded(image.convert("CMYK"), "JPEG"), _animation(), _turned()]
    return {
        "warc": [zipped, plain, frames],
        "page": [page.encode(), page.encode("utf-16"), "<img alt='Größe' src=a>".encode("cp1252") * 20],
        "wat": [json.dumps(listing).encode()],
        "image": pictures,
    }


def changed(data: bytes, others: Sequence[bytes], draw: random.Random) -> bytes:
    """`data` with some bytes flipped, cut out, put in twice or replaced, or spliced with another file."""
    buffer = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 4, 16))):
        position = draw.randrange(len(buffer) + 1)
        length = draw.choice((1, 2, 4, 16, 200))
        match draw.randrange(7):
            case 0:
                buffer[position : position + 1] = bytes([draw.randrange(256)])
            case 1:
                del buffer[position : position + length]
            case 2:
                buffer[position:position] = buffer[position : position + length]
            case 3:
                buffer[position:position] = draw.choice(WORDS)
            case 4:
                buffer[position : position + length] = draw.randbytes(length)
            case 5:
                del buffer[position:]
            case _:
                other = draw.choice(others)
                buffer[position:] = other[draw.randrange(len(other) + 1) :]
    return bytes(buffer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw, corpus = random.Random(options.seed), seeds()
    tried: Counter[str] = Counter()
    found: dict[str, str] = {}
    until = time.monotonic() + 60 * options.minutes
    while time.monotonic() < until:
        target = draw.choice(list(TARGETS))
        data = changed(draw.choice(corpus[target]), corpus[target], draw)
        tried[target] += 1
        if (problem := _problem(target, data)) and problem not in found:
            found[problem] = f"{target}-{hashlib.sha256(data).hexdigest()[:12]}"
            CRASHES.mkdir(exist_ok=True)
            (CRASHES / found[problem]).write_bytes(data)
            print(found[problem], problem, flush=True)
    print(
        f"{sum(tried.values()):,} inputs ({', '.join(f'{n:,} {t}' for t, n in tried.items())}), {len(found)} problems"
    )


def _problem(target: str, data: bytes) -> str | None:
    """Where and what was raised, or that it was slow; None where all is well."""
    began = time.monotonic()
    try:
        TARGETS[target](data)
    except Exception as error:  # what the fuzzer searches for
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} in {frame.filename}:{frame.lineno}"
    return f"{target} was slow" if time.monotonic() - began > SLOW else None


def _animation() -> bytes:
    file = io.BytesIO()
    frames = [drawing(seed, 60, 50) for seed in range(3)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


def _turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    drawing(2, 60, 50).save(file, "JPEG", exif=exif)
    return file.getvalue()


if __name__ == "__main__":
    main()
