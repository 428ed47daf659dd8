"""Fixtures: the page on photos with dates, folders, labels and prices; one service for the tests of a file."""

import csv
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize

from openalign.search import Index
from openalign.serve.app import create_app
from tests.browser import Tabs, heard
from tests.conftest import COLOURS, PaintEncoder
from tests.serve.opened_page import served
from tests.serve.seen import WIDTHS, answered

EXIF_IFD, TAKEN, GPS_IFD = 0x8769, 0x9003, 0x8825
NAMES = ["red", "green", "blue", "yellow", "violet", "white"]
FOLDERS = ["rome 2022", "rome 2022/colosseum", "home"]
SHOPS = ["north", "south"]
PHOTOS = 60


def month_of(number: int) -> str:
    """Photos 0 to 47 have a month of 2021 to 2023, the others none."""
    return f"{2021 + number % 36 // 12}-{number % 12 + 1:02}"


def write_photos(folder: Path) -> Path:
    """60 painted photos: number n is of colour n % 6, in folder n % 3, of shop n % 2."""
    with (folder / "pairs.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "text", "shop", "price"])
        for number in range(PHOTOS):
            name = f"{FOLDERS[number % 3]}/{number:02}.jpg"
            colour = NAMES[number % len(NAMES)]
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            _paint(number, colour).save(folder / name, exif=_exif(number), quality=95)
            table.writerow([name, f"{colour} paint {number}", SHOPS[number % 2], number])
    return folder


def _paint(number: int, colour: str) -> Image.Image:
    """Patches of one colour in shades, so that no photo is a near-duplicate of another."""
    shades = np.random.default_rng(number).uniform(0.7, 1.0, (5, 5, 1))
    patches = Image.fromarray((shades * COLOURS[colour]).astype(np.uint8))
    return patches.resize((120 + 10 * (number % 7), 150 - 9 * (number % 5)), Image.Resampling.NEAREST)


def _exif(number: int) -> Image.Exif:
    exif = Image.Exif()
    if number < 48:
        exif.get_ifd(EXIF_IFD)[TAKEN] = f"{month_of(number).replace('-', ':')}:03 10:00:00"
    if number % 4 == 0:
        exif.get_ifd(GPS_IFD).update({1: "N", 2: (48.0, 51.0, 0.0), 3: "E", 4: (2.0, 21.0, float(number % 60))})
    return exif


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """The index of `write_photos`."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "photos").mkdir()
    return Index.build([write_photos(folder / "photos")], model=PaintEncoder(), to=folder / "photos.index")


@pytest.fixture(scope="module")
def photos_url(photos: Index) -> Iterator[str]:
    with served(create_app(photos, whole_paths=True)) as url:
        yield url


@pytest.fixture(scope="module")
def tabs(browser: Browser, photos_url: str) -> Iterator[Tabs]:
    tabs = Tabs(browser, photos_url)
    yield tabs
    tabs.close()


@pytest.fixture
def open_photos(tabs: Tabs, photos_url: str) -> Iterator[Callable[..., Page]]:
    """Open the page at a width; at the end nothing may stand in the console but what was foreseen."""
    complaints: list[str] = []
    foreseen: list[str] = []
    with ExitStack() as opened:

        def open_photos(width: str = "desktop", path: str = "/", foresee: str = "", **options) -> Page:
            size: ViewportSize = {"width": WIDTHS[width][0], "height": WIDTHS[width][1]}
            page = opened.enter_context(tabs.tab(size, has_touch=width == "phone", reduced_motion="reduce", **options))
            opened.enter_context(heard(page, photos_url, complaints))
            page.goto(photos_url + path)
            answered(page)
            foreseen.append(foresee)
            return page

        yield open_photos
    assert [each for each in complaints if not any(one and one in each for one in foreseen)] == []
