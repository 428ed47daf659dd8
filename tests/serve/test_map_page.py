"""The map in a real browser: the switch, zoom, lasso, clusters, at the widths of phone, tablet and desktop."""

import json
import re
import shutil

import pytest

from openalign.search import Index
from openalign.serve.app import create_app
from tests.conftest import PaintEncoder
from tests.serve.opened_page import served

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the dev extra")
expect = sync_api.expect
pytest_plugins = ["tests.serve.opened_page"]
pytestmark = pytest.mark.slow

DESKTOP, TABLET, PHONE = (
    {"width": width, "height": height} for width, height in [(1280, 800), (820, 1180), (390, 844)]
)
SIZES = pytest.mark.parametrize("viewport", [DESKTOP, TABLET, PHONE], ids=["desktop", "tablet", "phone"])
DRAWN = "zoom => Number(document.querySelector('#map-canvas').dataset.zoom) > zoom"


@pytest.fixture(scope="module")
def url(painted, tmp_path_factory):
    folder = shutil.copytree(painted, tmp_path_factory.mktemp("mapped"), dirs_exist_ok=True)
    mapped = Index.build(folder / "photos", model=PaintEncoder(), to=folder / "paint.index")
    with served(create_app(mapped)) as url:
        yield url


def drag(page, corners, *, shift: bool = False) -> None:
    """Along shares of the width and height of the map."""
    page.locator("#map-canvas").scroll_into_view_if_needed()
    box = page.locator("#map-canvas").bounding_box()
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    if shift:
        page.keyboard.down("Shift")
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=4)
    page.mouse.up()
    if shift:
        page.keyboard.up("Shift")


@SIZES
def test_the_map_opens_zooms_and_filters_what_a_lasso_holds(open_page, viewport):
    page = open_page(viewport)
    page.get_by_role("button", name="Map", exact=True).click()
    expect(page.locator("#map-canvas")).to_have_attribute("data-visible", "48")
    expect(page).to_have_url(re.compile("show=map"))

    page.get_by_role("button", name="Zoom in").click()
    page.wait_for_function(DRAWN, arg=1.5)
    page.locator("#map-canvas").press("-")
    page.locator("#map-canvas").press("0")
    expect(page.locator("#map-canvas")).to_have_attribute("data-zoom", "1.00")

    page.get_by_role("button", name="Lasso").click()
    drag(page, [(0.02, 0.02), (0.55, 0.02), (0.55, 0.98), (0.02, 0.98)])
    chip = page.get_by_role("button", name="Remove the filter part of the map")
    expect(chip).to_be_visible()
    expect(page.locator("#status")).to_have_text(re.compile(r"^([1-9]|[1-3]\d|4[0-7]) of 48 images"))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"

    chip.click()
    expect(page).not_to_have_url(re.compile("region"))
    page.get_by_role("button", name="Grid", exact=True).click()
    expect(page.locator("#map")).to_be_hidden()


def test_a_rectangle_with_shift_and_a_search_within_it(open_page):
    page = open_page(path="/?show=map")
    expect(page.locator("#map-canvas")).to_have_attribute("data-visible", "48")
    drag(page, [(0.03, 0.03), (0.98, 0.98)], shift=True)
    expect(page.locator("#status")).to_have_text(re.compile("^48 of 48 images"))
    page.get_by_label("Describe a picture").fill("blue")
    page.keyboard.press("Enter")
    expect(page.locator(".tile img").first).to_have_attribute("alt", re.compile("^blue"))
    expect(page.get_by_role("button", name="Remove the filter part of the map")).to_be_visible()
    page.go_back()
    expect(page.locator("#map")).to_be_visible()


def test_clusters_are_buttons_that_filter(open_page):
    page = open_page(path="/?show=map")
    button = page.locator("#clusters button").first
    count = button.locator("small").inner_text()
    button.press("Enter")
    expect(page.locator("#status")).to_have_text(re.compile(f"^{count} of 48 images"))
    expect(page.locator("#clusters button").first).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#clusters button").first).to_be_focused()
    page.locator("#clusters button").first.press("Enter")
    expect(page).not_to_have_url(re.compile("region"))


def test_pictures_come_with_zoom_and_open(open_page):
    page = open_page(path="/?show=map")
    canvas = page.locator("#map-canvas")
    expect(canvas).to_have_attribute("data-visible", "48")
    expect(canvas).to_have_attribute("data-pictures", re.compile("^[1-9]"))  # few points in view are shown as pictures
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -400)
    page.wait_for_function(DRAWN, arg=1.5)
    page.get_by_role("button", name="Show all of the map").click()
    expect(canvas).to_have_attribute("data-zoom", "1.00")
    first = json.loads(canvas.get_attribute("data-first"))
    spot = [box["x"] + first["at"][0], box["y"] + first["at"][1]]
    page.mouse.click(*spot)
    expect(page.get_by_role("dialog")).to_be_visible()


def test_two_fingers_zoom_and_one_moves(open_page):
    page = open_page(PHONE, path="/?show=map", has_touch=True)
    expect(page.locator("#map-canvas")).to_have_attribute("data-visible", "48")
    page.evaluate(
        """() => {
          const canvas = document.querySelector("#map-canvas");
          const { left, top } = canvas.getBoundingClientRect();
          canvas.setPointerCapture = () => null;
          const send = (type, id, x, y) => canvas.dispatchEvent(new PointerEvent(type,
            { pointerId: id, pointerType: "touch", clientX: left + x, clientY: top + y, button: 0, bubbles: true }));
          send("pointerdown", 1, 150, 150); send("pointerdown", 2, 200, 150);
          send("pointermove", 1, 100, 150); send("pointermove", 2, 250, 150);
          send("pointerup", 1, 100, 150); send("pointerup", 2, 250, 150);
        }"""
    )
    page.wait_for_function(DRAWN, arg=2.5)


@pytest.mark.parametrize(
    "options", [{"color_scheme": "dark"}, {"forced_colors": "active"}, {"reduced_motion": "reduce"}]
)
def test_the_map_is_drawn_in_every_mode(open_page, options):
    page = open_page(path="/?show=map", **options)
    expect(page.locator("#map-canvas")).to_have_attribute("data-visible", "48")
    colours = page.locator("#map-canvas").evaluate(
        "c => new Set(new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size"
    )
    assert colours > 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_the_map(open_page, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe, of the dev extra")
    page = open_page(path="/?show=map&where=region=0", color_scheme=scheme)
    expect(page.locator("#map-canvas")).to_have_attribute("data-visible", "48")
    found = axe.Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []


@SIZES
def test_a_link_leads_to_a_map_of_what_was_asked_and_back_leads_from_it(open_page, viewport):
    page = open_page(viewport, path="/?query=blue&where=width<150&sort=name&show=map")
    expect(page.locator("#map-canvas")).to_have_attribute("data-visible", "48")
    expect(page.get_by_label("Order")).to_have_value("name")
    expect(page.get_by_role("button", name="Remove the filter width < 150")).to_be_visible()
    assert page.locator(".tile").count() < 48
    page.get_by_role("button", name="Grid", exact=True).click()
    expect(page.locator("#map")).to_be_hidden()
    page.go_back()
    expect(page.locator("#map")).to_be_visible()
    page.reload()
    expect(page.locator("#map-canvas")).to_have_attribute("data-visible", "48")
    expect(page.get_by_label("Describe a picture")).to_have_value("blue")
