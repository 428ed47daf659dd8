"""Several images of one's own in a query on the page, in a real browser against the real service."""

import re

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the dev extra")
from tests.serve.seen import AT_ALL_WIDTHS, no_sideways_scroll, shown  # noqa: E402

expect = sync_api.expect
pytest_plugins = ["tests.serve.photo_page"]
pytestmark = pytest.mark.slow


def photo(photos, colour: str) -> str:
    """The path of a photo of this colour."""
    return next(row.image for row in photos.store.rows(range(60)) if row.text.startswith(colour))


@AT_ALL_WIDTHS
def test_several_images_are_chips_with_weights_that_survive_a_reload(open_photos, photos, width):
    page = open_photos(width)
    page.set_input_files("#file", [photo(photos, "red"), photo(photos, "blue")])
    expect(page.get_by_alt_text("Query image")).to_be_visible()
    expect(page.locator(".tile img").first).to_have_attribute("alt", re.compile("^violet"))
    weight = page.get_by_label("Weight of + your image")
    weight.fill("0.001")
    page.keyboard.press("Enter")
    expect(page.locator(".tile img").first).to_have_attribute("alt", re.compile("^red"))
    assert page.url.endswith("?query=0.001*img%3A2")
    before = shown(page)
    page.reload()
    expect(page.get_by_label("Weight of + your image")).to_have_value("0.001")
    expect(page.locator(".tile .score").first).to_be_attached()
    assert shown(page) == before
    no_sideways_scroll(page)
    page.get_by_role("button", name="Remove + your image").click()
    expect(page.locator(".chip")).to_have_count(0)
    page.go_back()
    expect(page.locator(".chip")).to_have_count(1)


def test_an_image_is_taken_away_from_a_text(open_photos, photos):
    page = open_photos(path="/?query=violet")
    page.get_by_role("button", name="less of").click()
    page.get_by_label("Show less of an image").set_input_files(photo(photos, "blue"))
    weight = page.get_by_label("Weight of − your image")
    expect(weight).to_have_value("1")
    assert page.url.endswith("?query=violet+-+img%3A1")
    weight.fill("100")
    page.keyboard.press("Enter")
    expect(page.locator(".tile img").first).to_have_attribute("alt", re.compile("^yellow"))


def test_a_link_to_an_image_that_this_tab_does_not_have_says_so(open_photos):
    page = open_photos(path="/?query=red+-+img%3A1")
    expect(page.get_by_role("alert").first).to_contain_text("An image of this query is not known here")
    expect(page.locator(".tile img").first).to_be_visible()
    expect(page.locator(".chip")).to_have_count(0)
