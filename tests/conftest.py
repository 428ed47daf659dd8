"""Shared: painted images, a model whose right answers anyone can see, and a real one trained by the commands."""

import atexit
import gc
import os
import shutil
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image, ImageDraw

from openalign.data.images.read import read_image
from openalign.model.dual_encoder import DualEncoder
from openalign.options import typed_options
from openalign.progress import shown_messages

if TYPE_CHECKING:
    from playwright.sync_api import Browser


ROOT = Path(__file__).parents[1]
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
PROGRAMS = {"Chromium": CHROMIUM.exists(), "Java": shutil.which("java") is not None}
"""What tests need that pip does not install, and whether it is here."""

ALL_SLOW = "pytestmark = pytest.mark.slow"

# For this process and those that tests start: their models are too small for threads, and they import this checkout.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"
# Spark of a test lives for seconds: its Java is compiled once and quickly, and is not verified.
os.environ.setdefault(
    "SPARK_SUBMIT_OPTS",
    "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote",
)
os.environ.setdefault("SPARK_CONF_DIR", str(ROOT / "tests" / "spark"))
# Under `nohup` programs that tests start would inherit that a terminal which goes away is ignored.
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))

# How long an example takes depends on what else the machine does. `--hypothesis-profile thorough` tries many more.
settings.register_profile("short", deadline=None, max_examples=50)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile("short")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rounds", type=int, default=3, help="How much each of tests/torture tries.")
    parser.addoption("--torture-seed", type=int, default=0, help="For other random choices there.")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out, unread, the files of which every test is slow, where slow tests are not wanted: imports take long."""
    if config.option.markexpr != "not slow" or collection_path.suffix != ".py":
        return None
    return ALL_SLOW in collection_path.read_text(encoding="utf-8").splitlines() or None


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a test with bytes by their length: packed bytes hold the second in which they were packed.

    Workers that collect in different seconds would otherwise find different tests, which ends the run.
    """
    return f"{argname}-{len(val)}" if isinstance(val, bytes) else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect with Python's garbage collector off, and let it skip what stays afterwards: that halves the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        atexit.register(gc.unfreeze)  # libraries of C++ report as leaked what the end of the interpreter leaves
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that no worker is left alone with one of them at the end.

    Last of them is the one that runs mypy, which reads what mypy of `make test` has left by then.
    """
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("slow")
    long_files = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path not in long_files, item.path.name == "test_api.py"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    for program in (name for name, is_here in PROGRAMS.items() if not is_here):
        count = sum(program in reason for reason in skipped)
        terminalreporter.section("NOT TESTED", red=True, bold=True)
        terminalreporter.line(f"{program} is not installed here: {count} tests that need it did not run.", red=True)


COLOURS = {
    "red": (225, 40, 40),
    "green": (40, 190, 70),
    "blue": (45, 70, 225),
    "yellow": (235, 215, 50),
    "violet": (110, 40, 215),
    "white": (245, 245, 245),
}


BLACK = (10, 10, 10)


class PaintEncoder(DualEncoder):
    """Sees the mean colour of an image and the first colour word of a text, as directions from mid-grey.

    A text without one is black; it fails on `colourless`.
    """

    name = "paint"
    width = 3
    fingerprint = "0123456789abcdef"
    image_size = 1
    temperature = 0.1

    def __init__(self) -> None:
        self.images_embedded = 0

    def prepare(self, image):
        return read_image(image).mean(axis=(0, 1)).astype(np.float32)

    def _embed_prepared(self, images):
        self.images_embedded += len(images)
        return _directions(images)

    def _embed_text_batch(self, texts: Sequence[str]):
        return _directions([_named(text) for text in texts])


def _named(text: str) -> tuple[int, int, int]:
    if text == "colourless":
        raise StopIteration
    return next((colour for name, colour in COLOURS.items() if name in text), BLACK)


def _directions(colours: Sequence[Sequence[float]]) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.tensor(np.asarray(colours, np.float32)) - 127.5, dim=1)


@pytest.fixture(scope="session", autouse=True)
def messages() -> Iterator[None]:
    """The library's messages on standard error, as the command line shows and words them."""
    with shown_messages(), typed_options():
        yield


@pytest.fixture(scope="session", autouse=True)
def cache_home(tmp_path_factory) -> Iterator[None]:
    """What openalign measures on this machine is kept for this session only, not in the user's cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def paint_encoder() -> PaintEncoder:
    return PaintEncoder()


@pytest.fixture(scope="session")
def paint() -> Callable[..., Path]:
    """Paint an image of one colour with a small darker shape on it; the format follows the suffix."""

    def paint(path: Path, colour: str, size: tuple[int, int] = (60, 40), shape: str = "ellipse") -> Path:
        width, height = size
        image = Image.new("RGB", size, COLOURS[colour])
        darker = tuple(int(0.8 * channel) for channel in COLOURS[colour])
        getattr(ImageDraw.Draw(image), shape)((width // 3, height // 3, width // 2, height // 2), fill=darker)
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
        return path

    return paint


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """Chromium; tests that ask for it skip where it is absent."""
    if not CHROMIUM.exists():
        pytest.skip(f"needs Chromium at {CHROMIUM}; the variable CHROMIUM names another path")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--in-process-gpu"])
        yield started
        started.close()


TINY = (
    "steps=6", "batch_size=8", "image_size=32", "resize_size=36", "checkpoint_every_steps=3", "log_every_steps=1",
    "cache_images=false", "workers=0", "optimizer.warmup_steps=2", "text_tower.width=32", "text_tower.inner_width=64",
    "image_tower.kernels=[3]", "image_tower.strides=[2]", "image_tower.channels=[32]", "image_tower.repeats=[1]",
    "image_tower.expansions=[1]",
)  # fmt: skip
"""Changes to `recipes/demo.toml` that make a run of a second."""


def with_settings(arguments: Sequence[object], *changes: str) -> list[object]:
    """The arguments of a command with `--set` of each of the changes, instead of others of the same keys."""
    keys = {change.partition("=")[0] for change in changes}
    kept: list[object] = []
    for argument in arguments:
        if kept and kept[-1] == "--set" and str(argument).partition("=")[0] in keys:
            kept.pop()
        else:
            kept.append(argument)
    return [*kept, *(part for change in changes for part in ("--set", change))]


@dataclass(frozen=True)
class Road:
    """What each command made of two dozen paintings."""

    table: Path
    tokenizer: Path
    run: Path
    index: Path
    training: list[str]
    """The arguments of `openalign train`, but for --to."""


@pytest.fixture(scope="session")
def road(tmp_path_factory: pytest.TempPathFactory) -> Road:
    """The commands tokenizer, train and index, run on a table of 24 paintings with its column `label`."""
    from typer.testing import CliRunner  # here, since tests of training run where the command line's library is not

    from openalign.commands.cli import app

    folder = tmp_path_factory.mktemp("road")
    lines = ["file,text,label"]
    for number in range(24):
        colour = list(COLOURS)[number % len(COLOURS)]
        Image.new("RGB", (60 + number, 48), COLOURS[colour]).save(folder / f"{number}-{colour}.png")
        lines.append(f"{number}-{colour}.png,a {colour} wall number {number},{colour}")
    table, tokenizer, run, index = (folder / name for name in ("photos.csv", "tokenizer.json", "run", "photos.index"))
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    settings = (f"data={table}", f"tokenizer={tokenizer}", *TINY)
    training = ["train", "demo", *(part for setting in settings for part in ("--set", setting))]
    for command in (
        ["tokenizer", table, "--to", tokenizer, "--size", 100],
        [*training, "--to", run],
        ["index", table, "--model", run / "model", "--to", index],
    ):
        done = CliRunner().invoke(app, [str(argument) for argument in command])
        assert done.exit_code == 0, (command, done.output, done.exception)
    return Road(table, tokenizer, run, index, training)
