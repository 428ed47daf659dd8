"""The image files of the miniature web: scenes, and the other images of pages (icons, banners, broken files)."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import simplejpeg
from PIL import Image, ImageDraw

from openalign.demo.artwork import KINDS, sprites
from openalign.demo.backgrounds import BACKGROUNDS, paint_background
from openalign.demo.captions import article, caption, full_caption
from openalign.demo.scenes import Scene, Stream, paint, random_of, training_scene

FORMATS: Mapping[str, float] = {"jpg": 0.94, "png": 0.025, "webp": 0.025, "gif": 0.01}
"""Shares of the file formats of scenes."""

OTHER_IMAGES: Mapping[str, float] = {
    "icon": 0.36,
    "banner": 0.2,
    "tracking_pixel": 0.19,
    "broken": 0.13,
    "truncated": 0.1,
    "test_near_duplicate": 0.02,
}
"""Shares of the kinds of other images on a page."""

ICON_SIDES = (16, 32, 48, 64, 96, 128, 150, 200)
BANNER_SIZES = ((728, 90), (468, 60), (970, 250), (900, 300), (1000, 220), (160, 600))
"""Width and height in px; two of them break only the paper's rule on aspect ratios, whose limit is 900 x 300."""

CONTENT_TYPES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif"}

_PIXEL = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"
)  # the 1 x 1 transparent GIF
_NOT_FOUND = b"<!DOCTYPE html><html><title>Not found</title><body><h1>Sorry, this picture is gone</h1></body></html>"


@dataclass(frozen=True)
class Picture:
    """A file and the truth about it; `width` and `height` in px, None if no image can be read from it."""

    data: bytes
    extension: str
    width: int | None
    height: int | None
    text: str | None
    caption_ok: bool
    status: int = 200


def format_of(seed: int, number: int) -> str:
    """The file extension of a scene."""
    return str(random_of(seed, Stream.ENCODING, number).choice(list(FORMATS), p=list(FORMATS.values())))


def scene_file(scene: Scene) -> bytes:
    """The encoded scene in its format; JPEG quality 70 to 95."""
    rng = random_of(scene.seed, Stream.ENCODING, scene.number)
    rng.random()  # the number that `format_of` used
    return encoded(paint(scene), format_of(scene.seed, scene.number), int(rng.integers(70, 96)))


def encoded(picture: Image.Image, extension: str, quality: int) -> bytes:
    if extension == "jpg":
        return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality=quality, colorsubsampling="420"))
    stream = io.BytesIO()
    if extension == "png":
        picture.save(stream, "png", compress_level=1)
    elif extension == "webp":
        picture.save(stream, "webp", quality=quality, method=0)
    else:
        picture.quantize(128, Image.Quantize.FASTOCTREE).save(stream, "gif")
    return stream.getvalue()


def icon(rng: np.random.Generator) -> Picture:
    """One object on a plain square of at most 200 px."""
    side = int(rng.choice(ICON_SIDES))
    kind = str(rng.choice([kind.name for kind in KINDS]))
    ground = tuple(int(level) for level in rng.integers(170, 256, 3))
    picture = Image.new("RGB", (side, side), ground)
    drawing = sprites(kind)[-1].copy()
    drawing.thumbnail((side, side))
    picture.paste(drawing, ((side - drawing.width) // 2, (side - drawing.height) // 2), drawing)
    text = str(rng.choice((f"{article(kind)} icon", f"small icon of {article(kind)}", kind, "home", "menu")))
    return Picture(encoded(picture, "png", 0), "png", side, side, text, kind in text)


def banner(rng: np.random.Generator) -> Picture:
    """An advertisement with an aspect ratio of 3 or more."""
    width, height = BANNER_SIZES[int(rng.integers(len(BANNER_SIZES)))]
    picture = paint_background(str(rng.choice(BACKGROUNDS)), rng, width, height)
    side = min(width, height)
    for offset in range(0, max(width, height) - side + 1, 2 * side):
        drawing = sprites(str(rng.choice([kind.name for kind in KINDS])))[1].copy()
        drawing.thumbnail((side * 0.8, side * 0.8))
        picture.paste(drawing, (offset, side // 10) if width > height else (side // 10, offset), drawing)
    text = str(
        rng.choice(("summer sale on all toys", "advertisement", "our partners and friends", "book your holiday now"))
    )
    return Picture(encoded(picture, "jpg", 80), "jpg", width, height, text, False)


def tracking_pixel(rng: np.random.Generator) -> Picture:
    text = (None, "", "pixel")[int(rng.integers(3))]
    return Picture(_PIXEL, "gif", 1, 1, text, False)


def broken(rng: np.random.Generator, seed: int) -> Picture:
    """A true caption, but its URL gives an error page (with or without the status), noise or nothing."""
    text = caption(_extra_scene(rng, seed), rng)
    kind = rng.integers(4)
    data = (_NOT_FOUND, _NOT_FOUND, rng.bytes(int(rng.integers(50, 5000))), b"")[kind]
    return Picture(data, "jpg", None, None, text, False, status=404 if kind == 0 else 200)


def truncated(rng: np.random.Generator, seed: int) -> Picture:
    """A scene with a truncated file, as after a lost connection."""
    scene = _extra_scene(rng, seed)
    extension = "png" if rng.random() < 0.2 else "jpg"
    data = encoded(paint(scene), extension, 85)
    kept = int(len(data) * rng.uniform(0.2, 0.8))
    return Picture(data[:kept], extension, None, None, caption(scene, rng), False)


def near_duplicate(rng: np.random.Generator, scene: Scene) -> Picture:
    """A held-out test image that reappears on the web: recompressed, rescaled, slightly cropped or grey."""
    picture = paint(scene)
    change = rng.choice(("recompressed", "rescaled", "cropped", "grey"))
    if change == "rescaled":
        share = rng.uniform(max(0.7, 204 / scene.shorter), 1.4)
        size = (round(scene.width * share), round(scene.height * share))
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    elif change == "cropped":  # by up to 3 % at each edge, but not below the paper's 200 px
        spare = max(0.0, min(0.03, (scene.shorter - 204) / 2 / scene.shorter))
        left, top, right, bottom = rng.uniform(0, spare, 4) * (scene.width, scene.height, scene.width, scene.height)
        picture = picture.crop((int(left), int(top), scene.width - int(right), scene.height - int(bottom)))
    elif change == "grey":
        picture = picture.convert("L").convert("RGB")
    data = encoded(picture, "jpg", int(rng.integers(45, 75)))
    return Picture(data, "jpg", picture.width, picture.height, full_caption(scene, rng), True)


@cache
def logo(title: str) -> bytes:
    picture = Image.new("RGB", (160, 40), (246, 246, 240))
    ImageDraw.Draw(picture).text((10, 14), title, fill=(40, 60, 90))
    return encoded(picture, "png", 0)


@cache
def coming_soon() -> bytes:
    """The 400 x 300 px picture of every article without a photo."""
    picture = Image.new("RGB", (400, 300), (232, 232, 236))
    ImageDraw.Draw(picture).text((150, 145), "photo coming soon", fill=(120, 120, 130))
    return encoded(picture, "png", 0)


def _extra_scene(rng: np.random.Generator, seed: int) -> Scene:
    """A scene whose number no web reaches."""
    return training_scene(seed, (1 << 41) + int(rng.integers(1 << 40)))
