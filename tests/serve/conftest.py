import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from openalign.search import Index
from openalign.serve.app import create_app

NAMES = ["red", "green", "blue", "yellow", "violet", "white"]


@pytest.fixture
def index(tmp_path: Path, paint, paint_encoder) -> Index:
    """48 painted images in a table, with texts, and the page of a hostile url on row 1."""
    rows = ["file,text,page"]
    for number in range(48):
        colour = NAMES[number % len(NAMES)]
        name = f"{number:02}-{colour}.png"
        size = (120 + 10 * (number % 7), 150 - 9 * (number % 5))
        paint(tmp_path / "photos" / name, colour, size, "rectangle" if number % 2 else "ellipse")
        page = "javascript:alert(1)" if number == 1 else f"https://example.org/{number}"
        rows.append(f"{name},{colour} paint {number},{page}")
    (tmp_path / "photos" / "pairs.csv").write_text("\n".join(rows) + "\n")
    index = Index.build([tmp_path / "photos"], model=paint_encoder, to=tmp_path / "paint.index")
    (index.store.folder / "CREDITS").write_text("Painted here, https://example.org/licence")
    (index.store.folder / "examples.json").write_text(json.dumps(["a red wall", {"text": "white", "minus": ["red"]}]))
    return index


@pytest.fixture
def url(index) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(create_app(index), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


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
