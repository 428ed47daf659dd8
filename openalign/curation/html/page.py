"""The bytes of one page -> its images and their texts, within a limit of size and one of time.

A parser cannot be interrupted, and takes quadratic time over some nesting. A small page is read here, since even the
worst takes less than a second; a larger one in the helper process of `apart`, which is ended when it takes too long.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache
from typing import TYPE_CHECKING

from openalign.curation.html.alt_text import ImageTag, image_tags
from openalign.curation.isolation.records import RecordError, one_record
from openalign.curation.isolation.time_limit import call_apart
from openalign.data.files.charset import decode_page

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_FRONT_MATTER = re.compile(r"\A\ufeff?(---|\+\+\+)[ \t]*\r?\n.*?^\1[ \t]*\r?$", re.DOTALL | re.MULTILINE)


SMALL = 32 << 10
"""Bytes of a page that is read without a helper process. The slowest found take 0.4 s (bench/hostile_pages.py)."""


class Form(Enum):
    """How a page is written."""

    HTML = auto()
    HTML_FILE = auto()
    """HTML that may have front matter, as site generators keep it."""
    MARKDOWN = auto()


@dataclass(frozen=True)
class PageLimits:
    """What one page may take."""

    bytes: int = 8 << 20
    seconds: float = 2.0
    """Of one processor."""


@one_record
def tags_of_page(
    page: bytes, url: str, charset: str | None, form: Form, text_from: Sequence[str], limits: PageLimits
) -> list[ImageTag]:
    """The images of a page (see `alt_text.image_tags`); `charset` is what the HTTP header says.

    Raises RecordError if the page is too large, takes too long, or is no text.
    """
    if len(page) > limits.bytes:
        raise RecordError(too_large(limits.bytes))
    if len(page) <= SMALL:
        return read_tags(page, url, charset, form, text_from)
    return call_apart(
        read_tags, page, url, charset, form, tuple(text_from), seconds=limits.seconds, setting="page_seconds"
    )


def too_large(most: int) -> str:
    return f"larger than {most / (1 << 20):.3g} MB (page_bytes)"


def read_tags(page: bytes, url: str, charset: str | None, form: Form, text_from: Sequence[str]) -> list[ImageTag]:
    """The same without limits."""
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
    from markdown_it import MarkdownIt  # for the few sources that have any

    return MarkdownIt("commonmark", {"html": True}).enable("table")
