"""What the torture tests work on: a small crawl, photos, a recipe of seconds, and the commands over them."""

import io
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from tests.torture.commands import Commands

COLOURS = {"red": (220, 40, 40), "green": (40, 180, 60), "blue": (50, 80, 220), "grey": (128, 128, 128)}
RECIPE = """
data = "photos.csv"
tokenizer = "tokenizer.json"
steps = 12
batch_size = 12
image_size = 16
checkpoint_every_steps = 2
log_every_steps = 1
workers = 1

[image_tower]
width_multiplier = 0.25
kernels = [3]
strides = [2]
channels = [32]
repeats = [1]
expansions = [1]

[text_tower]
width = 16
layers = 1
heads = 2
inner_width = 32
max_pieces = 16

[optimizer]
learning_rate = 0.01
warmup_steps = 2
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(100 * item.config.getoption("--rounds")))


@dataclass(frozen=True)
class Material:
    """Where everything lies, and the arguments of each command but for its output folder."""

    folder: Path
    crawl: list[Path]
    photos: Path
    more_photos: Path
    recipe: Path
    model: Path
    index: Path
    """Of `photos` alone."""

    @property
    def curate(self) -> list[object]:
        return ["curate", *self.crawl, "--set", "min_shorter_side=50", "--workers", 2, "--to"]

    @property
    def train(self) -> list[object]:
        return ["train", self.recipe, "--resume", "--to"]

    @property
    def make_index(self) -> list[object]:
        return ["index", self.photos, "--model", self.model, "--embed-texts", "--to"]

    @property
    def add_to_index(self) -> list[object]:
        return ["index", self.photos, self.more_photos, "--model", self.model, "--embed-texts", "--to"]


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    """How much to try: `--rounds`."""
    return int(request.config.getoption("--rounds"))


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Random numbers of this test; `--torture-seed` repeats a run."""
    seed = f"{request.config.getoption('--torture-seed')} {request.node.name}"
    print(f"seed: {seed}")
    return random.Random(seed)


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    with Commands(tmp_path_factory.mktemp("outputs")) as started:
        yield started


@pytest.fixture(scope="session")
def material(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> Material:
    folder = tmp_path_factory.mktemp("material")
    made = Material(
        folder,
        [_write_crawl(folder / f"crawl-{number}.warc.gz", number) for number in range(4)],
        _paint_photos(folder / "photos", range(200)),
        _paint_photos(folder / "more", range(200, 300)),
        folder / "tiny.toml",
        folder / "run" / "model",
        folder / "photos.index",
    )
    made.recipe.write_text(RECIPE)
    lines = [f"photos/{path.name},{path.with_suffix('.txt').read_text()}" for path in made.photos.glob("*.jpg")]
    (folder / "photos.csv").write_text("\n".join(["file,text", *sorted(lines)]) + "\n")
    commands.run("tokenizer", folder / "photos.csv", "--to", folder / "tokenizer.json", "--size", 120).check()
    commands.run(*made.train, folder / "run").check()
    commands.run(*made.make_index, made.index).check()
    return made


def _paint(seed: int, size: tuple[int, int]) -> Image.Image:
    """Shapes in seeded positions and colours, so that no two seeds look alike."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", size, tuple(int(level) for level in rng.integers(90, 255, 3)))
    draw = ImageDraw.Draw(image)
    for _ in range(8):
        x, y, radius = rng.uniform(0, size[0]), rng.uniform(0, size[1]), rng.uniform(5, size[1] / 4)
        fill = tuple(int(level) for level in rng.integers(0, 255, 3))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)
    return image


def _paint_photos(folder: Path, numbers: range) -> Path:
    folder.mkdir()
    for number in numbers:
        _paint(number, (64, 48)).save(folder / f"{number:03d}.jpg")
        colour = list(COLOURS)[number % len(COLOURS)]
        (folder / f"{number:03d}.txt").write_text(f"a {colour} drawing number {number}")
    return folder


def _write_crawl(path: Path, number: int) -> Path:
    """A few pages of one site and the images on them."""
    site = f"https://site{number}.example"
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=True)

        def add(url: str, body: bytes, kind: str) -> None:
            headers = StatusAndHeaders("200 OK", [("Content-Type", kind)], protocol="HTTP/1.1")
            writer.write_record(writer.create_warc_record(url, "response", io.BytesIO(body), http_headers=headers))

        for page in range(3):
            tags = [f'<img src="{page}-{i}.jpg" alt="shapes on page {page} drawing {i} of {number}">' for i in range(5)]
            add(f"{site}/{page}.html", b"<!doctype html><meta charset=utf-8>" + "".join(tags).encode(), "text/html")
            for i in range(5):
                image = io.BytesIO()
                _paint(1000 * number + 10 * page + i, (96, 80)).save(image, "JPEG")
                add(f"{site}/{page}-{i}.jpg", image.getvalue(), "image/jpeg")
    return path
