"""The page of a service that has a key, or is busy, in a real browser."""

import re
from collections.abc import Iterator

import pytest

from openalign.serve.app import create_app
from openalign.serve.protection.access import LOCAL_NAMES, Access
from tests.serve.opened_page import served

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the dev extra")
expect = sync_api.expect

KEY = "0123456789abcdef"
SHOWN = """() => {
    const images = [...document.querySelectorAll(".tile img")];
    return images.length > 0 && images.every(image => image.complete && image.naturalWidth > 0);
}"""


@pytest.fixture
def url(index) -> Iterator[str]:
    with served(create_app(index, access=Access(LOCAL_NAMES, key=KEY))) as url:
        yield url


def test_the_page_asks_for_the_key_until_it_is_right_and_then_shows_images(browser, url):
    page = browser.new_page()
    asked, answers = [], ["a wrong one", f" {KEY} "]

    def give(dialog) -> None:
        asked.append(dialog.message)
        dialog.accept(answers[len(asked) - 1])

    page.on("dialog", give)
    page.goto(url)
    expect(page.locator(".tile").first).to_be_visible()
    assert asked == ["The key of this service:", "That is not the key of this service. Its key:"]
    page.wait_for_function(SHOWN)
    assert page.context.cookies() == []
    page.reload()
    expect(page.locator(".tile").first).to_be_visible()
    assert len(asked) == 2  # kept for the tab
    page.close()


def test_the_page_asks_a_busy_service_again_when_it_said(browser, url):
    page = browser.new_page()
    page.on("dialog", lambda dialog: dialog.accept(KEY))
    refused = []

    def busy(route) -> None:
        if len(refused) < 2:
            refused.append(route.request.url)
            route.fulfill(status=503, headers={"Retry-After": "1"}, json={"error": "busy"})
        else:
            route.continue_()

    page.route("**/api/search?*", busy)
    page.goto(f"{url}/?text=blue")
    expect(page.locator(".tile img").first).to_have_attribute("alt", re.compile("^blue"), timeout=30_000)
    assert len(refused) == 2
    page.close()
