"""Folders of pages as site generators keep them."""

import shutil
import tarfile
from collections import Counter
from pathlib import Path

import pytest

from openalign.curation.html.page import PageSettings
from openalign.curation.sources.locations import parse_location
from openalign.curation.sources.page_folders import find_image
from tests.curation.extracted import extracted

SHARED = Path(__file__).parents[3].parent / "shared" / "data" / "markdown"
JPEG = b"\xff\xd8\xff\xe0 not decoded here"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    files = {
        "static/pix/soup.webp": JPEG,
        "content/posts/images/bread loaf.jpg": JPEG,
        "content/posts/cake.md": b"""---
title: "![not an image](no.jpg)"
---
![A bowl of *red* soup](/pix/soup.webp) and ![Bread](images/bread%20loaf.jpg)

<figure><img src="images/bread loaf.jpg" alt="Bread again"></figure>

    ![in a code block](code.jpg)

![Elsewhere](https://example.org/x.jpg) ![](../../../../etc/passwd) ![lost](lost.png)
""",
        "content/about.html": b"<img src='posts/images/bread loaf.jpg?v=2' alt='From HTML'>",
        ".git/draft.md": b"![hidden](x.jpg)",
    }
    for name, content in files.items():
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "site"


def test_markdown_and_html_pages_show_the_images_of_their_folder(site: Path, tmp_path: Path) -> None:
    found = extracted([site], tmp_path / "work", workers=1)
    bread, soup = f"{site}/content/posts/images/bread loaf.jpg", f"{site}/static/pix/soup.webp"
    assert [(row["image"], row["text"]) for row in found.occurrences] == [
        (bread, "From HTML"),
        (soup, "A bowl of red soup"),
        (bread, "Bread"),
        (bread, "Bread again"),
        ("https://example.org/x.jpg", "Elsewhere"),
        (f"{site}/etc/passwd", ""),
        (f"{site}/content/posts/lost.png", "lost"),
    ]
    assert {row["image"]: row["location"] for row in found.images} == {
        bread: f"file://{bread}",
        soup: f"file://{soup}",
    }
    assert found.pages == 2
    assert parse_location(f"file://{soup}").read() == JPEG


def test_base_url_gives_images_and_pages_their_urls(site: Path, tmp_path: Path) -> None:
    page = '<img src="https://example.org/content/posts/images/bread%20loaf.jpg" alt="whole">'
    (site / "content" / "whole.html").write_text(page)
    found = extracted([site], tmp_path / "work", workers=1, pages=PageSettings(base_url="https://example.org"))
    by_text = {row["text"]: row for row in found.occurrences}
    url = "https://example.org/content/posts/images/bread%20loaf.jpg"
    assert by_text["Bread"]["image"] == by_text["whole"]["image"] == url
    assert by_text["Bread"]["page"] == "https://example.org/content/posts/cake.md"
    assert by_text["Bread"]["host"] == "example.org"
    assert by_text["A bowl of red soup"]["image"] == "https://example.org/pix/soup.webp"
    assert by_text["From HTML"]["image"] == url + "?v=2"
    assert len({row["location"] for row in found.images}) == 2


@pytest.mark.parametrize(
    ("page", "wanted", "found"),
    [
        ("site/content/a.md", "pix/x.webp", "site/static/pix/x.webp"),
        ("site/content/a.md", "site/content/pix/x.webp", "site/static/pix/x.webp"),
        ("site/static/index.html", "pix/x.webp", "site/static/pix/x.webp"),
        ("other/a.md", "pix/x.webp", None),
        ("site/content/a.md", "../../etc/passwd", None),
    ],
)
def test_image_is_found_where_generators_keep_it(page: str, wanted: str, found: str | None) -> None:
    assert find_image(frozenset({"site/static/pix/x.webp", page}), page, wanted) == found


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason="the real Markdown sites are not here")
def test_real_sites_find_their_images(tmp_path: Path) -> None:
    with tarfile.open(SHARED / "sites.tar") as sites:
        sites.extractall(tmp_path / "all", filter="data")
    site = tmp_path / "all" / "LukeSmithxyz__based.cooking"
    shutil.move(site, tmp_path / "cooking")
    found = extracted([tmp_path / "cooking"], tmp_path / "work", workers=1)
    stored = {row["image"] for row in found.images}
    shown = Counter(row["image"] in stored for row in found.occurrences)
    assert found.pages == 77
    assert shown[True] == 88 and shown[False] == 3
    assert all(row["text"] for row in found.occurrences)
