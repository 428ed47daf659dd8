"""One page: its limits of size and time, and that the next page is read whatever became of it."""

from pathlib import Path

import pytest

from openalign.curation.html import page
from openalign.curation.html.alt_text import ImageTag
from openalign.curation.html.page import SMALL, Form, PageSettings, read_tags, tags_of_page
from openalign.curation.isolation.records import Problem
from openalign.curation.pipeline import curate
from openalign.curation.recipe import CurateRecipe
from openalign.errors import OpenAlignError
from tests.curation import stand_ins
from tests.curation.crawl import drawing, encoded
from tests.curation.extracted import extracted
from tests.curation.sources.test_extract import SITE, shown, write_warc

pytestmark = pytest.mark.slow

PAGE = b'<img src="a.jpg" alt="An apple">'
TAGS = [ImageTag((SITE + "a.jpg",), "An apple")]
LARGE = PAGE + b" " * SMALL


def found_in(page: bytes, form: Form = Form.HTML, **limits: float) -> list[ImageTag] | Problem:
    return tags_of_page(page, SITE, None, form, PageSettings(**limits))  # type: ignore[arg-type]


def test_a_page_gives_the_same_in_this_process_and_in_the_helper() -> None:
    for form, body in (
        (Form.HTML, PAGE),
        (Form.MARKDOWN, b"![An *apple*](a.jpg)"),
        (Form.HTML_FILE, b"---\n---\n" + PAGE),
    ):
        assert found_in(body, form) == found_in(body + b" " * SMALL, form) == TAGS
    assert found_in("<img src=a.jpg alt='An&#x20;apple'>".encode("utf-16") + b" \0" * SMALL) == TAGS


def test_only_a_large_page_needs_the_helper(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(page, "call_with_time_limit", lambda *_, **__: asked.append(1) or [])
    found_in(PAGE)
    found_in(PAGE + b" " * (SMALL - len(PAGE)))
    assert asked == []
    found_in(PAGE + b" " * (SMALL - len(PAGE) + 1))
    assert asked == [1]


def test_a_page_above_the_size_limit_is_refused_and_one_at_it_is_read() -> None:
    assert found_in(LARGE, page_bytes=len(LARGE)) == TAGS
    assert found_in(LARGE, page_bytes=len(LARGE) - 1) == Problem("larger than 0.0313 MB (page_bytes)")


@pytest.mark.parametrize(
    "html",
    [
        "<base href='http://a.org/" + "b" * 5000 + "/'>" + "<img src=a>" * 5000,
        "<figure><figcaption>" + "c" * 5000 + "</figcaption>" + "<img src=a>" * 5000,
        "<picture>" + "".join(f"<source srcset=a{number}>" for number in range(1000)) + "<img>" * 1000,
    ],
    ids=["base", "caption", "picture"],
)
def test_images_that_repeat_far_more_than_the_page_holds_are_refused(html: str) -> None:
    found = tags_of_page(html.encode(), SITE, "utf-8", Form.HTML, PageSettings(text_from="figcaption"))
    assert isinstance(found, Problem) and "have more than" in found.reason


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_page_that_takes_too_long_is_a_problem_and_the_next_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(page, "read_tags", stand_ins.read_tags_slowly)
    monkeypatch.setattr("openalign.curation.isolation.time_limit._WALL_FACTOR", 3)
    limits = PageSettings(page_seconds=1.0)
    crawl = {"slow": LARGE + b"SLOW", "large": LARGE, "p": PAGE}
    one = write_warc(tmp_path / "1.warc.gz", crawl)
    two = write_warc(tmp_path / "2.warc.gz", {f"2{name}": body for name, body in crawl.items()})
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "a.md").write_bytes(b"![SLOW](b.jpg)" + b" " * SMALL)
    (tmp_path / "site" / "b.md").write_bytes(b"![Fast](b.jpg)")
    found = extracted([one, two, tmp_path / "site"], tmp_path / "work", workers, pages=limits)
    sources = [f"{SITE}slow", f"{SITE}2slow", str(tmp_path / "site" / "a.md")]
    assert found.problems == [f"{source}: took longer than 1 s (page_seconds)." for source in sources]
    assert [text for _, text in shown(found)] == ["An apple"] * 4 + ["Fast"]
    assert found.pages == 5


def test_the_limits_are_settings_and_reach_the_report(tmp_path: Path) -> None:
    html = '<img src="a.jpg" alt="a red apple"><img src="b.jpg" alt="a green pear">'
    images = {name: encoded(drawing(seed)) for seed, name in enumerate(("a.jpg", "b.jpg"))}
    crawl = {"small": html.encode(), "large": html.encode() + b" " * 2000, **images}
    settings = CurateRecipe.of(page_bytes=1000, download=False)
    report = curate([write_warc(tmp_path / "a.warc.gz", crawl)], to=tmp_path / "to", workers=1, recipe=settings)
    assert report["problems"]["first"] == [f"{SITE}large: larger than 0.000954 MB (page_bytes)."]
    assert report["pairs"]["kept"] == 2
    for name in ("page_bytes", "page_seconds", "image_seconds"):
        with pytest.raises(OpenAlignError, match=name):
            CurateRecipe.of(**{name: 0})


def test_without_limits_a_page_that_is_no_text_raises() -> None:
    with pytest.raises(Exception, match="not text in any known encoding"):
        read_tags(bytes((i * i * 37 + i * 11) % 256 for i in range(4000)), SITE, None, Form.HTML, ("alt",))
