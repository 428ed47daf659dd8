"""Filters, the date line and the order of results on the page, in a real browser."""

import re

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the dev extra")
from tests.serve.seen import AT_ALL_WIDTHS, conditions_of, no_sideways_scroll, shown  # noqa: E402

expect = sync_api.expect
pytest_plugins = ["tests.serve.photo_page"]
pytestmark = pytest.mark.slow


def open_filters(page):
    page.get_by_role("button", name="Filters", exact=True).click()
    panel = page.get_by_role("dialog", name="Filters")
    expect(panel).to_be_visible()
    return panel


def chips(page) -> list[str]:
    return page.locator("#filter-chips .words").all_inner_texts()


@AT_ALL_WIDTHS
def test_filters_offer_what_the_index_has_and_stay_in_the_address(open_photos, width):
    page = open_photos(width, "/?query=blue")
    panel = open_filters(page)
    assert panel.locator("legend").all_text_contents() == [
        "Year", "Folder", "shop", "Place", "Width", "Height", "File size", "price", "A condition of your own",
    ]  # fmt: skip
    panel.get_by_role("button", name="home 20").click()
    expect(panel.get_by_role("button", name="home 20")).to_have_attribute("aria-pressed", "true")
    expect(panel.get_by_role("button", name="home 20")).to_be_focused()
    panel.get_by_role("button", name="north 30").click()
    expect(page.locator("#status")).to_have_text(re.compile("10 of 60 images"))
    panel.get_by_label("price at most").fill("40")
    page.keyboard.press("Tab")
    expect(page.locator("#status")).to_have_text(re.compile("7 of 60 images"))
    assert conditions_of(page) == ["folder=home", "shop=north", "price<=40"]
    assert chips(page) == ["folder home", "shop north", "price ≤ 40"]
    no_sideways_scroll(page)
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    page.reload()
    expect(page.locator(".tile")).to_have_count(7)
    page.get_by_role("button", name="Remove the filter price ≤ 40").click()
    expect(page.locator(".tile")).to_have_count(10)
    page.go_back()
    expect(page.locator(".tile")).to_have_count(7)
    assert chips(page) == ["folder home", "shop north", "price ≤ 40"]


def test_a_value_is_exchanged_for_another_and_taken_back(open_photos):
    page = open_photos()
    panel = open_filters(page)
    panel.get_by_role("button", name="2022 12").click()
    panel.get_by_role("button", name="2021 24").click()
    expect(page.locator(".tile")).to_have_count(24)
    assert chips(page) == ["2021"]
    panel.get_by_role("button", name="Where it was taken is known").click()
    assert conditions_of(page) == ["date=2021", "near=*"]
    panel.get_by_role("button", name="2021 24").click()
    assert conditions_of(page) == ["near=*"]
    expect(page.locator(".tile")).to_have_count(15)
    panel.get_by_role("button", name="Clear all").click()
    expect(page.locator("#status")).to_have_text("A look around")


def test_a_condition_of_ones_own_is_checked_by_the_service(open_photos):
    page = open_photos(foresee="status of 400")
    panel = open_filters(page)
    panel.get_by_label("Condition").fill("prise<3")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").first).to_contain_text("the nearest is `price`")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Remove the filter prise < 3").click()
    expect(page.locator("#status")).to_have_text("A look around")
    assert page.evaluate("document.activeElement.id") == "filters"
    panel = open_filters(page)
    panel.get_by_label("Condition").fill("text=*violet*")
    page.keyboard.press("Enter")
    expect(page.locator(".tile")).to_have_count(10)


@AT_ALL_WIDTHS
def test_where_no_image_meets_the_filters_they_can_be_cleared(open_photos, width):
    page = open_photos(width, "/?where=folder%3Dparis")
    expect(page.get_by_text("No image meets these filters.")).to_be_visible()
    page.get_by_role("button", name="Clear the filters").click()
    expect(page.locator(".tile").first).to_be_visible()
    expect(page.get_by_text("No image meets these filters.")).to_be_hidden()


@AT_ALL_WIDTHS
def test_a_range_of_months_is_drawn_with_the_pointer(open_photos, width):
    page = open_photos(width, "/?query=red")
    line = page.locator(".bars-of-months")
    expect(line.locator("i")).to_have_count(36)
    box = line.bounding_box()
    month = box["width"] / 36
    page.mouse.move(box["x"] + 12.5 * month, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 14.5 * month, box["y"] + 20, steps=3)
    expect(page.locator(".range-said")).to_have_text("Jan 2022 – Mar 2022 · 3 images")
    page.mouse.up()
    expect(page.locator(".tile")).to_have_count(3)
    assert conditions_of(page) == ["date>=2022-01", "date<2022-04"]
    assert chips(page) == ["Jan 2022 – Mar 2022"]
    no_sideways_scroll(page)
    page.get_by_role("button", name="Remove the filter Jan 2022 – Mar 2022").click()
    expect(page.locator(".tile")).to_have_count(30)
    expect(line.locator("i.out")).to_have_count(0)


def test_the_ends_of_the_range_are_sliders(open_photos):
    page = open_photos(path="/?query=red&where=shop%3Dnorth")
    first, last = page.get_by_label("From", exact=True), page.get_by_label("Until", exact=True)
    assert first.get_attribute("aria-valuetext") == "Jan 2021"
    assert last.get_attribute("aria-valuetext") == "Dec 2023"
    first.focus()
    for _ in range(13):
        page.keyboard.press("ArrowRight")
    expect(page.locator("#filter-chips")).to_contain_text("since Feb 2022")
    assert first.get_attribute("aria-valuetext") == "Feb 2022"
    expect(first).to_be_focused()
    last.focus()
    page.keyboard.press("Home")  # an end does not pass the other
    expect(page.locator("#filter-chips")).to_contain_text("Feb 2022")
    assert conditions_of(page) == ["shop=north", "date>=2022-02", "date<2022-03"]
    page.reload()
    expect(page.get_by_label("From", exact=True)).to_have_attribute("aria-valuetext", "Feb 2022")


@pytest.mark.parametrize(
    ("where", "chip", "first", "last"),
    [
        ("where=date%3E2021-11&where=date%3C%3D2022", "Dec 2021 – Dec 2022", "Dec 2021", "Dec 2022"),
        ("where=date%3C2023-03&where=date%3C%3D2023-06", "until Feb 2023", "Jan 2021", "Feb 2023"),
        ("where=date%3E2021&where=date%3E%3D2021-05", "since Jan 2022", "Jan 2022", "Dec 2023"),
    ],
)
def test_conditions_on_months_however_they_are_written_are_the_range(open_photos, where, chip, first, last):
    page = open_photos(path=f"/?query=red&{where}")
    assert chips(page) == [chip]
    for label, month in (("From", first), ("Until", last)):
        assert page.get_by_label(label, exact=True).get_attribute("aria-valuetext") == month


@AT_ALL_WIDTHS
def test_results_are_sorted_by_date_and_name(open_photos, width):
    page = open_photos(width, "/?query=green&where=shop%3Dsouth")
    order = page.get_by_label("Order")
    order.select_option("Newest")
    expect(page.locator(".tile img").first).to_have_attribute("alt", "green paint 31")
    assert page.url.endswith("sort=-date")
    assert shown(page)[:3] == ["green paint 31", "green paint 25", "green paint 19"]
    order.select_option("Oldest")
    expect(page.locator(".tile img").first).to_have_attribute("alt", "green paint 1")
    page.goto(page.url.split("?")[0])
    expect(order.locator("option").first).to_have_text("Unsorted")
    order.select_option("Name")
    expect(page.locator(".tile img").first).to_have_attribute("alt", re.compile(" 2$"))
    expect(page.locator(".tile")).to_have_count(60)
