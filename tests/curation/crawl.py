"""A crawl of one page, written by another program's writer: an image for each fate that a pair can have."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

PAGE = "https://shop.example/index.html"

HTML = """<!doctype html><meta charset="utf-8"><title>Shop</title>
<img src="img/good.jpg" alt="a red  apple &amp; a pear">
<img src="/img/good.jpg" alt="a red apple &amp; a pear">
<img src="img/good.jpg">
<img src="img/large.png" alt="a large drawing of shapes">
<img src="img/small.jpg" alt="apple">
<img src="img/banner.jpg" alt="a very wide banner">
<img src="img/truncated.jpg" alt="a picture cut short">
<img src="img/missing.jpg" alt="a picture not there">
<img src="img/copy.jpg" alt="a copy of a test image">
"""


def drawing(seed: int, width: int = 320, height: int = 260) -> Image.Image:
    """Shapes at seeded positions and in seeded colours, so that no two seeds look alike."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (width, height), tuple(int(level) for level in rng.integers(90, 255, 3)))
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        x, y, size = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(10, height / 4)
        draw.ellipse(
            (x - size, y - size, x + size, y + size), fill=tuple(int(level) for level in rng.integers(0, 255, 3))
        )
    return image


def encoded(image: Image.Image, file_format: str = "JPEG", quality: int = 88) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, quality=quality)
    return file.getvalue()


def write_crawl(path: Path) -> Path:
    """Write the page and its images as a WARC file; `missing.jpg` is only linked, `copy.jpg` shows `drawing(99)`."""
    images = {
        "good.jpg": encoded(drawing(1)),
        "large.png": encoded(drawing(2, 900, 600), "PNG"),
        "small.jpg": encoded(drawing(3, 200, 240)),
        "banner.jpg": encoded(drawing(4, 780, 260)),
        "truncated.jpg": encoded(drawing(5))[:-3000],
        "copy.jpg": encoded(drawing(99).resize((400, 325)), quality=60),
    }
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=True)
        _write(writer, PAGE, HTML.encode(), "text/html")
        for name, data in images.items():
            _write(writer, f"https://shop.example/img/{name}", data, f"image/{name.rpartition('.')[2]}")
    return path


def _write(writer: WARCWriter, url: str, body: bytes, kind: str) -> None:
    headers = StatusAndHeaders("200 OK", [("Content-Type", kind)], protocol="HTTP/1.1")
    writer.write_record(writer.create_warc_record(url, "response", io.BytesIO(body), http_headers=headers))
