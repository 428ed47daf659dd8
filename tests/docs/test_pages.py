"""What the documents say agrees with the files and the code they speak of."""

import re

import pytest

from openalign.curation.rules.table import RULES
from tests.docs.blocks import PAGES, ROOT, name_of, prose_of
from tests.rooms import CONTRIBUTING, with_drawings

REPOSITORY = "https://github.com/openalign/openalign"
IN_THE_REPOSITORY = re.compile(rf"{REPOSITORY}/(?:blob|tree|raw)/main/([^)#\s]+)")
RAW = re.compile(r"https://raw\.githubusercontent\.com/openalign/openalign/main/([^)\s]+)")
WIDTH = 120


@pytest.mark.slow
def test_the_drawings_of_the_rooms_show_the_imports_of_today():
    text = CONTRIBUTING.read_text(encoding="utf-8")
    assert with_drawings(text) == text, "run: python -m tests.rooms"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_absolute_links_into_the_repository_lead_to_files(page):
    text = page.read_text(encoding="utf-8")
    linked = IN_THE_REPOSITORY.findall(text) + RAW.findall(text)
    assert not [path for path in linked if not (ROOT / path).exists()]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_prose_is_wrapped_at_one_width(page):
    lines = [line for line in prose_of(page).splitlines() if not line.lstrip().startswith(("|", "[", "!"))]
    long = [line for line in lines if len(line) > WIDTH and " " in line[:WIDTH].strip()]
    assert not long


def test_relative_links_of_the_readme_would_break_on_the_package_page():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert not re.findall(r"\]\((?!https://|#)[^)]*\)", text)


ROOMS = "commands|curation|data|demo|evaluation|model|search|serve|training"
MODULE = re.compile(rf"`((?:{ROOMS})/[\w/]+\.py)`")
FILE = re.compile(
    r"(?<![\w/.])((?:bench|tests|recipes|examples|findings|docs)/[\w/.-]+\.(?:py|sh|md|toml|jsonl|json|jpg|png))"
)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_of_the_repository_that_a_page_names_exist(page):
    text = page.read_text(encoding="utf-8")
    named = {*FILE.findall(text), *(f"openalign/{module}" for module in MODULE.findall(text))}
    assert not [path for path in named if not (ROOT / path).exists()]


def test_the_page_of_rules_lists_them_in_their_order():
    page = (ROOT / "docs" / "reference" / "rules.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == [rule.name for rule in RULES]
