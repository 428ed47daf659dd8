"""WAT records (Common Crawl): the links of a page as JSON, with the attributes of its <img> tags."""

import html
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from openalign.curation.html.alt_text import ImageTag, within_bounds
from openalign.curation.html.urls import normalise, resolve
from openalign.curation.html.whitespace import clean_text
from openalign.curation.isolation.records import one_record
from openalign.curation.sources.payload import Unreadable
from openalign.data.files.damage import reason_of

_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")


@dataclass(frozen=True)
class ListedPage:
    """An HTML page of which only the links are known."""

    url: str
    base: str
    """The base of its relative URLs."""
    images: tuple[dict[str, str], ...]
    """The attributes `url`, `alt`, `title` of each <img>, as far as it has them, in document order."""
    length: int = 0
    """Size of its record in bytes."""


def read_listed_page(body: bytes) -> ListedPage | None:
    """The page that a WAT record's JSON describes; None if it describes something else (a request, an image).

    Raises Unreadable if it is not JSON.
    """
    try:
        record = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"its JSON is damaged: {reason_of(error)}") from error
    envelope = _inside(record, "Envelope")
    response = _inside(envelope, "Payload-Metadata", "HTTP-Response-Metadata")
    page = _inside(response, "HTML-Metadata")
    url = normalise(_text(_inside(envelope, "WARC-Header-Metadata").get("WARC-Target-URI")))
    status = _text(_inside(response, "Response-Message").get("Status")) or "200"
    if not page or url is None or not status.startswith("2"):
        return None
    declared = _decoded(_text(_inside(page, "Head").get("Base")))
    base = (resolve(url, declared) if declared else None) or url
    return ListedPage(url, base, tuple(_images(page.get("Links"))), len(body))


@one_record
def tags_of(page: ListedPage, text_from: Sequence[str] = ("alt",)) -> list[ImageTag]:
    """The <img> tags of the page, like `alt_text.image_tags`; a WAT record only holds the attributes alt and title."""
    return within_bounds((_tag(image, page.base, text_from) for image in page.images), page.length, page.url)


def _tag(image: dict[str, str], base: str, text_from: Sequence[str]) -> ImageTag:
    url = resolve(base, image["url"])
    found = [clean_text(image[source]) for source in text_from if source in image]
    return ImageTag((url,) if url else (), next(filter(None, found), "" if found else None))


def _images(links: Any) -> Iterator[dict[str, str]]:
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("path") == "IMG@/src":
            attributes = {name: _decoded(_text(link[name])) for name in ("url", "alt", "title") if name in link}
            yield {"url": "", **attributes}


def _decoded(text: str) -> str:
    """Decode HTML entities, which crawls before mid-2019 left as they were in the page.

    Only those that end in a semicolon: a newer crawl may have a URL with `?a=1&copy=2`.
    """
    return _ENTITY.sub(lambda found: html.unescape(found[0]), text)


def _inside(value: Any, *names: str) -> dict[str, Any]:
    """The nested object under these names; empty if there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
