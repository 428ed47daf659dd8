"""A few dozen real image files with texts, and a recipe small enough to run in a second."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openalign.data.tokenizer.wordpiece import train_tokenizer
from openalign.training.loop import train

COLOURS = {"red": (220, 40, 40), "green": (40, 180, 60), "blue": (50, 80, 220), "grey": (128, 128, 128)}
SHAPES = ("square", "stripe", "corner")

RECIPE = """
data = "pairs.csv"
tokenizer = "tokenizer.json"
steps = 8
batch_size = 12
image_size = 16
checkpoint_every_steps = 2
log_every_steps = 1
workers = 1

[image_tower]
width_multiplier = 0.25
kernels = [3, 3]
strides = [2, 2]
channels = [32, 64]
repeats = [1, 2]
expansions = [1, 4]
drop_path = 0.3

[text_tower]
width = 16
layers = 1
heads = 2
inner_width = 32
dropout = 0.1
max_pieces = 16

[loss]
temperature = 0.2

[optimizer]
learning_rate = 0.01
warmup_steps = 2
"""


def draw(colour: tuple[int, int, int], shape: str, seed: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(180, 256, (40, 48, 3), dtype=np.uint8)
    area = {"square": np.s_[10:30, 10:30], "stripe": np.s_[15:25, :], "corner": np.s_[:20, :20]}[shape]
    pixels[area] = colour
    return Image.fromarray(pixels)


def write_set(folder: Path) -> Path:
    """Write 36 drawings, `pairs.csv`, a tokenizer and the recipe, whose path is returned, to a folder."""
    lines = ["file,text"]
    for number in range(36):
        name, colour = list(COLOURS.items())[number % 4]
        shape = SHAPES[number % 3]
        draw(colour, shape, number).save(folder / f"{number}.jpg")
        lines.append(f"{number}.jpg,a {name} {shape} number {number}")
    (folder / "pairs.csv").write_text("\n".join(lines) + "\n")
    train_tokenizer([line.split(",")[1] for line in lines[1:]], folder / "tokenizer.json", size=120)
    path = folder / "tiny.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """The recipe of a folder with 36 drawings, `pairs.csv` and a tokenizer."""
    return write_set(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four steps with checkpoints of the last three, whose set lies beside it; for copies only."""
    folder = tmp_path_factory.mktemp("finished")
    small = {"steps": "4", "checkpoint_every_steps": "1", "workers": "0", "batch_size": "4"}
    train(write_set(folder), set=small, to=folder / "run")
    return folder / "run"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of that run; RUN/model and the checkpoints are no links to each other."""
    return shutil.copytree(finished, tmp_path / "run")
