"""The box and the chips of the page in a real browser: the language of queries, weights and focus."""

import json
import random
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from openalign.errors import UsageError
from openalign.search.query.language import parse_query
from openalign.search.query.terms import Query

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the dev extra")
from tests.serve.seen import answered  # noqa: E402

expect = sync_api.expect
pytest_plugins = ["tests.serve.opened_page"]
pytestmark = pytest.mark.slow

TABLE = json.loads((Path(__file__).parents[1] / "search" / "query_language.json").read_text(encoding="utf-8"))
READ_BY_PAGE = """async (texts) => {
    const { parse, write, Mistake } = await import("/static/language.js");
    return texts.map((text) => {
        try {
            const terms = parse(text);
            return { terms, text: write(terms) };
        } catch (error) {
            if (!(error instanceof Mistake)) throw error;
            return { mistake: error.place };
        }
    });
}"""


def read(text: str) -> dict:
    """What Python reads, in the words of the page."""
    try:
        query = parse_query(text)
    except UsageError as error:
        return {"mistake": int(re.search(r"character (\d+)", str(error))[1])}
    return {"terms": [in_json(term) for term in query.terms], "text": query.text()}


def in_json(term) -> dict:
    kind = next(kind for kind in ("text", "image", "row") if getattr(term, kind) is not None)
    return {kind: getattr(term, kind), "weight": term.weight, "minus": term.minus}


def random_texts(count: int) -> list[str]:
    """Texts of parts that mean something somewhere."""
    parts = ["+", "-", " ", "  ", "*", '"', "2", ".5", "img:", "row:", "a", "b c"]
    parts += ["\u00a0", "\x85", "\ufeff", "🐶", "\n"]
    chance = random.Random(0)
    return ["".join(chance.choices(parts, k=chance.randrange(1, 9))) for _ in range(count)]


def test_page_and_shell_read_and_write_the_same(open_page):
    page = open_page()
    texts = [*TABLE["plain"], *(text for text, _ in TABLE["queries"] + TABLE["mistakes"]), *random_texts(3000)]
    expected = [read(text) for text in texts]
    for text, by_page, by_shell in zip(texts, page.evaluate(READ_BY_PAGE, texts), expected, strict=True):
        assert by_page == by_shell, text
    written = [each["text"] for each in expected if "text" in each]
    assert [each["text"] for each in page.evaluate(READ_BY_PAGE, written)] == written


def box(page):
    return page.get_by_label("Describe a picture")


def ask(page, text: str) -> None:
    box(page).fill(text)
    page.keyboard.press("Enter")


def chips(page) -> list[str]:
    """Each as its sign, its words and its weight."""
    return page.locator(".chip").evaluate_all(
        "all => all.map(chip => `${chip.firstChild.data} ${chip.querySelector('.words')?.textContent ?? "
        "chip.querySelector('img').alt} ${chip.querySelector('input').value}`)"
    )


def query_of(page) -> str:
    return parse_qs(urlsplit(page.url).query).get("query", [""])[0]


def focused(page) -> str:
    return page.evaluate("document.activeElement.ariaLabel ?? document.activeElement.id")


@pytest.fixture
def asked(open_page):
    """Opens the page; the queries that it sends in the language, in order, as the service answers others."""
    sent: list[Query] = []

    def answer(route) -> None:
        (text,) = parse_qs(urlsplit(route.request.url).query)["query"]
        sent.append(parse_query(text))
        route.continue_(url=re.sub(r"\?.*", "?plus=blue&top=30", route.request.url))

    def opened(path="/", viewport=None):
        page = open_page(viewport)
        page.route("**/api/search?query=*", answer)
        if path != "/":
            page.goto(page.url.rstrip("/") + path)
        return page, sent

    return opened


@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 800}, {"width": 390, "height": 844}])
def test_a_query_typed_into_the_box_makes_chips_with_weights(asked, viewport):
    page, sent = asked(viewport=viewport)
    ask(page, "blue + 2*white - red")
    expect(page.locator(".chip")).to_have_count(2)
    assert chips(page) == ["+ white 2", "− red 1"]
    expect(box(page)).to_have_value("blue")
    assert query_of(page) == "blue + 2*white - red"
    answered(page)
    assert sent == [parse_query("blue + 2*white - red")]
    assert focused(page) == "Describe a picture"
    page.reload()
    expect(page.locator(".chip")).to_have_count(2)
    assert chips(page) == ["+ white 2", "− red 1"]
    ask(page, "- 0.5*green + row:3")  # more of it is added to what is there
    expect(page.locator(".chip")).to_have_count(3)
    assert query_of(page) == "row:3 + 2*white - red - 0.5*green"
    assert chips(page) == ["+ white 2", "− red 2", "− green 0.5"]  # beside an image a text weighs two
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"


def test_a_quoted_text_stays_literal_in_box_and_link(open_page, url):
    page = open_page()
    with page.expect_request("**/api/search?*") as request:
        ask(page, '"blue - white"')
    assert parse_qs(urlsplit(request.value.url).query)["plus"] == ["blue - white"]
    expect(box(page)).to_have_value('"blue - white"')
    assert query_of(page) == '"blue - white"'
    page.goto(f"{url}/?text=blue - white&plus=red %2B green")  # links of before: their texts mean themselves
    expect(box(page)).to_have_value('"blue - white"')
    assert chips(page) == ["+ red + green 1"]


def test_a_weight_is_changed_with_the_keyboard_and_keeps_the_focus(asked):
    page, sent = asked("/?query=blue+-+red")
    weight = page.get_by_label("Weight of − red")
    weight.focus()
    for _ in range(2):
        page.keyboard.press("ArrowUp")
        answered(page)  # a question that another follows at once may never be sent
    expect(weight).to_have_value("2")
    assert query_of(page) == "blue - 2*red"
    assert focused(page) == "Weight of − red"
    weight.fill("0.25")
    page.keyboard.press("Enter")
    assert query_of(page) == "blue - 0.25*red"
    answered(page)
    page.keyboard.press("ArrowDown")
    expect(weight).to_have_value("0.25")
    weight.fill("0")
    page.keyboard.press("Enter")
    expect(weight).to_have_value("0.25")
    weight.fill("1")
    page.keyboard.press("Enter")
    assert query_of(page) == "blue - red"  # the usual weight is not written
    assert [query.text() for query in sent] == ["blue - 1.5*red", "blue - 2*red", "blue - 0.25*red"]
    box(page).fill("+ + blue")
    weight.focus()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("alert").first).to_contain_text("character 1")
    expect(weight).to_have_value("1")  # nothing is searched for, so nothing is shown that was not
    page.go_back()
    expect(page.get_by_text("A look around")).to_be_visible()  # a step of a weight is no step back


def test_focus_stays_at_its_place_when_chips_come_and_go(open_page):
    page = open_page(path="/?query=blue - red - green - white")
    page.get_by_label("Remove − green").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".chip")).to_have_count(2)
    assert focused(page) == "Remove − white"
    page.keyboard.press("Enter")
    expect(page.locator(".chip")).to_have_count(1)
    assert focused(page) == "Remove − red"
    page.keyboard.press("Enter")
    expect(page.locator(".chip")).to_have_count(0)
    assert focused(page) == "add-plus"
    page.keyboard.press("Enter")
    page.keyboard.type("violet")
    page.keyboard.press("Enter")
    expect(page.locator(".chip")).to_have_count(1)
    assert focused(page) == "add-plus"
    page.locator("#add-minus").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    assert focused(page) == "add-minus"
    assert chips(page) == ["+ violet 1"]


def test_a_mistyped_query_is_told_with_its_place_and_stays_to_be_mended(open_page):
    page = open_page(path="/?query=blue")
    before = page.url
    mistakes = {"blue + + red": "character 6", "row:x": "character 1", "img:a.jpg": "opens no file by its name"}
    for text, said in mistakes.items():
        ask(page, text)
        expect(page.get_by_role("alert").first).to_contain_text(said)
        expect(box(page)).to_have_value(text)
    assert page.url == before
    expect(page.locator(".tile").first).to_be_visible()
    box(page).fill("blue")
    page.get_by_role("button", name="less of").click()
    page.keyboard.type('"red')
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").first).to_contain_text("no closing one")
    page.keyboard.type('"')
    page.keyboard.press("Enter")
    expect(page.locator(".chip")).to_have_count(1)
    assert query_of(page) == "blue - red"


def test_a_link_with_a_mistake_says_so(open_page, url):
    page = open_page()
    page.goto(f"{url}/?query=blue - row:one")
    expect(page.get_by_role("alert").first).to_contain_text("character 8")
    expect(box(page)).to_have_value("blue - row:one")
    ask(page, "blue - red")
    expect(page.get_by_role("alert").first).to_be_hidden()


def test_rows_are_the_image_of_the_box_and_chips_with_pictures(asked):
    page, sent = asked("/?query=row:3 - row:4 %2B blue")
    expect(page.locator("#query-image img")).to_have_attribute("src", "/api/thumbnails/3")
    assert chips(page) == ["− image 4 1", "+ blue 2"]
    answered(page)
    assert [query.text() for query in sent] == ["row:3 - row:4 + blue"]
    page.get_by_label("Remove the query image").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#query-image")).to_be_hidden()
    assert focused(page) == "Describe a picture"
    assert query_of(page) == "- row:4 + blue"
