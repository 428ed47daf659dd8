"""The page in a real browser against the real service on loopback."""

import re

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the dev extra")
from tests.serve.seen import answered  # noqa: E402

expect = sync_api.expect
pytest_plugins = ["tests.serve.opened_page"]

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}


def names(page) -> list[str]:
    """The colours of the tiles, in order."""
    return [alt.split()[0] for alt in page.locator(".tile img").evaluate_all("images => images.map(i => i.alt)")]


def search(page, text: str) -> None:
    page.get_by_label("Describe a picture").fill(text)
    page.keyboard.press("Enter")


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_text_an_image_and_both_find_what_they_show_at_any_width(open_page, viewport, painted):
    page = open_page(viewport)
    search(page, "blue")
    answered(page)  # by chance those of before may begin with a blue one
    expect(page.locator(".tile img").first).to_have_attribute("alt", re.compile("^blue"))
    assert names(page)[:8] == ["blue"] * 8
    expect(page.locator(".tile .score").first).to_have_text("1.00")
    expect(page.locator("#status")).to_have_text(re.compile(r"^30 of 48 images · \d+ ms$"))

    page.get_by_label("Describe a picture").fill("")
    page.set_input_files("#file", painted / "photos" / "00-red.png")
    expect(page.get_by_alt_text("Query image")).to_be_visible()
    expect(page.locator(".tile img").first).to_have_attribute("alt", re.compile("^red"))

    page.get_by_role("button", name="more of").click()
    page.keyboard.type("blue")
    page.keyboard.press("Enter")
    expect(page.locator(".tile img").first).to_have_attribute("alt", re.compile("^violet"))
    page.get_by_role("button", name="less of").click()
    page.keyboard.type("violet")
    page.keyboard.press("Enter")
    expect(page.locator(".chip")).to_have_count(2)
    page.get_by_role("button", name="Remove + blue").click()
    expect(page.locator(".tile img").first).to_have_attribute("alt", re.compile("^yellow"))

    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_an_image_opens_with_its_labels_and_leads_to_similar_ones(open_page, viewport):
    page = open_page(viewport, "/?text=green")
    page.locator(".tile").first.click()
    viewer = page.get_by_role("dialog")
    expect(viewer.locator(".caption")).to_have_text(re.compile("^green paint"))
    expect(viewer.get_by_role("link", name="example.org")).to_have_attribute("rel", "noopener noreferrer")
    viewer.get_by_label("What is it?").fill("red, green, blue")
    page.keyboard.press("Enter")
    expect(viewer.locator(".bars li")).to_have_count(3)
    expect(viewer.locator(".bars li").first).to_contain_text("green")
    assert viewer.evaluate("dialog => dialog.scrollWidth <= innerWidth")
    viewer.get_by_role("button", name="Search with this image").click()
    expect(viewer).to_be_hidden()
    expect(page).to_have_url(re.compile(r"\?query=row%3A\d+$"))
    expect(page.locator(".tile img").first).to_have_attribute("alt", re.compile("^green"))


def test_a_label_with_a_comma_stands_in_double_quotes(open_page):
    page = open_page(path="/?text=green")
    page.locator(".tile").first.click()
    viewer = page.get_by_role("dialog")
    viewer.get_by_label("What is it?").fill(' red , "green, or ""teal""" ,, 5" blue,red')
    page.keyboard.press("Enter")
    expect(viewer.locator(".bars li")).to_have_count(3)
    expect(viewer.locator(".bars li").first).to_contain_text('green, or "teal"')
    expect(viewer.locator(".bars")).to_contain_text('5" blue')


def test_the_url_holds_the_query_and_back_undoes_it(open_page, url):
    page = open_page(path="/?text=white&minus=red&minus=yellow")
    expect(page.get_by_label("Describe a picture")).to_have_value("white")
    expect(page.locator(".chip.minus")).to_have_count(2)
    assert names(page)[0] == "blue"
    page.get_by_role("button", name="Remove − yellow").click()
    expect(page).to_have_url(f"{url}/?query=white+-+red")
    answered(page)
    expect(page.locator(".tile img").first).to_have_attribute("alt", re.compile("^white"))
    page.locator(".tile").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.go_back()
    expect(page.locator(".chip.minus")).to_have_count(2)
    page.reload()
    expect(page.locator(".tile img").first).to_have_attribute("alt", re.compile("^blue"))


def test_an_example_runs_on_click_and_the_logo_leads_home(open_page, url):
    page = open_page()
    expect(page.get_by_text("A look around")).to_be_visible()
    page.get_by_role("button", name="white − red").click()
    expect(page).to_have_url(f"{url}/?query=white+-+red")
    expect(page.locator(".tile .score").first).to_be_visible()
    page.get_by_role("link", name="openalign").click()
    expect(page.get_by_text("A look around")).to_be_visible()
    expect(page.get_by_role("link", name="https://example.org/licence")).to_be_visible()


def test_more_results_are_added_below_without_moving_the_others(open_page):
    page = open_page(path="/?text=red")
    page.evaluate("Promise.allSettled(document.getAnimations().map((each) => each.finished)).then(() => null)")
    before = names(page)
    place = page.locator(".tile").nth(3).bounding_box()
    page.get_by_role("button", name="Show more").click()
    expect(page.locator(".tile")).to_have_count(48)
    assert names(page)[: len(before)] == before
    page.evaluate("scrollTo(0, 0)")
    page.evaluate("Promise.allSettled(document.getAnimations().map((each) => each.finished)).then(() => null)")
    assert page.locator(".tile").nth(3).bounding_box() == pytest.approx(place, abs=0.01)
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()


def test_an_image_can_be_dropped_and_pasted(open_page):
    page = open_page()
    red = """async (kind) => {
        const canvas = Object.assign(document.createElement("canvas"), { width: 40, height: 40 });
        const context = canvas.getContext("2d");
        context.fillStyle = kind === "drop" ? "rgb(225 40 40)" : "rgb(40 190 70)";
        context.fillRect(0, 0, 40, 40);
        const blob = await new Promise((done) => canvas.toBlob(done));
        const transfer = new DataTransfer();
        transfer.items.add(new File([blob], "my.png", { type: "image/png" }));
        const event = kind === "drop"
            ? new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true })
            : new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true });
        document.body.dispatchEvent(event);
    }"""
    for kind, colour in (("drop", "red"), ("paste", "green")):
        page.evaluate(red, kind)
        expect(page.locator(".tile img").first).to_have_attribute("alt", re.compile(f"^{colour}"))


def test_everything_can_be_done_from_the_keyboard(open_page):
    page = open_page()
    page.keyboard.press("/")
    page.keyboard.type("yellow")
    page.keyboard.press("Enter")
    expect(page.locator(".tile .score").first).to_be_visible()
    page.locator(".tile").first.focus()
    page.keyboard.press("Enter")
    viewer = page.get_by_role("dialog")
    expect(viewer).to_be_visible()
    first = viewer.locator("#viewer-facts").inner_text()
    page.keyboard.press("ArrowRight")
    expect(viewer.locator("#viewer-facts")).not_to_have_text(first)
    page.keyboard.press("Escape")
    expect(viewer).to_be_hidden()
    assert page.evaluate("document.activeElement.className") == "tile"


def test_an_error_message_is_shown_on_the_page(open_page, tmp_path):
    page = open_page(refused=True)
    (tmp_path / "notes.png").write_bytes(b"\x89PNG no more")
    with page.expect_response("**/api/search") as answer:
        page.set_input_files("#file", tmp_path / "notes.png")
    assert answer.value.status == 400
    expect(page.get_by_role("alert").first).to_contain_text("The image cannot be read")
    (tmp_path / "notes.txt").write_text("no image")
    page.set_input_files("#file", tmp_path / "notes.txt")
    expect(page.get_by_role("alert").first).to_have_text("notes.txt is not an image.")


def test_texts_from_the_web_are_not_interpreted_as_html(open_page):
    page = open_page(path="/?text=<img src=x onerror=alert(1)>red")
    assert page.locator("#text").input_value().startswith("<img")
    page.goto(page.url.split("?")[0] + "?row=1&view=1")
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.get_by_role("dialog").get_by_role("link")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(open_page, scheme):
    page = open_page(path="/?text=red&plus=blue&minus=green", color_scheme=scheme)
    for selector in ("#status", ".holdings", ".chip.plus", ".chip.minus", ".go", ".ghost", "footer"):
        assert page.eval_on_selector(selector, CONTRAST) >= 4.5, selector


CONTRAST = """element => {
    const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const luminance = ([r, g, b]) => [r, g, b]
        .map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
        .reduce((sum, c, place) => sum + c * [0.2126, 0.7152, 0.0722][place], 0);
    let behind = element;
    while (channels(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement;
    const [one, other] = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor]
        .map((colour) => luminance(channels(colour))).sort((a, b) => b - a);
    return (one + 0.05) / (other + 0.05);
}"""


def test_a_line_tells_where_matches_end_and_a_word_that_there_are_none(open_page):
    page = open_page(DESKTOP, "/?text=blue")
    expect(page.locator(".mark")).to_have_text("Matches end here")
    before = page.locator("#results li").evaluate_all("all => all.findIndex(item => item.className === 'mark')")
    assert 8 <= before < 30
    search(page, "a dog")
    expect(page.locator("#status")).to_have_text(re.compile("^Nothing matches. The most similar: 30 of 48 images"))
    expect(page.locator(".mark")).to_have_count(0)
    expect(page.locator(".tile")).to_have_count(30)
