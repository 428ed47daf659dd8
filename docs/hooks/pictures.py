r"""The pictures of the search page in the documentation, taken anew from indexes by Chromium.

    python docs/hooks/pictures.py page=heldout.index page-filters=drawings.index page-clothes=unseen.index \
        map=clothes.index

takes those that are named. The indexes are not part of the repository: `heldout` has the demo's `heldout/` and its
model, `drawings` the same pictures in folders and with dates in their EXIF, which were made up; `clothes` and `unseen`
have the photos of clothing-dataset-small with their labels, all of them and those of its validation and test split.
"""

import io
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from openalign.search import Index
from openalign.serve.app import create_app

IMAGES = Path(__file__).parents[1] / "images"
GAP = 24
"""Pixels between two pages in one picture."""
DESKTOP, PHONE = (1280, 820), (390, 820)


def _as_it_is(page: Page) -> None:
    """Nothing is done on the page before it is taken."""


def _with_filters_open(page: Page) -> None:
    page.get_by_role("button", name="Filters").click()


def _at_the_map(page: Page) -> None:
    page.evaluate("document.activeElement.blur()")
    page.locator("#map-canvas").evaluate("map => scrollBy(0, map.getBoundingClientRect().top - 120)")


@dataclass(frozen=True)
class Shot:
    """The page at an address, in a window of this size."""

    address: str
    size: tuple[int, int] = DESKTOP
    scheme: str = "light"
    then: Callable[[Page], None] = _as_it_is


PICTURES = {
    "page": (Shot("/?query=a+frog+at+night"), Shot("/?query=a+car+on+autumn+leaves+-+brick", PHONE)),
    "page-filters": (
        Shot(
            "/?query=a+lion&where=date%3E%3D2021-01&where=date%3C%3D2024-06&where=folder%3DHolidays",
            then=_with_filters_open,
        ),
    ),
    "page-clothes": (Shot("/?query=shoes"), Shot("/?query=shoes", PHONE, "dark")),
    "map": (Shot("/?show=map", then=_at_the_map),),
}


@contextmanager
def served(index: str) -> Iterator[str]:
    """Where a service of the index answers until the block ends."""
    server = uvicorn.Server(
        uvicorn.Config(create_app(Index.open(index), whole_paths=True), port=0, log_level="warning")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        thread.join(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def taken(browser: Browser, service: str, shot: Shot) -> Image.Image:
    """One page, when all its pictures are there."""
    width, height = shot.size
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=shot.scheme)
    page.goto(service + shot.address)
    page.locator(".tile img").first.wait_for()
    shot.then(page)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(1500)  # for transitions, and for the map, which is drawn in steps
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    page.close()
    return picture


def beside(pictures: list[Image.Image]) -> Image.Image:
    """Pictures of one height in a row."""
    joined = Image.new("RGB", (sum(each.width + GAP for each in pictures) - GAP, pictures[0].height), (233, 230, 222))
    at = 0
    for each in pictures:
        joined.paste(each, (at, 0))
        at += each.width + GAP
    return joined


def main() -> None:
    """Take the pictures that the arguments name, NAME=INDEX each."""
    chosen = dict(argument.split("=", 1) for argument in sys.argv[1:])
    if not chosen or set(chosen) - set(PICTURES):
        sys.exit(f"Give NAME=INDEX for pictures to take: {', '.join(PICTURES)}.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for name, index in chosen.items():
            with served(index) as service:
                picture = beside([taken(browser, service, shot) for shot in PICTURES[name]])
            picture.save(IMAGES / f"{name}.jpg", quality=82, optimize=True)
            print(IMAGES / f"{name}.jpg", *picture.size)
        browser.close()


if __name__ == "__main__":
    main()
