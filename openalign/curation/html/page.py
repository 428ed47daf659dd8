"""The bytes of one page -> its images and their texts, within limits of size and time.

The parser cannot be interrupted, and some nesting takes it quadratic time. A small page is parsed in this process, as
even the worst takes less than a second; a larger one in the helper process of `time_limit`, which can be killed.
"""

import re
from collections.abc import Sequence
from enum import Enum, auto
from functools import cache
from typing import TYPE_CHECKING

from pydantic import model_validator

from openalign.comma_list import CommaList
from openalign.curation.html.alt_text import TEXT_SOURCES, ImageTag, image_tags
from openalign.curation.html.urls import normalise
from openalign.curation.isolation.records import RecordError, one_record
from openalign.curation.isolation.time_limit import call_with_time_limit
from openalign.data.files.charset import decode_page
from openalign.settings import Settings

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_FRONT_MATTER = re.compile(r"\A\ufeff?(---|\+\+\+)[ \t]*\r?\n.*?^\1[ \t]*\r?$", re.DOTALL | re.MULTILINE)


SMALL = 32 << 10
"""Bytes of a page that is parsed without a helper process. The slowest found take 0.4 s (bench/hostile_pages.py)."""


class Form(Enum):
    """How a page is written."""

    HTML = auto()
    HTML_FILE = auto()
    """HTML that may start with front matter, as site generators use it."""
    MARKDOWN = auto()


class PageSettings(Settings):
    """`[pages]`: how pages are read, and what one page may take."""

    page_bytes: int = 8 << 20
    """Size of one page (HTML, Markdown, or the WAT record of one); a larger one is a problem of the report."""
    page_seconds: float = 2.0
    """CPU seconds that reading one page may take; one that takes longer is a problem of the report."""
    text_from: CommaList = ("alt",)
    """Where an image's text comes from, the first of these that is not empty: alt, title, aria-label, figcaption."""
    base_url: str | None = None
    """What relative URLs in folders of pages are relative to; None: their files."""

    @model_validator(mode="after")
    def _check(self) -> "PageSettings":
        self.expect_at_least_1("page_bytes")
        self.expect_more_than_0("page_seconds")
        if not self.text_from:
            raise ValueError(f"text_from must name at least one of {', '.join(TEXT_SOURCES)}")
        unknown = [source for source in self.text_from if source not in TEXT_SOURCES]
        if unknown:
            raise ValueError(f"text_from: there is no {unknown[0]!r}; there are {', '.join(TEXT_SOURCES)}")
        if self.base_url is not None and (normalise(self.base_url) is None or {"?", "#"} & {*self.base_url}):
            raise ValueError(
                f"base_url must be the http or https URL of a site, such as https://example.org/, not {self.base_url!r}"
            )
        return self


@one_record
def tags_of_page(page: bytes, url: str, charset: str | None, form: Form, settings: PageSettings) -> list[ImageTag]:
    """The images of a page (see `alt_text.image_tags`); `charset` is what the HTTP header says.

    Raises RecordError if the page is too large, takes too long, or is not text.
    """
    if len(page) > settings.page_bytes:
        raise RecordError(too_large(settings.page_bytes))
    if len(page) <= SMALL:
        return read_tags(page, url, charset, form, settings.text_from)
    limit = settings.page_seconds
    return call_with_time_limit(
        read_tags, page, url, charset, form, settings.text_from, seconds=limit, setting="page_seconds"
    )


def too_large(most: int) -> str:
    """The reason for rejecting a page of more than `most` bytes."""
    return f"larger than {most / (1 << 20):.3g} MB (page_bytes)"


def read_tags(page: bytes, url: str, charset: str | None, form: Form, text_from: Sequence[str]) -> list[ImageTag]:
    """`tags_of_page` without limits."""
    html = decode_page(page, charset)
    if html is None:
        raise RecordError("not text in any known encoding")
    if form is not Form.HTML:
        html = _FRONT_MATTER.sub("", html)
    if form is Form.MARKDOWN:
        html = str(_markdown().render(html))
    return image_tags(html, url, text_from)


@cache
def _markdown() -> "MarkdownIt":
    from markdown_it import MarkdownIt  # few sources hold Markdown

    return MarkdownIt("commonmark", {"html": True}).enable("table")
