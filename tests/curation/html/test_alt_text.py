"""The URLs and the text of an <img>."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openalign.curation.html.alt_text import ImageTag, image_tags
from openalign.curation.html.page import Form, read_tags
from openalign.curation.html.whitespace import clean_text

PAGE = "https://example.org/a/page.html"


def urls(html: str) -> list[tuple[str, ...]]:
    return [tag.urls for tag in image_tags(html, PAGE)]


def texts(html: str) -> list[str | None]:
    return [tag.text for tag in image_tags(html, PAGE)]


def test_text_is_decoded_and_its_blanks_are_one_space() -> None:
    html = '<img src=a alt=" Caf&eacute;&nbsp;&amp;\n\t bar &#8211; \u200a cafe&#x301; ">'
    assert texts(html) == ["Café & bar – café"]


def test_missing_alt_is_none_and_empty_alt_is_empty() -> None:
    assert texts('<img src=a><img src=b alt=""><img src=c alt><img src=d alt="  ">') == [None, "", "", ""]


def test_other_descriptions_stand_in_where_they_are_asked_for() -> None:
    html = """<figure><a><img src=a alt="" title=" A  title "></a>
        <figcaption>The <b>cap</b>tion<br>of <i>it</i>.</figcaption></figure>
        <img src=b aria-label="A label" alt="An alt"><img src=c title=""><img src=d>"""

    def found(*text_from: str) -> list[str | None]:
        return [tag.text for tag in image_tags(html, PAGE, text_from)]

    assert found("alt") == ["", "An alt", None, None]
    assert found("alt", "title", "figcaption") == ["A title", "An alt", "", None]
    assert found("figcaption", "title") == ["The caption of it.", None, "", None]
    assert found("aria-label", "alt") == ["", "A label", None, None]


@pytest.mark.slow
@given(st.text(max_size=50))
def test_cleaning_gives_nfc_without_double_blanks(text: str) -> None:
    cleaned = clean_text(text)
    assert unicodedata.is_normalized("NFC", cleaned)
    assert cleaned.split() == cleaned.split(" ") or cleaned == ""
    assert clean_text(cleaned) == cleaned


@given(st.text(max_size=200))
def test_no_page_makes_the_parser_raise(html: str) -> None:
    image_tags(html + '<img src="x" alt="' + html, PAGE)


LAZY = ("data-src", "data-original", "data-lazy-src")


@pytest.mark.parametrize("lazy", LAZY)
@pytest.mark.parametrize("src", ["", 'src=""', 'src="data:image/gif;base64,R0lGOD"', 'src="spacer.gif"'])
def test_lazy_attribute_is_preferred(lazy: str, src: str) -> None:
    [found] = urls(f'<img {src} {lazy}="real.jpg">')
    assert found[0] == "https://example.org/a/real.jpg"


def test_largest_of_srcset_comes_before_src() -> None:
    [found] = urls('<img src="s.jpg" srcset="m.jpg 400w, l.jpg 900w" data-srcset="xl.jpg 2000w">')
    assert [url.rpartition("/")[2] for url in found] == ["xl.jpg", "l.jpg", "m.jpg", "s.jpg"]


def test_picture_sources_count_and_those_for_certain_screens_come_last() -> None:
    html = """<picture><source media="(max-width: 500px)" srcset="crop.jpg"><source type="image/webp"
        srcset="big.webp 1600w, small.webp 400w"><img src="plain.jpg" alt="x"></picture>"""
    [found] = urls(html)
    names = [url.rpartition("/")[2] for url in found]
    assert names == ["big.webp", "small.webp", "plain.jpg", "crop.jpg"]


def test_base_url_is_obeyed() -> None:
    assert urls('<base href="/img/"><img src="a.jpg">') == [("https://example.org/img/a.jpg",)]
    assert urls('<base href="https://cdn.org/x"><img src="a.jpg">') == [("https://cdn.org/a.jpg",)]


def test_tags_that_name_nothing_have_no_url() -> None:
    assert urls('<img alt=x><img src="data:image/png;base64,AA"><img src="  ">') == [(), (), ()]


def test_charset_of_the_header_reaches_the_text() -> None:
    html = '<img src=a.jpg alt="Яблоко">'.encode("windows-1251")
    assert read_tags(html, PAGE, "windows-1251", Form.HTML, ("alt",)) == [
        ImageTag(("https://example.org/a/a.jpg",), "Яблоко")
    ]


def test_front_matter_and_template_tags_do_not_hide_images() -> None:
    html = '---\ntitle: x\n---\n{% include head.html %}<img src="a.jpg" alt="{{ page.title }} apple">'
    assert read_tags(html.encode(), PAGE, None, Form.HTML, ("alt",)) == [
        ImageTag(("https://example.org/a/a.jpg",), "{{ page.title }} apple")
    ]
