"""Fixtures: the page in a real browser against the real service on loopback."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect

from openalign.search import Index
from openalign.serve.app import create_app
from tests.browser import Tabs, heard
from tests.conftest import PaintEncoder
from tests.serve.seen import answered


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The URL of a service that runs in a thread until the block ends."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def url(painted: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The service on a copy of `painted`, for the tests of a file."""
    folder = shutil.copytree(painted, tmp_path_factory.mktemp("served"), dirs_exist_ok=True)
    with served(create_app(Index.open(folder / "paint.index", model=PaintEncoder()))) as url:
        yield url


@pytest.fixture(scope="module")
def tabs(browser: Browser, url: str) -> Iterator[Tabs]:
    tabs = Tabs(browser, url)
    yield tabs
    tabs.close()


@pytest.fixture
def open_page(tabs: Tabs, url: str) -> Iterator[Callable[..., Page]]:
    """Open the page at a size; at the end nothing may stand in the console, nor have been asked of other hosts."""
    complaints: list[str] = []
    foreseen: list[str] = []
    with ExitStack() as opened:

        def open_page(viewport=None, path="/", refused=False, **options):
            page = opened.enter_context(tabs.tab(viewport or {"width": 1280, "height": 800}, **options))
            opened.enter_context(heard(page, url, complaints))
            page.goto(url + path)
            expect(page.locator(".tile").first).to_be_visible()
            answered(page)
            if refused:  # Chromium notes every refused request by itself
                foreseen.append("Failed to load resource: the server responded with a status of 400 (Bad Request)")
            return page

        yield open_page
    assert complaints == foreseen
