"""Ten drawn backgrounds, painted for every scene so that no two are equal."""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw

Colour = tuple[float, float, float]
Points = Sequence[tuple[float, float]]
Painter = Callable[[np.random.Generator, int, int], Image.Image]


def paint_background(name: str, rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """An RGB picture of `width` x `height` px of the background `name`; `rng` decides all details."""
    return PAINTERS[name](rng, width, height)


def _sky(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    image = _wash(rng, width, height, (74, 150, 226), (186, 222, 248))
    circles = []
    for _ in range(rng.integers(2, 6)):
        x, y = rng.uniform(0, width), rng.uniform(0, 0.95 * height)
        puff = rng.uniform(0.07, 0.14) * width
        offsets = rng.normal(0, (1.3, 0.35), (7, 2)) * puff
        sizes = rng.uniform(0.5, 1, 7) * puff
        circles += [(x + dx, y + dy, size) for (dx, dy), size in zip(offsets, sizes, strict=True)]
    _stamp(image, (252, 253, 255), circles=circles)
    return image


def _grass(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    image = _wash(rng, width, height, (126, 186, 74), (58, 128, 44))
    draw = ImageDraw.Draw(image)
    greens = rng.integers((40, 110, 30), (150, 205, 90), (12, 3))
    blades = rng.uniform((0, 0, -6, 8), (width, height + 12, 7, 22), (170, 4))
    for number, (x, y, lean, length) in enumerate(blades):
        draw.line((x, y, x + lean, y - length), fill=tuple(map(int, greens[number % 12])), width=1 + number % 2)
    _dots(draw, rng, int(rng.integers(0, 8)), (1.5, 3), [(250, 250, 240), (250, 222, 90)])
    return image


def _sand(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    image = _wash(rng, width, height, (242, 216, 158), (222, 184, 116))
    draw = ImageDraw.Draw(image)
    step, swing, length = rng.uniform(22, 40), rng.uniform(2, 6), rng.uniform(70, 130)
    phase, tilt = rng.uniform(0, 6), rng.uniform(-0.15, 0.15)
    for y in np.arange(-0.1 * height, 1.1 * height, step):
        draw.line(_wave(width, y, swing, length, phase + y, tilt), fill=(205, 164, 98), width=3)
    return _grained(rng, image)


def _night(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    image = _wash(rng, width, height, (10, 14, 46), (38, 44, 104))
    draw = ImageDraw.Draw(image)
    _dots(draw, rng, int(rng.integers(60, 110)), (0.3, 1.4), [(255, 255, 255), (255, 240, 190)])
    stars = rng.uniform((0, 0, 4), (width, height, 9), (int(rng.integers(4, 10)), 3)).tolist()
    _stamp(image, (255, 248, 210), polygons=[_star(*star) for star in stars])
    return image


def _brick(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    image = _wash(rng, width, height, (222, 206, 190), (196, 180, 166), cells=3)
    draw = ImageDraw.Draw(image)
    tall, gap = rng.uniform(20, 32), rng.uniform(2.5, 4.5)
    wide, shift = tall * rng.uniform(1.9, 2.6), rng.uniform(0, 60)
    reds = rng.integers((150, 58, 40), (196, 92, 70), (10, 3))
    number = 0
    for row, y in enumerate(np.arange(-rng.uniform(0, tall), height, tall)):
        for x in np.arange(-shift - wide * (row % 2) / 2 - wide, width, wide):
            number += int(1 + (x + 7 * y) % 3)
            corner = (x, y, x + wide - gap, y + tall - gap)
            draw.rectangle(corner, fill=tuple(map(int, reds[number % 10])))
    return image


def _snow(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    image = _wash(rng, width, height, (196, 212, 234), (236, 243, 251))
    draw = ImageDraw.Draw(image)
    for share in sorted(rng.uniform(0.3, 0.9, 2)):
        top = _wave(width, share * height, rng.uniform(6, 16), rng.uniform(150, 300), rng.uniform(0, 6))
        shade = 236 + int(14 * share)
        draw.polygon([*top, (width + 9, height + 9), (-9, height + 9)], fill=(shade, shade + 2, 255))
    _dots(draw, rng, int(rng.integers(40, 80)), (1, 4.2), [(255, 255, 255), (172, 196, 226)])
    return image


def _water(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    image = _wash(rng, width, height, (64, 186, 198), (10, 92, 136))
    draw = ImageDraw.Draw(image)
    step, swing, length = rng.uniform(20, 34), rng.uniform(3, 6), rng.uniform(26, 52)
    crests = []
    for y in np.arange(rng.uniform(0, step), height + step, step):
        phase = rng.uniform(0, 6)
        draw.line(_wave(width, y + 4, swing, length, phase), fill=(10, 104, 148), width=4)
        crests.append(_wave(width, y, swing, length, phase))
    _stamp(image, (178, 236, 238), lines=crests, line_width=4)
    return image


def _paper(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    image = _wash(rng, width, height, (254, 252, 240), (244, 240, 222), amplitude=5)
    draw = ImageDraw.Draw(image)
    step, start = rng.uniform(16, 28), rng.uniform(0, 20)
    for y in np.arange(start, height, step):
        draw.line((0, y, width, y), fill=(166, 196, 226), width=1)
    if rng.random() < 0.5:  # squared, else ruled with a margin
        for x in np.arange(rng.uniform(0, step), width, step):
            draw.line((x, 0, x, height), fill=(166, 196, 226), width=1)
    else:
        margin = rng.uniform(0.06, 0.2) * width
        draw.line((margin, 0, margin, height), fill=(232, 120, 120), width=2)
    return image


def _wood(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    image = _wash(rng, width, height, (188, 128, 74), (160, 104, 58), cells=3)
    draw = ImageDraw.Draw(image)
    plank = rng.uniform(40, 70)
    for top in np.arange(-rng.uniform(0, plank), height, plank):
        tone = rng.uniform(0.86, 1.12)
        draw.rectangle((0, top, width, top + plank), fill=_shaded((178, 120, 68), tone))
        for y in top + rng.uniform(0.1, 0.95, 6) * plank:
            grain = _wave(width, y, rng.uniform(0.5, 2.5), rng.uniform(90, 220), rng.uniform(0, 6))
            draw.line(grain, fill=_shaded((142, 90, 48), tone), width=1)
        seam = rng.uniform(0, width)
        draw.line((seam, top, seam, top + plank), fill=(86, 52, 28), width=2)
        draw.line((0, top, width, top), fill=(86, 52, 28), width=3)
    return image


def _leaves(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    image = _wash(rng, width, height, (150, 84, 38), (112, 62, 30))
    draw = ImageDraw.Draw(image)
    count = 70 + width * height // 1800
    leaves = rng.uniform((0, 0, 10, 0), (width, height, 20, 6.3), (count, 4)).tolist()
    colours = [(204, 92, 30), (226, 142, 40), (178, 54, 30), (236, 178, 62), (142, 78, 34)]
    for (x, y, length, turn), colour in zip(leaves, rng.integers(0, 5, count), strict=True):
        draw.polygon(_leaf(x, y, length, turn), fill=colours[colour], outline=(96, 50, 24))
    return image


PAINTERS: dict[str, Painter] = {
    "sky": _sky,
    "grass": _grass,
    "sand": _sand,
    "night": _night,
    "brick": _brick,
    "snow": _snow,
    "water": _water,
    "paper": _paper,
    "wood": _wood,
    "leaves": _leaves,
}
BACKGROUNDS = tuple(PAINTERS)


def _wash(
    rng: np.random.Generator,
    width: int,
    height: int,
    top: Colour,
    bottom: Colour,
    cells: int = 5,
    amplitude: float = 14,
) -> Image.Image:
    """A soft gradient from `top` to `bottom` with broad blotches: a tiny picture of random colours, enlarged."""
    share = np.linspace(0, 1, cells)[:, None, None] + rng.uniform(-0.15, 0.15)
    small = np.asarray(top) * (1 - share) + np.asarray(bottom) * share + rng.normal(0, amplitude * 0.4, 3)
    small = small + rng.normal(0, amplitude, (cells, cells, 1))
    picture = Image.fromarray(np.clip(small, 0, 255).astype(np.uint8))
    return picture.resize((width, height), Image.Resampling.BICUBIC)


def _stamp(
    image: Image.Image,
    colour: tuple[int, int, int],
    *,
    polygons: Sequence[Points] = (),
    lines: Sequence[Points] = (),
    line_width: int = 1,
    circles: Sequence[tuple[float, float, float]] = (),
) -> None:
    """Draw the shapes in one colour with smooth edges: as a mask of twice the size, halved."""
    mask = Image.new("L", (image.width * 2, image.height * 2))
    draw = ImageDraw.Draw(mask)
    for points in polygons:
        draw.polygon([(2 * x, 2 * y) for x, y in points], fill=255)
    for points in lines:
        draw.line([(2 * x, 2 * y) for x, y in points], fill=255, width=2 * line_width)
    for x, y, radius in circles:
        draw.ellipse((2 * (x - radius), 2 * (y - radius), 2 * (x + radius), 2 * (y + radius)), fill=255)
    image.paste(colour, (0, 0), mask.reduce(2))


def _dots(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    count: int,
    radii: tuple[float, float],
    colours: Sequence[tuple[int, int, int]],
) -> None:
    """Scatter small round spots over the picture of `draw`."""
    width, height = draw.im.size
    spots = rng.uniform((0, 0, radii[0]), (width, height, radii[1]), (count, 3)).tolist()
    for number, (x, y, radius) in enumerate(spots):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colours[number % len(colours)])


def _wave(
    width: int, y: float, swing: float, length: float, phase: float, tilt: float = 0
) -> list[tuple[float, float]]:
    """Points of a sine curve across the picture: `swing` and `length` in px, `phase` in radians, `tilt` its slope."""
    x = np.arange(-8, width + 12, 8)
    return list(zip(x.tolist(), (y + tilt * x + swing * np.sin(x * (6.283 / length) + phase)).tolist(), strict=True))


def _star(x: float, y: float, size: float) -> list[tuple[float, float]]:
    """A four-pointed star."""
    angles = np.arange(8) * (np.pi / 4)
    radii = size * np.where(np.arange(8) % 2, 0.28, 1)
    return list(zip((x + radii * np.cos(angles)).tolist(), (y + radii * np.sin(angles)).tolist(), strict=True))


def _leaf(x: float, y: float, length: float, turn: float) -> list[tuple[float, float]]:
    """A pointed oval, `length` px from tip to tip, turned by `turn` radians."""
    along = np.array([-1, -0.45, 0.2, 1, 0.2, -0.45]) * length
    across = np.array([0, 0.42, 0.4, 0, -0.4, -0.42]) * length
    cos, sin = np.cos(turn), np.sin(turn)
    return list(zip((x + along * cos - across * sin).tolist(), (y + along * sin + across * cos).tolist(), strict=True))


def _shaded(colour: tuple[int, int, int], tone: float) -> tuple[int, int, int]:
    red, green, blue = (min(255, int(channel * tone)) for channel in colour)
    return red, green, blue


@cache
def _grain() -> Image.Image:
    """Grains of sand: grey noise around 128. All scenes share it; each crops its own part."""
    noise = np.random.Generator(np.random.Philox(1)).normal(128, 22, (1024, 1024))
    return Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8)).convert("RGB")


def _grained(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    """The picture with grains on top."""
    x, y = (int(corner) for corner in rng.integers(0, 1024 - np.array(image.size)))
    return ImageChops.overlay(image, _grain().crop((x, y, x + image.width, y + image.height)))
