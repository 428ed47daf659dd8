"""Pages in a real browser, and what they complained about."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, Request, ViewportSize

EMPTY = "/static/check.svg"
"""Of the search page's address: a document without scripts."""

FORGET = """() => {
    localStorage.clear();
    sessionStorage.clear();
    return Object.getOwnPropertyNames(window).length;
}"""


def opened(browser: Browser, path: Path, width: int) -> tuple[Page, list[str]]:
    """The page, and what it complained about or asked the network for."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url) if request.url.startswith("http") else None)
    page.goto(path.as_uri())
    return page, complaints


@contextmanager
def heard(page: Page, url: str, complaints: list[str]) -> Iterator[None]:
    """Note what the page complains about, or asks of others than this service, until the block ends."""

    def of_others(request: Request) -> None:
        if not request.url.startswith((url, "blob:", "data:")):
            complaints.append(request.url)

    listeners = {
        "console": lambda message: complaints.append(message.text),
        "pageerror": lambda error: complaints.append(str(error)),
        "request": of_others,
    }
    for event, listener in listeners.items():
        page.on(event, listener)  # type: ignore[call-overload]  # of these names
    yield
    page.goto(url + EMPTY)  # what is under way ends before nobody listens
    for event, listener in listeners.items():
        page.remove_listener(event, listener)


class Tabs:
    """Tabs that tests of one service use one after another: a new one takes longer than most tests.

    A test finds its tab as a new one is: with nothing stored, no cookie, no permission, no route, and no page to go
    back to. A tab in which a test left a script for all pages to come, or a clock, is not used again.
    """

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self._url = url
        self._free: dict[bool, list[tuple[Page, int]]] = {False: [], True: []}

    @contextmanager
    def tab(
        self, viewport: ViewportSize, *, has_touch: bool = False, permissions: list[str] | None = None, **media: str
    ) -> Iterator[Page]:
        """A tab on an empty document; `media` as of `Page.emulate_media`."""
        page, names = (self._free[has_touch] or [self._new(has_touch)]).pop()
        page.set_viewport_size(viewport)
        usual = {"color_scheme": "light", "reduced_motion": "no-preference", "forced_colors": "none"}
        page.emulate_media(**{**usual, **media})  # type: ignore[arg-type]  # words that Playwright knows
        page.context.grant_permissions(permissions or [], origin=self._url)
        yield page
        if self._emptied(page) == names:
            self._free[has_touch].append((page, names))
        else:
            page.context.close()

    def _new(self, has_touch: bool) -> tuple[Page, int]:
        page = self._browser.new_context(has_touch=has_touch).new_page()
        return page, self._emptied(page)

    def _emptied(self, page: Page) -> int:
        """How many names the window of a document without scripts has, in the tab as a new one is."""
        context: BrowserContext = page.context
        page.unroute_all(behavior="ignoreErrors")
        page.goto(self._url + EMPTY)
        for other in context.pages:
            if other is not page:
                other.close()
        context.clear_cookies()
        context.clear_permissions()
        page.mouse.move(0, 0)
        devtools = context.new_cdp_session(page)
        devtools.send("Page.resetNavigationHistory")
        devtools.detach()
        return page.evaluate(FORGET)

    def close(self) -> None:
        for page, _ in (*self._free[False], *self._free[True]):
            page.context.close()
