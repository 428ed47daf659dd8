"""Scenes: one to three drawn objects on a background, each a pure function of (seed, stream, number)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

import numpy as np
from PIL import Image

from openalign.demo.artwork import KINDS, sprites
from openalign.demo.backgrounds import BACKGROUNDS, paint_background

Content = tuple[str, tuple[str, ...]]
"""The contents of a scene: its background, and the kind of each object."""

SHORTEST, LONGEST = 210, 400
"""Sides of a scene in px; all are above the paper's 200."""


_SIZES = {1: (0.46, 0.78), 2: (0.38, 0.5), 3: (0.3, 0.4)}
"""Ratio of an object's longest side to the picture's shorter side, by the number of objects."""


class Stream(IntEnum):
    """Purposes of random numbers; the streams of a seed are independent."""

    CONTENT = 0
    LAYOUT = 1
    PAINT = 2
    TEXT = 3
    PAGE = 4
    ENCODING = 5
    HELDOUT = 6
    UNSEEN = 7


TEST_NUMBERS = 1 << 40
"""First number of the scenes of test sets, so that none is a scene of the web."""


def random_of(seed: int, stream: Stream, number: int = 0) -> np.random.Generator:
    """The generator of item `number` (below 2**56) of a stream; it depends on nothing else."""
    return np.random.Generator(np.random.Philox(key=[seed, (int(stream) << 56) | number]))


@dataclass(frozen=True)
class Placed:
    """One object of a scene: centre and longest side in px, clockwise turn in degrees."""

    kind: str
    x: float
    y: float
    size: float
    turn: float
    mirrored: bool


@dataclass(frozen=True)
class Scene:
    """A planned scene; `arrangement` is "alone", "row" (objects from left to right), "column" (top down) or "group"."""

    seed: int
    number: int
    width: int
    height: int
    background: str
    arrangement: str
    objects: tuple[Placed, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(placed.kind for placed in self.objects)

    @property
    def shorter(self) -> int:
        return min(self.width, self.height)


@cache
def kept_out(seed: int) -> frozenset[tuple[str, str]]:
    """The (kind, background) combinations kept out of training: one for each kind, backgrounds in equal shares."""
    rng = random_of(seed, Stream.UNSEEN)
    backgrounds = np.resize(rng.permutation(BACKGROUNDS), len(KINDS))
    order = rng.permutation(len(KINDS))
    return frozenset((KINDS[kind].name, str(background)) for kind, background in zip(order, backgrounds, strict=True))


def training_scene(seed: int, number: int) -> Scene:
    """Scene `number` of the web, without combinations of `kept_out`."""
    return arranged(seed, number, training_content(seed, number))


def training_content(seed: int, number: int) -> Content:
    rng = random_of(seed, Stream.CONTENT, number)
    background = str(rng.choice(BACKGROUNDS))
    allowed = [kind.name for kind in KINDS if (kind.name, background) not in kept_out(seed)]
    return background, drawn_kinds(rng, allowed)


def drawn_kinds(rng: np.random.Generator, allowed: Sequence[str], count: int = 0) -> tuple[str, ...]:
    """One, two or three kinds (50 %, 35 %, 15 %, or exactly `count`), sometimes several of one kind."""
    count = count or int(rng.choice(3, p=(0.5, 0.35, 0.15))) + 1
    first, *others = (str(name) for name in rng.choice(allowed, count, replace=False))
    if count > 1 and rng.random() < 0.3:
        return (first,) * count
    if count == 3 and rng.random() < 0.3:
        return (first, first, others[0])
    return (first, *others)


def arranged(seed: int, number: int, content: Content) -> Scene:
    """Arrange `content` in a picture: its size, and the position, size and rotation of each object."""
    background, kinds = content
    rng = random_of(seed, Stream.LAYOUT, number)
    width, height = _picture_size(rng)
    arrangement = _arrangement(rng, width, height, kinds)
    shorter = min(width, height)
    room = {"row": width / len(kinds), "column": height / len(kinds)}.get(arrangement, float(shorter))
    objects = []
    for kind, (x, y) in zip(kinds, _centres(rng, arrangement, len(kinds)), strict=True):
        size = min(rng.uniform(*_SIZES[len(kinds)]) * shorter, 0.98 * room)
        room_x, room_y = max(0.0, width - size) / 2, max(0.0, height - size) / 2
        x = width / 2 + float(np.clip(x * width, -room_x, room_x))
        y = height / 2 + float(np.clip(y * height, -room_y, room_y))
        turn = float(np.clip(rng.normal(0, 10), -25, 25))
        objects.append(Placed(kind, x, y, size, turn, bool(rng.random() < 0.5)))
    return Scene(seed, number, width, height, background, arrangement, tuple(objects))


def _picture_size(rng: np.random.Generator) -> tuple[int, int]:
    """Width and height in px, both within the limits, width / height between 0.75 and 1.5."""
    shorter = int(rng.integers(SHORTEST, 291))
    longer = min(LONGEST, round(shorter * rng.uniform(1, 1.5 if (wide := rng.random() < 0.7) else 1.33)))
    return (longer, shorter) if wide else (shorter, longer)


def _arrangement(rng: np.random.Generator, width: int, height: int, kinds: Sequence[str]) -> str:
    if len(kinds) == 1:
        return "alone"
    if len(kinds) == 2:
        return "row" if rng.random() < width / (width + height) else "column"
    return "row" if width > 1.2 * height else "group"


def _centres(rng: np.random.Generator, arrangement: str, count: int) -> list[tuple[float, float]]:
    """Offsets of the objects from the picture's middle, as fractions of its width and height."""
    jitter = rng.normal(0, 0.025, (count, 2)).tolist()
    if arrangement == "alone":
        return [(float(rng.uniform(-0.3, 0.3)), float(rng.uniform(-0.2, 0.2)))]
    if arrangement == "group":  # a triangle, its tip up or down
        up = 1 if rng.random() < 0.5 else -1
        corners = [(-0.26, 0.24 * up), (0.0, -0.24 * up), (0.26, 0.24 * up)]
        return [(x + dx, y + dy) for (x, y), (dx, dy) in zip(corners, jitter, strict=True)]
    steps = [(index + 0.5) / count - 0.5 for index in range(count)]
    if arrangement == "row":
        return [(step, 3 * dy) for step, (_, dy) in zip(steps, jitter, strict=True)]
    return [(3 * dx, step) for step, (dx, _) in zip(steps, jitter, strict=True)]


def paint(scene: Scene) -> Image.Image:
    """The scene as an RGB picture of `scene.width` x `scene.height` px."""
    rng = random_of(scene.seed, Stream.PAINT, scene.number)
    picture = paint_background(scene.background, rng, scene.width, scene.height)
    for placed in scene.objects:
        drawing = _posed(placed)
        corner = (round(placed.x - drawing.width / 2), round(placed.y - drawing.height / 2))
        picture.paste(drawing, corner, drawing)
    return picture


def _posed(placed: Placed) -> Image.Image:
    """The drawing of an object at its size, mirrored and rotated, on a transparent background."""
    drawing = next((found for found in reversed(sprites(placed.kind)) if max(found.size) >= placed.size), None)
    drawing = drawing or sprites(placed.kind)[0]
    share = placed.size / max(drawing.size)
    cos, sin = np.cos(np.radians(placed.turn)), np.sin(np.radians(placed.turn))
    width = int(np.ceil(share * (drawing.width * abs(cos) + drawing.height * abs(sin)))) + 2
    height = int(np.ceil(share * (drawing.width * abs(sin) + drawing.height * abs(cos)))) + 2
    a, b, d, e = np.array([cos, sin, -sin, cos]) / share
    if placed.mirrored:
        a, b = -a, -b
    c = drawing.width / 2 - a * width / 2 - b * height / 2
    f = drawing.height / 2 - d * width / 2 - e * height / 2
    return drawing.transform((width, height), Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BILINEAR)
