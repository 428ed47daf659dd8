"""A page in a real browser, and what it complained about."""

from pathlib import Path

from playwright.sync_api import Browser, Page


def opened(browser: Browser, path: Path, width: int) -> tuple[Page, list[str]]:
    """The page, and what it complained about or asked the network for."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url) if request.url.startswith("http") else None)
    page.goto(path.as_uri())
    return page, complaints
