"""Choosing pictures on the page and taking them along, in a real browser."""

import csv
import re
from pathlib import Path

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the dev extra")
from tests.serve.seen import AT_ALL_WIDTHS, no_sideways_scroll, shown  # noqa: E402

expect = sync_api.expect
pytest_plugins = ["tests.serve.photo_page"]
pytestmark = pytest.mark.slow

SELECT = {"permissions": ["clipboard-read", "clipboard-write"]}


def chosen(page) -> list[int]:
    """The places of the tiles that are chosen."""
    return page.locator(".tile").evaluate_all(
        "all => all.flatMap((tile, place) => (tile.ariaPressed === 'true' ? [place] : []))"
    )


def saved_rows(page) -> list[dict[str, str]]:
    with page.expect_download() as download:
        page.get_by_role("button", name="Save CSV").click()
    assert download.value.suggested_filename == "images.csv"
    with Path(download.value.path()).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@AT_ALL_WIDTHS
def test_chosen_pictures_are_saved_as_csv_and_copied_as_paths(open_photos, photos, width):
    page = open_photos(width, "/?query=blue&where=shop%3Dnorth", **SELECT)
    page.get_by_role("button", name="Select", exact=True).click()
    bar = page.get_by_role("toolbar", name="Selected pictures")
    expect(bar).to_contain_text("All 30 shown")
    page.locator(".tile").nth(1).click()
    page.locator(".tile").nth(4).click(modifiers=["Shift"])
    page.locator(".tile").nth(2).click()
    assert chosen(page) == [1, 3, 4]
    expect(bar).to_contain_text("3 selected")
    expect(page.get_by_role("dialog")).to_have_count(0)  # a click does not open a picture now
    texts = [shown(page)[place] for place in (1, 3, 4)]
    rows = saved_rows(page)
    assert [row["text"] for row in rows] == texts
    assert all(re.fullmatch(r"\d{4}-\d\d-03T10:00:00|", row["date"]) and float(row["score"]) > 0 for row in rows)
    page.get_by_role("button", name="Copy paths").click()
    expect(page.get_by_text("3 paths copied.")).to_be_visible()
    paths = page.evaluate("navigator.clipboard.readText()").split("\n")
    assert paths == [row["image"] for row in rows]
    assert paths == [photos.row(int(row["row"])).image for row in rows]
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_text("The link is copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    no_sideways_scroll(page)
    page.get_by_role("button", name="Done").click()
    expect(bar).to_be_hidden()
    assert chosen(page) == []
    assert page.evaluate("document.activeElement.id") == "select"


def test_the_keyboard_chooses_all_and_escape_ends_it(open_photos):
    page = open_photos(path="/?query=blue")
    page.locator(".tile").first.focus()
    page.keyboard.press("ControlOrMeta+a")
    expect(page.locator(".selection .count")).to_have_text("30 selected")
    page.keyboard.press("Enter")
    expect(page.locator(".selection .count")).to_have_text("29 selected")
    page.get_by_label("Describe a picture").fill("")
    page.keyboard.type("red")
    page.keyboard.press("ControlOrMeta+a")  # in the box this is the text
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("query=red"))
    expect(page.locator(".tile img").first).to_have_attribute("alt", re.compile("^red"))
    page.locator(".tile").nth(2).focus()
    page.keyboard.press("Escape")
    expect(page.locator(".selection")).to_be_hidden()
    page.locator(".tile").nth(2).click(modifiers=["ControlOrMeta"])
    assert chosen(page) == [2]


def test_texts_of_strangers_are_no_formulas_in_the_table(open_photos):
    page = open_photos()
    written = page.evaluate(
        """async () => (await import("/static/csv.js")).csvOf([
            { image: "a,b.jpg", text: '=HYPERLINK("x")', score: -0.25, width: 1 },
            { image: "@a.jpg", text: "two\\nlines", score: 1 },
        ])"""
    )
    lines = list(csv.reader(written.splitlines(keepends=True)))
    assert lines[0] == ["image", "text", "score", "width", "height", "date", "page", "row"]
    assert lines[1] == ["a,b.jpg", '\'=HYPERLINK("x")', "-0.25", "1", "", "", "", ""]
    assert lines[2][:3] == ["'@a.jpg", "two\nlines", "1"]
