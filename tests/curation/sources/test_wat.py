"""WAT files: what Common Crawl keeps of a page's images."""

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from warcio.warcwriter import WARCWriter

from openalign.curation.html.alt_text import ImageTag, image_tags
from openalign.curation.isolation.records import Problem
from openalign.curation.sources.payload import Unreadable
from openalign.curation.sources.warc import scan
from openalign.curation.sources.warc_records import Damage, OtherRecord
from openalign.curation.sources.wat import ListedPage, read_listed_page, tags_of
from tests.curation.extracted import extracted

PAGE = "https://example.org/a/page.html"


def body(links: Any, base: str | None = None, status: str = "200", url: str = PAGE) -> bytes:
    """A WAT record's JSON, in the shape that Common Crawl writes."""
    head = {"Title": "x"} | ({"Base": base} if base else {})
    page = {"Head": head, "Links": links}
    response = {"Response-Message": {"Status": status}, "HTML-Metadata": page}
    envelope = {
        "WARC-Header-Metadata": {"WARC-Type": "response", "WARC-Target-URI": url},
        "Payload-Metadata": {"Actual-Content-Type": "application/http", "HTTP-Response-Metadata": response},
    }
    return json.dumps({"Container": {"Filename": "x.warc.gz"}, "Envelope": envelope}).encode()


def write_wat(path: Path, bodies: Iterable[bytes]) -> Path:
    with path.open("wb") as stream:
        writer = WARCWriter(stream, gzip=True)
        for content in bodies:
            payload = io.BytesIO(content)
            record = writer.create_warc_record(PAGE, "metadata", payload=payload, warc_content_type="application/json")
            writer.write_record(record)
    return path


def image(url: str, **attributes: str) -> dict[str, str]:
    return {"path": "IMG@/src", "url": url, **attributes}


def tags(links: Any, base: str | None = None, *text_from: str) -> list[ImageTag]:
    page = read_listed_page(body(links, base))
    assert page is not None
    found = tags_of(page, text_from or ("alt",))
    assert not isinstance(found, Problem)
    return found


def test_a_listed_image_is_what_its_tag_would_be() -> None:
    more = {"path": "A@/href", "url": "x.html", "text": "more"}
    links = [more, image("b.jpg", alt=" A  red\napple "), image("/c.png")]
    html = '<a href="x.html">more</a><img src="b.jpg" alt=" A  red\napple "><img src="/c.png">'
    assert tags(links) == image_tags(html, PAGE)


def test_entities_of_older_crawls_are_decoded_and_urls_of_newer_ones_kept() -> None:
    older, newer = image("a?b=1&amp;c=2", alt="Caf&eacute; &quot;X&quot; &#8211;"), image("a?b=1&copy=2", alt="R&D")
    [old, new] = tags([older, newer])
    assert old == ImageTag(("https://example.org/a/a?b=1&c=2",), 'Café "X" –')
    assert new == ImageTag(("https://example.org/a/a?b=1&copy=2",), "R&D")


def test_the_base_url_is_obeyed_and_titles_are_used_on_request() -> None:
    [tag] = tags([image("b.jpg", title="A title", alt="")], "/img/", "alt", "title")
    assert tag == ImageTag(("https://example.org/img/b.jpg",), "A title")
    assert [tag.urls for tag in tags([image("data:image/png;base64,AA"), {"path": "IMG@/src"}])] == [(), ()]


@pytest.mark.parametrize("broken", [b"", b"{", b"[" * 5000, b"\xff\xfe", b'{"Envelope": '])
def test_what_is_no_json_is_said_to_be_damaged(broken: bytes) -> None:
    with pytest.raises(Unreadable):
        read_listed_page(broken)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["url", "alt", "path"]), inner),
    max_leaves=12,
)


@given(json_values)
def test_no_shape_of_the_json_makes_it_raise(value: Any) -> None:
    for record in (json.dumps(value).encode(), json.dumps({"Envelope": value}).encode(), body(value), body([value])):
        page = read_listed_page(record)
        if page is not None:
            tags_of(page, ("alt", "title", "figcaption"))


def test_a_wat_file_is_a_source(tmp_path: Path) -> None:
    path = tmp_path / "CC-MAIN-1.warc.wat.gz"
    records = (
        body([image("b.jpg", alt="A red apple")]),
        body([image("c.jpg", alt="Gone")], status="404"),
        json.dumps({"Envelope": {"Payload-Metadata": {"HTTP-Request-Metadata": {}}}}).encode(),
        b"{",
        body([image("b.jpg", alt="An apple")], url="https://example.org/a/other.html"),
    )
    write_wat(path, records)
    kinds = [type(finding) for finding in scan(path)]
    assert kinds == [ListedPage, OtherRecord, OtherRecord, Damage, ListedPage]

    found = extracted([path], tmp_path / "work", workers=1)
    assert found.pages == 2
    assert [problem for problem in found.problems if "its JSON is damaged" in problem]
    rows = found.occurrences
    assert [(row["image"], row["text"], row["page"]) for row in rows] == [
        ("https://example.org/a/b.jpg", "A red apple", PAGE),
        ("https://example.org/a/b.jpg", "An apple", "https://example.org/a/other.html"),
    ]


def test_a_record_above_the_size_limit_is_named_and_the_next_is_read(tmp_path: Path) -> None:
    large, small = (body([image("b.jpg", alt="x" * length)]) for length in (5000, 5))
    path = write_wat(tmp_path / "a.wat.gz", [large, small])
    damage, page = scan(path, page_bytes=len(large) - 1)
    assert (
        isinstance(damage, Damage)
        and damage.problem.endswith("MB (page_bytes).")
        and "record at byte 0" in damage.problem
    )
    assert isinstance(page, ListedPage)
    assert [type(finding) for finding in scan(path, page_bytes=len(large))] == [ListedPage, ListedPage]
