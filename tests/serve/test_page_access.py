"""The page for people who read it with ears, keys, fingers or other colours, in a real browser."""

import json

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the dev extra")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe, of the dev extra")
from tests.serve.seen import AT_ALL_WIDTHS, no_sideways_scroll  # noqa: E402

expect = sync_api.expect
pytest_plugins = ["tests.serve.photo_page"]
pytestmark = pytest.mark.slow

VIEW = "/?query=red&view=6"
SWIPE = """([from, to]) => {
    const stage = document.querySelector(".stage");
    const touch = ([clientX, clientY]) => new Touch({ identifier: 1, target: stage, clientX, clientY });
    const send = (type, at) => stage.dispatchEvent(new TouchEvent(type, {
        touches: type === "touchend" ? [] : [touch(at)], changedTouches: [touch(at)], bubbles: true, cancelable: true,
    }));
    send("touchstart", from);
    send("touchmove", to);
    send("touchend", to);
}"""


def violations(page) -> list[str]:
    found = axe.Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [f"{each['impact']} {each['id']}: {each['nodes'][0]['html']}" for each in found]


@pytest.mark.parametrize(
    ("width", "scheme"), [("phone", "light"), ("tablet", "light"), ("desktop", "light"), ("desktop", "dark")]
)
def test_axe_finds_nothing_in_any_state(open_photos, width, scheme):
    page = open_photos(width, color_scheme=scheme)
    assert violations(page) == []
    page.goto(page.url + "?query=red+-+blue&where=date>%3D2021-03&where=shop%3Dnorth&sort=-date")
    expect(page.locator(".tile").first).to_be_visible()
    assert violations(page) == []
    for button in ("Filters", "Saved"):
        page.get_by_role("button", name=button, exact=True).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert violations(page) == []
        no_sideways_scroll(page)
        page.keyboard.press("Escape")
    page.get_by_role("button", name="Select", exact=True).click()
    page.locator(".tile").nth(1).click()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.locator(".tile").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert violations(page) == []


def place_of(page) -> int:
    return int(page.evaluate("document.querySelector('#viewer').dataset.row"))


def test_a_finger_turns_over_pictures_and_closes_them(open_photos):
    page = open_photos("phone", "/?query=red")
    page.locator(".tile").nth(2).click()
    viewer = page.get_by_role("dialog")
    expect(viewer).to_be_visible()
    rows = page.locator(".tile").evaluate_all("all => all.map(tile => Number(tile.dataset.row))")
    page.evaluate(SWIPE, [[300, 200], [120, 210]])
    assert place_of(page) == rows[3]
    page.evaluate(SWIPE, [[100, 200], [300, 190]])
    page.evaluate(SWIPE, [[100, 200], [300, 190]])
    assert place_of(page) == rows[1]
    page.evaluate(SWIPE, [[100, 200], [120, 205]])  # too short
    assert place_of(page) == rows[1]
    page.evaluate(SWIPE, [[200, 100], [205, 260]])
    expect(viewer).to_be_hidden()
    assert page.evaluate("Number(document.activeElement.dataset.row)") == rows[1]


@AT_ALL_WIDTHS
def test_file_and_folder_of_a_picture_are_shown_copied_and_opened(open_photos, photos, width):
    page = open_photos(width, "/?where=folder%3Dcolosseum", permissions=["clipboard-read", "clipboard-write"])
    page.locator(".tile").first.click()
    viewer = page.get_by_role("dialog")
    facts = json.dumps(viewer.locator("#viewer-facts dd").all_inner_texts())
    row = photos.row(int(page.evaluate("document.querySelector('#viewer').dataset.row")))
    assert f'"{row.image.rsplit("/", 1)[1]}"' in facts and "rome 2022/colosseum" in facts
    viewer.get_by_role("button", name="Copy path").click()
    expect(viewer.get_by_text("The path is copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == row.image
    with page.context.expect_page() as opened:
        viewer.get_by_role("link", name="Open file").click()
    assert opened.value.url.split("?")[0].endswith(f"/api/images/{row.row}")
    no_sideways_scroll(page)


def tell_of_all(page, **fields):
    """Say this of every picture, whether it is asked for alone or is one of the first that are shown."""
    page.route("**/api/rows/*", lambda route: route.fulfill(json={**route.fetch().json(), **fields}))

    def first(route):
        images = route.fetch().json()["images"]
        route.fulfill(json={"images": [{**image, **fields} for image in images]})

    page.route("**/api/browse*", first)


def test_a_service_for_others_tells_no_path_and_opens_no_file(open_photos):
    page = open_photos()
    tell_of_all(page, image="rome/06.jpg")
    page.goto(page.url + "?view=6")
    expect(page.get_by_role("dialog").locator("#viewer-facts")).to_contain_text("06.jpg")
    expect(page.get_by_role("dialog").get_by_role("link", name="Open file")).to_be_hidden()


def test_a_phone_on_its_side_shows_picture_and_facts_beside_each_other(open_photos):
    page = open_photos("phone", VIEW)
    page.set_viewport_size({"width": 844, "height": 390})
    expect(page.get_by_role("dialog")).to_be_visible()
    stage, panel = (page.locator(each).bounding_box() for each in (".stage", ".panel"))
    assert panel["x"] >= stage["x"] + stage["width"] and stage["height"] == pytest.approx(390, abs=1)
    no_sideways_scroll(page)


def test_a_choice_is_seen_in_forced_colours(open_photos):
    page = open_photos(path="/?query=red", forced_colors="active")
    page.locator(".tile").nth(1).click(modifiers=["ControlOrMeta"])
    outline = "each => getComputedStyle(each).outlineStyle"
    assert page.locator(".tile").nth(1).evaluate(outline) == "solid"
    assert page.locator(".tile").nth(3).evaluate(outline) == "none"
    bar = page.locator(".bars-of-months i").first.evaluate("each => getComputedStyle(each).backgroundColor")
    assert bar != page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_a_long_text_from_right_to_left_is_shown_whole_in_its_direction(open_photos):
    page = open_photos()
    text = "שלום " * 400
    tell_of_all(page, text=text)
    page.goto(page.url + "?view=6")
    caption = page.locator("#viewer-text")
    expect(caption).to_contain_text("שלום")
    assert caption.evaluate("each => getComputedStyle(each).direction") == "rtl"
    assert caption.evaluate("each => each.clientHeight < 400 && each.scrollHeight > each.clientHeight")
    expect(page.get_by_role("button", name="Search with this image")).to_be_in_viewport()


@pytest.mark.parametrize("path", ["/", "/?query=red+-+blue&where=shop%3Dnorth", VIEW])
def test_fingers_find_what_they_press(open_photos, path):
    page = open_photos("phone", path)
    expect(page.get_by_role("dialog")).to_have_count(int(path == VIEW))
    small = page.locator("button, select, input:not([type=range], .weight input), .choose, a.ghost").evaluate_all(
        """all => all.filter(each => each.checkVisibility({ opacityProperty: true }))
            .filter(each => Math.min(each.offsetWidth, each.offsetHeight) < (each.closest(".chip") ? 36 : 40))
            .map(each => each.outerHTML)"""
    )
    assert small == []
