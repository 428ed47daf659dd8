"""Saved queries on the page, kept with the index and by the browser, in a real browser."""

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the dev extra")
from openalign.search.results import saved  # noqa: E402
from openalign.search.results.saved import SavedQuery  # noqa: E402
from tests.serve.seen import AT_ALL_WIDTHS, no_sideways_scroll  # noqa: E402

expect = sync_api.expect
pytest_plugins = ["tests.serve.photo_page"]
pytestmark = pytest.mark.slow


def open_saved(page):
    page.get_by_role("button", name="Saved").click()
    panel = page.get_by_role("dialog", name="Saved queries")
    expect(panel).to_be_visible()
    return panel


@AT_ALL_WIDTHS
def test_a_query_is_saved_with_the_index_opened_again_and_forgotten(open_photos, photos, width):
    page = open_photos(width, "/?query=blue+-+red&where=shop%3Dnorth&sort=-date")
    panel = open_saved(page)
    expect(panel.get_by_text("Kept with the index, for everyone who uses it.")).to_be_visible()
    panel.get_by_label("Name").fill("cold/blue")
    page.keyboard.press("Enter")
    expect(panel.get_by_role("link")).to_have_text(["cold blue"])  # a name has no slash
    assert photos.saved.get("cold blue").where == ("shop=north",)
    no_sideways_scroll(page)
    page.keyboard.press("Escape")
    page.get_by_role("link", name="openalign").click()
    expect(page.locator("#status")).to_have_text("A look around")
    open_saved(page).get_by_role("link", name="cold blue").click()
    expect(page.locator("#filter-chips")).to_contain_text("shop north")
    expect(page.get_by_label("Order")).to_have_value("-date")
    expect(page.get_by_label("Describe a picture")).to_have_value("blue")
    panel = open_saved(page)
    expect(panel.get_by_role("button", name="Save", exact=True)).to_have_count(0)  # it is saved
    panel.get_by_role("button", name="Forget cold blue").click()
    expect(panel.get_by_role("link")).to_have_count(0)
    assert photos.saved.names() == []


def test_a_full_index_is_told_and_the_browser_keeps_the_query(open_photos, photos, monkeypatch):
    monkeypatch.setattr(saved, "MOST", 3)
    for name in ("first", "second", "third"):
        photos.saved.put(name, SavedQuery(f"red {name}"))
    page = open_photos(path="/?query=blue")
    page.route("**/api/saved?*", lambda route: route.continue_(url=route.request.url.replace("count=200", "count=1")))
    panel = open_saved(page)
    expect(panel.get_by_role("link")).to_have_text(["first", "second", "third"])  # by three requests
    expect(panel.get_by_text("The index keeps 3 queries at most. Kept in this browser.")).to_be_visible()
    panel.get_by_role("button", name="Save", exact=True).click()
    expect(panel.get_by_role("link")).to_have_text(["first", "second", "third", "blue"])
    assert photos.saved.names() == ["first", "second", "third"]
    for name in photos.saved.names():
        photos.saved.remove(name)


def test_filters_alone_stay_in_the_browser_and_a_name_replaces_no_other(open_photos):
    page = open_photos(path="/?where=shop%3Dnorth")
    panel = open_saved(page)
    expect(panel.get_by_text("Kept in this browser.")).to_be_visible()
    panel.get_by_role("button", name="Save", exact=True).click()
    expect(panel.get_by_role("link")).to_have_text(["shop north"])
    page.keyboard.press("Escape")
    page.goto(page.url.split("?")[0] + "?where=shop%3Dsouth")
    panel = open_saved(page)
    panel.get_by_label("Name").fill("shop north")
    page.keyboard.press("Enter")
    expect(panel.get_by_role("link")).to_have_text(["shop north 2", "shop north"])


def test_what_others_wrote_under_the_name_of_saved_queries_is_no_link(open_photos):
    page = open_photos()
    page.evaluate(
        """localStorage.setItem("openalign-saved", JSON.stringify([
            { name: "bad", address: "javascript:alert(1)" }, { name: "far", address: "//example.org/" }, 3,
            { name: "good", address: "/?query=blue" },
        ].filter((each) => each !== 3)))"""
    )
    expect(open_saved(page).get_by_role("link")).to_have_text(["good"])
