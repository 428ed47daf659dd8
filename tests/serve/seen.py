"""What a person sees on the page, at the widths of three devices."""

import pytest
from playwright.sync_api import Page, expect

WIDTHS = {"phone": (390, 844), "tablet": (820, 1180), "desktop": (1280, 800)}
AT_ALL_WIDTHS = pytest.mark.parametrize("width", WIDTHS)


def answered(page: Page) -> None:
    """Wait until the answers to what was asked last are on the page: those of before stay until then."""
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")


def no_sideways_scroll(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"


def shown(page: Page) -> list[str]:
    """The texts of the tiles, in order."""
    return page.locator(".tile img").evaluate_all("images => images.map(image => image.alt)")


def conditions_of(page: Page) -> list[str]:
    """The conditions in the address."""
    return page.evaluate("new URLSearchParams(location.search).getAll('where')")
