"""Results of any length on the page, in a real browser: 100,000 of them that the test answers for the service."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the dev extra")
from tests.serve.seen import AT_ALL_WIDTHS, no_sideways_scroll, shown  # noqa: E402

expect = sync_api.expect
pytest_plugins = ["tests.serve.photo_page"]
pytestmark = pytest.mark.slow

MANY = 100_000
PIXEL = "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' width='4' height='3'/>"
MOST_DRAWN = 400
STATE = """() => ({
    focused: Number(document.activeElement.parentNode.dataset.place),
    isInView: (({ top, bottom }) => top >= 0 && bottom <= innerHeight)(document.activeElement.getBoundingClientRect()),
    drawn: document.querySelectorAll(".tile").length,
})"""

SCROLL = """y => new Promise((drawn) => {
    scrollTo(0, y);
    requestAnimationFrame(() => requestAnimationFrame(drawn));
})"""


@pytest.fixture
def open_many(open_photos):
    """Opens the page on 100,000 answers; returns the most rows that it asked for at once."""
    listing = {
        "rows": list(range(MANY)),
        "ratios": [0.6 + number % 13 / 10 for number in range(MANY)],
        "scores": [round(1 - number / MANY, 4) for number in range(MANY)],
        "within": 500,
        "alike": [],
        "note": None,
        "milliseconds": 3.0,
    }

    def picture(row: int) -> dict:
        return {"row": row, "image": f"{row}.jpg", "text": f"picture {row}", "page": None, "width": 4, "height": 3,
                "date": None, "thumbnail": PIXEL, "original": PIXEL}  # fmt: skip

    def open_many(width="desktop"):
        page = open_photos(width)
        asked: list[int] = []

        def rows(route) -> None:
            wanted = parse_qs(urlsplit(route.request.url).query)["row"]
            asked.append(len(wanted))
            route.fulfill(json={"images": [picture(int(row)) for row in wanted]})

        page.route("**/api/listing?*", lambda route: route.fulfill(json=listing))
        page.route("**/api/rows?*", rows)
        page.route("**/api/rows/*", lambda route: route.fulfill(json=picture(int(route.request.url.rsplit("/", 1)[1]))))
        page.goto(page.url + "?query=anything&all=1")
        expect(page.locator(".tile img").first).to_have_attribute("alt", "picture 0")
        return page, asked

    return open_many


@AT_ALL_WIDTHS
def test_of_a_hundred_thousand_results_few_are_drawn_wherever_one_scrolls(open_many, width):
    page, asked = open_many(width)
    expect(page.locator("#status")).to_have_text(re.compile("^100,000 of 60 images"))
    height = page.evaluate("document.documentElement.scrollHeight")
    for share in (0.5, 0.1, 0.99, 0.3):
        page.evaluate(SCROLL, height * share)
        expect(page.locator(".waiting")).to_have_count(0)
        tiles = page.locator(".grid li[data-place]").evaluate_all("all => all.map(item => Number(item.dataset.place))")
        assert len(tiles) < MOST_DRAWN
        assert tiles == list(range(tiles[0], tiles[-1] + 1))  # none is missing, and they are read in order
        assert tiles[0] == pytest.approx(share * MANY, abs=0.02 * MANY)
    assert page.evaluate("document.documentElement.scrollHeight") == height  # the scroll bar does not jump
    assert max(asked) <= 120
    no_sideways_scroll(page)


@AT_ALL_WIDTHS
def test_the_arrow_keys_walk_over_all_of_them_and_the_focus_is_kept(open_many, width):
    page, _ = open_many(width)
    page.locator(".tile").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate(STATE)["focused"] == 1
    page.keyboard.press("ArrowDown")
    below = page.evaluate(STATE)
    assert below["focused"] > 2
    page.keyboard.press("ArrowUp")
    assert page.evaluate(STATE)["focused"] == 1
    for key, place in (("End", MANY - 1), ("ArrowRight", MANY - 1), ("ArrowLeft", MANY - 2), ("Home", 0)):
        page.keyboard.press(key)
        state = page.evaluate(STATE)
        assert state["focused"] == place
        assert state["isInView"]
        assert state["drawn"] < MOST_DRAWN
    for _ in range(12):
        page.keyboard.press("PageDown")
    far = page.evaluate(STATE)
    assert far["focused"] > 60 and far["isInView"]
    page.mouse.wheel(0, 200_000)
    page.wait_for_timeout(200)
    assert page.evaluate(STATE)["focused"] == far["focused"]  # out of view it is still there
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    back = page.evaluate(STATE)
    assert back["focused"] == far["focused"] + 1
    assert back["isInView"]
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")  # one stop, not a hundred thousand
    assert page.evaluate(STATE)["focused"] == back["focused"]


def test_a_list_of_its_length_is_told_and_the_mark_stands_where_it_is(open_many):
    page, _ = open_many()
    item = page.locator(".grid li").first
    assert item.evaluate("item => [item.ariaSetSize, item.ariaPosInSet]") == ["100000", "1"]
    expect(page.locator(".mark")).to_have_count(0)  # it is far below
    page.evaluate(SCROLL, page.evaluate("document.documentElement.scrollHeight") * 500 / MANY)
    expect(page.locator(".mark")).to_be_in_viewport()
    around = page.evaluate(
        "(() => { const mark = document.querySelector('.mark');"
        "return [mark.previousSibling, mark.nextSibling].map(item => Number(item.dataset.place)); })()"
    )
    assert around == [499, 500]


def test_a_rotated_window_keeps_the_picture_at_its_top(open_many):
    page, _ = open_many("tablet")
    page.evaluate("scrollTo(0, 100000)")
    first = """() => [...document.querySelectorAll('.grid li[data-place]')]
        .find(item => item.getBoundingClientRect().bottom > 0).dataset.place"""
    page.wait_for_timeout(100)
    before = int(page.evaluate(first))
    page.set_viewport_size({"width": 1180, "height": 820})
    page.wait_for_timeout(200)
    assert abs(int(page.evaluate(first)) - before) < 12


def test_the_way_back_leads_to_the_same_place(open_many):
    page, _ = open_many()
    page.evaluate(SCROLL, 50_000)
    expect(page.locator(".waiting")).to_have_count(0)
    page.get_by_label("Describe a picture").evaluate("box => box.focus({ preventScroll: true })")
    page.goto(page.url.replace("anything", "another"))
    page.evaluate(SCROLL, 9_000)
    page.go_back()
    expect(page.locator(".tile img").first).to_be_visible()
    page.wait_for_function("() => Math.abs(scrollY - 50000) < 5")


def test_all_can_be_chosen(open_many):
    page, _ = open_many()
    page.locator(".tile").first.focus()
    page.keyboard.press("ControlOrMeta+a")
    expect(page.locator(".selection .count")).to_have_text("100,000 selected")


@AT_ALL_WIDTHS
def test_all_images_are_listed_without_a_query(open_photos, width):
    page = open_photos(width)
    expect(page.locator(".tile")).to_have_count(30)
    page.get_by_role("button", name="Show all").click()
    expect(page.locator(".tile")).to_have_count(60)
    expect(page.locator("#status")).to_have_text("60 of 60 images")
    expect(page.locator(".waiting")).to_have_count(0)
    assert len(set(shown(page))) == 60
    page.go_back()
    expect(page.locator("#status")).to_have_text("A look around")
