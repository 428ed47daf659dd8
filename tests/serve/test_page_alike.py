"""Near-duplicates and captions on the page, in a real browser against a service that has them."""

import re

import pytest
from PIL import Image

from openalign.search import Index
from tests.conftest import PaintEncoder

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the dev extra")
from tests.serve.photo_page import write_photos  # noqa: E402
from tests.serve.seen import AT_ALL_WIDTHS, conditions_of, no_sideways_scroll, shown  # noqa: E402

expect = sync_api.expect
pytest_plugins = ["tests.serve.photo_page"]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Index:
    """60 photos, and of the red one with number 18 three smaller copies; their texts have vectors."""
    folder = write_photos(tmp_path_factory.mktemp("photos"))
    with (folder / "pairs.csv").open("a") as table, Image.open(folder / "rome 2022" / "18.jpg") as image:
        for number in range(3):
            image.resize((image.width - 9 * number, image.height - 9 * number)).save(folder / f"copy{number}.jpg")
            table.write(f"copy{number}.jpg,red copy {number},north,1\n")
    return Index.build([folder], model=PaintEncoder(), to=folder.parent / "copies.index", map_=False, embed_texts=True)


@AT_ALL_WIDTHS
def test_a_badge_says_how_many_are_nearly_the_same_and_opens_them(open_photos, width):
    page = open_photos(width, "/?query=red")
    badge = page.get_by_role("button", name="3 nearly the same as this picture: show them")
    expect(badge).to_have_text("+3")
    expect(page.locator(".alike")).to_have_count(1)
    badge.click()
    expect(page.locator(".tile")).to_have_count(4)
    assert sorted(shown(page)) == ["red copy 0", "red copy 1", "red copy 2", "red paint 18"]
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator(".alike")).to_have_count(0)
    no_sideways_scroll(page)
    page.get_by_role("button", name="Remove the filter nearly the same").click()
    expect(badge).to_be_visible()
    page.get_by_label("Order").select_option("Name")  # a list of all of them folds too
    expect(page.locator("#status")).to_have_text(re.compile("^60 of 63 images"))
    expect(page.locator(".waiting")).to_have_count(0)
    badge.press("Enter")
    expect(page.locator(".tile")).to_have_count(4)
    page.go_back()
    expect(badge).to_be_visible()


def test_a_filter_leaves_those_that_have_near_duplicates(open_photos):
    page = open_photos()
    page.get_by_role("button", name="Filters", exact=True).click()
    page.get_by_role("dialog", name="Filters").get_by_role("button", name="Has near-duplicates 4").click()
    expect(page.locator(".tile")).to_have_count(1)
    assert conditions_of(page) == ["duplicates=*"]
    expect(page.locator("#filter-chips")).to_contain_text("with near-duplicates")
    expect(page.locator(".alike")).to_have_text("+3")


@AT_ALL_WIDTHS
def test_a_query_is_compared_with_captions_too(open_photos, width):
    page = open_photos(width)
    against = page.get_by_label("Compared with")
    expect(against).to_be_hidden()  # there is nothing to compare
    page.get_by_label("Describe a picture").fill("blue")
    page.keyboard.press("Enter")
    with page.expect_response("**/api/search?*against=text*"):
        against.select_option("Captions")
    expect(page.locator(".tile img").first).to_have_attribute("alt", re.compile("^blue"))
    expect(page).to_have_url(re.compile(r"\?query=blue&against=text$"))
    no_sideways_scroll(page)
    with page.expect_response("**/api/listing?*against=text*"):
        page.get_by_role("button", name="Show all").click()
    expect(page.locator("#status")).to_have_text(re.compile("^63 of 63 images"))
    expect(page.locator(".tile img").first).to_have_attribute("alt", re.compile("^blue"))
    page.get_by_label("Order").select_option("Oldest")
    expect(page.locator(".tile img").first).to_have_attribute("alt", "blue paint 2")
    for _ in range(3):
        page.go_back()
    expect(against).to_have_value("image")


def test_an_index_without_vectors_of_texts_offers_no_captions(open_photos, photos_url):
    page = open_photos()
    page.route("**/api/info", lambda route: route.fulfill(json={**route.fetch().json(), "has_texts": False}))
    page.goto(f"{photos_url}/?query=blue")
    expect(page.locator(".tile").first).to_be_visible()
    expect(page.get_by_label("Compared with")).to_be_hidden()


def test_what_is_to_be_known_of_the_order_is_said(open_photos):
    page = open_photos(path="/?query=blue&against=text")
    page.route("**/api/listing?*", lambda route: route.fulfill(json={**route.fetch().json(), "note": "No dates here."}))
    page.get_by_label("Order").select_option("Newest")
    expect(page.locator("#status")).to_contain_text("No dates here.")
