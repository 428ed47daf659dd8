"""The report in a real browser: it stands for itself, shows what was dropped, and fits a phone."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from openalign.curation.pipeline import curate
from openalign.curation.recipe import CurateRecipe
from tests.browser import opened
from tests.curation.crawl import drawing, encoded, write_crawl

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    tests = folder / "tests"
    tests.mkdir()
    (tests / "known.jpg").write_bytes(encoded(drawing(99)))
    crawl = write_crawl(folder / "crawl.warc.gz")
    curate([crawl], to=folder / "out", workers=1, test_set=[tests], recipe=CurateRecipe.of(download=False))
    return folder / "out"


@pytest.fixture(scope="module")
def report(curated: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((curated / "report.json").read_text(encoding="utf-8"))
    return loaded


def test_report_json_has_its_stable_keys(report: dict[str, Any]) -> None:
    assert {"pairs", "rules", "images", "histograms", "problems", "run"} <= set(report)
    ran = next(rule for rule in report["rules"] if rule["ran"])
    assert {"name", "section", "threshold", "ran", "judged", "broken", "share", "first", "remaining"} <= set(ran)
    assert {"fingerprint", "sources", "test_set", "settings", "version"} == set(report["run"])


def test_histograms_count_every_text_and_mark_what_the_rules_drop(report: dict[str, Any]) -> None:
    words = {bar["label"]: bar for bar in report["histograms"]["words_per_text"]}
    assert sum(bar["count"] for bar in words.values()) == 7
    assert words["1"] == {"label": "1", "count": 1, "allowed": False}
    assert [words[label]["allowed"] for label in ("2", "3", "20", "21")] == [False, True, True, False]
    sides = {bar["label"]: bar for bar in report["histograms"]["shorter_side"]}
    assert sides["200"] == {"label": "200", "count": 1, "allowed": False}
    assert sides["250"]["allowed"]
    ratios = {bar["label"]: bar for bar in report["histograms"]["aspect_ratio"]}
    assert ratios["3"] == {"label": "3", "count": 1, "allowed": False}


def test_near_duplicates_are_shown_in_groups(browser: Browser, tmp_path: Path) -> None:
    lines = ["image,text"]
    for number, (seed, quality) in enumerate([(1, 90), (2, 90), (1, 60), (1, 40), (3, 90)]):
        (tmp_path / f"{number}.jpg").write_bytes(encoded(drawing(seed), quality=quality))
        lines.append(f"{number}.jpg,drawing number {number}")
    (tmp_path / "list.csv").write_text("\n".join(lines))
    asked = CurateRecipe.of(drop_near_duplicates=True)
    curate([tmp_path / "list.csv"], to=tmp_path / "out", workers=1, recipe=asked)
    page, _ = opened(browser, tmp_path / "out" / "report.html", 1280)
    group = page.locator("#near_duplicate .group")
    assert group.count() == 1
    assert group.locator("img").count() == 3
    assert "2 copies" in group.inner_text() and "0.jpg" in group.inner_text()


def test_report_html_fetches_nothing(curated: Path) -> None:
    page = (curated / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert "<script" not in page


@pytest.mark.parametrize("width", [390, 1280])
def test_report_opens_without_errors_and_fits_the_width(browser: Browser, curated: Path, width: int) -> None:
    page, complaints = opened(browser, curated / "report.html", width)
    assert page.locator("h1").inner_text() == "2 of 8 image-text pairs kept"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert complaints == []


def test_report_shows_what_each_rule_dropped(browser: Browser, curated: Path) -> None:
    page, _ = opened(browser, curated / "report.html", 1280)
    assert "a very wide banner" in page.locator("#aspect_ratio").inner_text()
    assert "truncated JPEG" in page.locator("#unreadable_image").inner_text()
    assert "Did not run" in page.locator("#unsafe_image").inner_text()
    assert page.locator("#near_duplicate_of_test .twin img").count() == 2
    assert page.locator("#no_text .example img").count() == 1


def figures_of(page: Path) -> dict[str, str]:
    """The numbers at the top of a report by their labels."""
    found = re.findall(r'<b>([\d,]+)</b><span class="soft">([^<]+)</span>', page.read_text(encoding="utf-8"))
    return {label: number for number, label in found}


@pytest.mark.parametrize("kind", ["table", "shards"])
def test_a_source_without_pages_counts_rows(tmp_path: Path, kind: str) -> None:
    (tmp_path / "0.jpg").write_bytes(encoded(drawing(0)))
    (tmp_path / "list.csv").write_text("image,text\n0.jpg,one drawing here\n0.jpg,another text of it\n,no image here\n")
    source = tmp_path / "list.csv"
    if kind == "shards":
        curate([source], to=tmp_path / "first", workers=1)
        source = tmp_path / "first" / "shards"
    curate([source], to=tmp_path / "out", workers=1, recipe=CurateRecipe.of(languages=["en", "de"]))
    figures = figures_of(tmp_path / "out" / "report.html")
    assert not {"pages read", "images on pages"} & figures.keys()
    assert (figures["rows read"], figures["images named"]) == ("2", "2")
    assert "<td>text.languages<td>en, de</tr>" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_a_crawl_counts_pages(curated: Path) -> None:
    assert {"pages read", "images on pages"} <= figures_of(curated / "report.html").keys()


def test_markup_in_a_text_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    (tmp_path / "0.jpg").write_bytes(encoded(drawing(0)))
    (tmp_path / "list.csv").write_text('image,text\n0.jpg,"<script>alert(1)</script> is a text"\n')
    curate([tmp_path / "list.csv"], to=tmp_path / "out", workers=1)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)" in page
