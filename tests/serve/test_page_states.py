"""The page while a text is typed, while it waits, without a service, and after a reload, in a real browser."""

import re

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the dev extra")
from tests.serve.seen import AT_ALL_WIDTHS, no_sideways_scroll, shown  # noqa: E402

expect = sync_api.expect
pytest_plugins = ["tests.serve.photo_page"]
pytestmark = pytest.mark.slow

GONE = "net::ERR_FAILED"  # what Chromium notes of a request that was not answered


@AT_ALL_WIDTHS
def test_typing_searches_and_is_one_step_back(open_photos, width):
    page = open_photos(width)
    page.get_by_label("Describe a picture").click()
    for part in ("a ", "red ", "wall"):
        page.keyboard.type(part, delay=20)
        page.wait_for_timeout(350)
    expect(page.locator(".tile img").first).to_have_attribute("alt", re.compile("^red"))
    expect(page.get_by_label("Describe a picture")).to_be_focused()
    expect(page).to_have_url(re.compile(r"\?query=a\+red\+wall$"))
    page.keyboard.type(" - blue")  # a sign waits for Enter
    page.wait_for_timeout(350)
    expect(page).to_have_url(re.compile(r"\?query=a\+red\+wall$"))
    page.keyboard.press("Enter")
    expect(page.get_by_label("Weight of − blue")).to_be_visible()
    page.go_back()
    expect(page.locator("#status")).to_have_text("A look around")


@AT_ALL_WIDTHS
def test_results_stay_while_the_service_is_gone_and_it_is_asked_again(open_photos, width):
    page = open_photos(width, "/?query=red", foresee=GONE)
    before = shown(page)
    page.route("**/api/search?*", lambda route: route.abort())
    page.get_by_label("Describe a picture").fill("blue")
    page.keyboard.press("Enter")
    expect(page.get_by_text(re.compile("^The service does not answer. Trying again in"))).to_be_visible()
    assert shown(page) == before
    no_sideways_scroll(page)
    page.get_by_role("button", name="Try now").click()
    expect(page.get_by_text("Trying again in 2 s")).to_be_visible()
    page.unroute("**/api/search?*")
    expect(page.locator(".tile img").first).to_have_attribute("alt", re.compile("^blue"))  # by itself
    expect(page.locator("#offline")).to_be_hidden()


def test_asking_again_ends_until_a_click(open_photos):
    page = open_photos(path="/?query=red", foresee=GONE)
    page.clock.install()
    tries = []
    page.route("**/api/search?*", lambda route: (tries.append(1), route.abort()))
    page.get_by_label("Describe a picture").fill("blue")
    page.keyboard.press("Enter")
    for _ in range(140):
        page.clock.run_for(1000)
    expect(page.locator("#offline-said")).to_have_text("The service does not answer. Is it still running?")
    assert len(tries) == 8
    page.unroute("**/api/search?*")
    page.get_by_role("button", name="Try now").click()
    expect(page.locator(".tile img").first).to_have_attribute("alt", re.compile("^blue"))


@AT_ALL_WIDTHS
def test_an_image_of_ones_own_survives_a_reload(open_photos, photos, width):
    page = open_photos(width)
    page.set_input_files("#file", photos.row(0).image)
    expect(page.get_by_alt_text("Query image")).to_be_visible()
    expect(page.locator(".tile .score").first).to_be_visible()
    before = shown(page)
    assert before[0].startswith("red")
    page.reload()
    expect(page.get_by_alt_text("Query image")).to_be_visible()
    expect(page.locator(".tile .score").first).to_be_visible()
    assert shown(page) == before
    page.get_by_role("button", name="Remove the query image").click()
    expect(page.locator("#status")).to_have_text("A look around")
    page.go_back()
    expect(page.get_by_alt_text("Query image")).to_be_visible()


def test_a_large_image_is_made_small_before_it_is_sent_and_kept(open_photos, tmp_path):
    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 60, (1500, 2400, 3), np.uint8) + np.array([0, 0, 190], np.uint8)
    Image.fromarray(noise).save(tmp_path / "large.png")
    assert (tmp_path / "large.png").stat().st_size > 5_000_000
    page = open_photos()
    with page.expect_request("**/api/search") as request:
        page.set_input_files("#file", tmp_path / "large.png")
    assert int(request.value.header_value("content-length") or 0) < 800_000
    expect(page.locator(".tile img").first).to_have_attribute("alt", re.compile("^blue"))
    page.reload()
    expect(page.get_by_alt_text("Query image")).to_be_visible()
    size = page.get_by_alt_text("Query image").evaluate("image => [image.naturalWidth, image.naturalHeight]")
    assert size == [768, 480]


@AT_ALL_WIDTHS
@pytest.mark.parametrize("path", ["/", "/?query=red"])
def test_nothing_moves_while_answers_and_pictures_come(open_photos, width, path):
    page = open_photos(width, path)

    def with_credits(route):
        reply = route.fetch()
        route.fulfill(response=reply, json=reply.json() | {"credits": "Photos by many people.\n" * 8})

    page.route("**/api/info", with_credits)
    page.add_init_script(
        "window.moved = 0; new PerformanceObserver(list => list.getEntries().forEach(entry => moved += entry.value))"
        ".observe({ type: 'layout-shift', buffered: true });"
    )
    page.route("**/thumbnails/*", lambda route: (page.wait_for_timeout(5), route.continue_()))
    page.reload()
    expect(page.locator(".tile").first).to_be_visible()
    page.wait_for_function(
        "() => [...document.querySelectorAll('.tile img')].slice(0, 6).every(image => image.complete)"
    )
    assert page.evaluate("moved") < 0.01


def test_facets_that_come_late_do_not_push_the_answers_down(open_photos, photos_url):
    page = open_photos()
    late = []
    page.route("**/api/facets", lambda route: late.append(route))
    page.reload()
    expect(page.locator(".tile").first).to_be_visible()
    place = page.locator(".tile").first.bounding_box()
    late[0].continue_()
    page.wait_for_timeout(300)
    assert page.locator(".tile").first.bounding_box() == place
    page.get_by_label("Describe a picture").fill("red")
    page.keyboard.press("Enter")
    expect(page.locator("#dates")).to_be_visible()
    expect(page.get_by_role("button", name="Filters", exact=True)).to_be_visible()
