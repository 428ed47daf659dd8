"""Fixtures: the page in a real browser against the real service on loopback."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from fastapi import FastAPI

from openalign.serve.app import create_app


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


@pytest.fixture
def url(index) -> Iterator[str]:
    with served(create_app(index)) as url:
        yield url


@pytest.fixture
def open_page(browser, url):
    """Open the page at a size; at the end nothing may stand in the console, nor have been asked of other hosts."""
    from playwright.sync_api import expect

    opened, complaints, foreseen = [], [], []

    def open_page(viewport=None, path="/", refused=False, **options):
        context = browser.new_context(viewport=viewport or {"width": 1280, "height": 800}, **options)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda request: None if request.url.startswith((url, "blob:")) else complaints.append(request.url),
        )
        page.goto(url + path)
        expect(page.locator(".tile").first).to_be_visible()
        opened.append(context)
        if refused:  # Chromium notes every refused request by itself
            foreseen.append("Failed to load resource: the server responded with a status of 400 (Bad Request)")
        return page

    yield open_page
    for context in opened:
        context.close()
    assert complaints == foreseen
