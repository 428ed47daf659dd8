import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openalign.data.tokenizer.wordpiece import Tokenizer, train_tokenizer
from openalign.model import hub
from openalign.model.align import Align, AlignSettings, TextTowerSettings
from openalign.model.efficientnet.settings import ImageTowerSettings
from openalign.search import Index
from tests.conftest import COLOURS, PaintEncoder

NAMES = ["red", "green", "blue", "yellow", "violet", "white"]


@pytest.fixture(scope="session")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 painted images in a table, with texts, and the page of a hostile url on row 1, with their index."""
    folder = tmp_path_factory.mktemp("painted")
    (folder / "photos").mkdir()
    rows = ["file,text,page"]
    for number in range(48):
        colour = NAMES[number % len(NAMES)]
        name = f"{number:02}-{colour}.png"
        size = (120 + 10 * (number % 7), 150 - 9 * (number % 5))
        _patches(number, COLOURS[colour], size).save(folder / "photos" / name)
        page = "javascript:alert(1)" if number == 1 else f"https://example.org/{number}"
        rows.append(f"{name},{colour} paint {number},{page}")
    (folder / "photos" / "pairs.csv").write_text("\n".join(rows) + "\n")
    built = Index.build([folder / "photos"], model=PaintEncoder(), to=folder / "paint.index", map_=False)
    built.store.close()
    (folder / "paint.index" / "CREDITS").write_text("Painted here, https://example.org/licence")
    examples = ["a red wall", {"text": "white", "minus": ["red"]}]
    (folder / "paint.index" / "examples.json").write_text(json.dumps(examples))
    return folder


@pytest.fixture
def index(painted: Path, tmp_path: Path, paint_encoder: PaintEncoder) -> Index:
    """A copy of `painted`, which the test may change."""
    shutil.copytree(painted, tmp_path, dirs_exist_ok=True)
    return Index.open(tmp_path / "paint.index", model=paint_encoder)


@pytest.fixture(scope="module")
def shared_index(painted: Path, tmp_path_factory: pytest.TempPathFactory) -> Index:
    """A copy of `painted` for all tests of a file: making a service for each takes longer than what it is asked."""
    folder = shutil.copytree(painted, tmp_path_factory.mktemp("shared"), dirs_exist_ok=True)
    return Index.open(folder / "paint.index", model=PaintEncoder())


def _patches(seed: int, colour: tuple[int, int, int], size: tuple[int, int]) -> Image.Image:
    """Patches around a colour, so that no image is a near-duplicate of another."""
    shades_55 = np.random.default_rng(seed).uniform(-30, 30, (5, 5))
    pixels = np.clip(np.array(colour) + (shades_55 - shades_55.mean())[:, :, None], 0, 255).astype(np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST)


@pytest.fixture
def index_folder(tmp_path: Path, make_index) -> Path:
    """Two images, indexed with an untrained model of the real kind."""
    return make_index(tmp_path)


@pytest.fixture(scope="session")
def make_index() -> Callable[[Path], Path]:
    """Writes photos, a model and `photos.index` into a folder."""
    return _make_index


def _make_index(tmp_path: Path) -> Path:
    tokenizer = Tokenizer.load(train_tokenizer(["a red apple", "a blue boat"], tmp_path / "tokenizer.json", size=60))
    settings = AlignSettings(
        image_tower=ImageTowerSettings(
            width_multiplier=0.25, kernels=(3,), strides=(2,), channels=(64,), repeats=(1,), expansions=(1,)
        ),
        text_tower=TextTowerSettings(width=16, layers=1, heads=2, inner_width=32, max_pieces=16),
        vocabulary=tokenizer.size,
        image_size=16,
        resize_size=20,
    )
    hub.save(Align(settings), tokenizer, tmp_path / "model", card="# untrained\n")
    for colour in ("red", "blue"):
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.new("RGB", (60, 40), colour).save(tmp_path / "photos" / f"{colour}.jpg")
    Index.build([tmp_path / "photos"], model=tmp_path / "model", to=tmp_path / "photos.index")
    return tmp_path / "photos.index"
