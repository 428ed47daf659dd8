"""How soon the search page shows something: its paints and its layout shift, as Chromium measures them.

    python bench/page_paint.py demo/photos.index thousand.index

The service of each index runs in a process of its own. The page is loaded with an empty cache in a window of its own,
with a query, without one and with the map, a warm-up and five times. `rest` is when nothing is asked of the service any
more; `load` is the machine's load average, which should be near 0. Needs Playwright and Chromium.
"""

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from measure import show, write
from playwright.sync_api import Browser, sync_playwright

LOADS = 5
ADDRESSES = {"first page": "/", "a query": "/?query=a+red+apple", "the map": "/?show=map"}
MEASURED = """() => new Promise((resolve) => {
  const found = { largest: 0, shift: 0 };
  for (const [type, add] of [
    ["largest-contentful-paint", (entry) => { found.largest = entry.startTime; }],
    ["layout-shift", (entry) => { found.shift += entry.hadRecentInput ? 0 : entry.value; }],
  ]) new PerformanceObserver((list) => list.getEntries().forEach(add)).observe({ type, buffered: true });
  const ended = performance.getEntriesByType("resource").map((entry) => entry.responseEnd);
  const bytes = performance.getEntriesByType("resource").reduce((sum, entry) => sum + entry.transferSize, 0);
  setTimeout(() => resolve({
    ...found, first: performance.getEntriesByName("first-contentful-paint")[0].startTime,
    rest: Math.max(...ended), requests: ended.length + 1, bytes,
  }), 300);
})"""


@contextmanager
def served(index: str) -> Iterator[tuple[str, int]]:
    """The URL of a service of the index, and the number of its images."""
    command = [sys.executable, "-m", "openalign", "serve", index, "--port", "0"]
    service = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert service.stderr is not None
        images, _, _, url = service.stderr.readline().split()[:4]
        yield url, int(images.replace(",", ""))
    finally:
        service.terminate()
        service.wait(timeout=30)


def loaded(browser: Browser, url: str) -> dict[str, Any]:
    """What one load of the page took, in milliseconds since the navigation began."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto(url)
    page.locator(".tile img").first.wait_for()
    page.wait_for_load_state("networkidle")
    measured: dict[str, Any] = page.evaluate(MEASURED)
    context.close()
    return measured


def row(name: str, images: int, loads: list[dict[str, Any]]) -> dict[str, Any]:
    """The medians of the loads, and the slowest of them."""
    middle = {key: statistics.median(each[key] for each in loads) for key in loads[0]}
    return {
        "page": name,
        "images": images,
        "first contentful paint, ms": round(middle["first"]),
        "largest, ms": round(middle["largest"]),
        "largest, slowest, ms": round(max(each["largest"] for each in loads)),
        "rest, ms": round(middle["rest"]),
        "layout shift": round(max(each["shift"] for each in loads), 4),
        "requests": int(middle["requests"]),
        "kB": round(middle["bytes"] / 1000),
    }


def main() -> None:
    """Load the pages of each index."""
    rows = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for index in sys.argv[1:]:
            with served(index) as (url, images):
                for name, address in ADDRESSES.items():
                    loads = [loaded(browser, url + address) for _ in range(LOADS + 1)][1:]
                    rows.append(row(name, images, loads))
        chromium = browser.version
        browser.close()
    show("The search page", rows)
    print(write("page_paint", rows, chromium=chromium, window=[1280, 800], loads=LOADS, load=os.getloadavg()[1]))


if __name__ == "__main__":
    main()
