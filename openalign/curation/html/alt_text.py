"""One page -> its images and their texts: lazy-load attributes, srcset, base URL, entities, white space."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser, LexborNode

from openalign.curation.html.srcset import largest_first, resolved_candidates
from openalign.curation.html.surroundings import Sources, Surroundings
from openalign.curation.html.urls import resolve
from openalign.curation.html.whitespace import clean_text
from openalign.curation.isolation.records import RecordError

# Lazy-loading scripts read the real URL from these and leave a placeholder in `src`; the commonest on the web first.
LAZY_SRC = (
    "data-src",
    "data-original",
    "data-lazy-src",
    "data-lazy",
    "data-original-src",
    "data-actualsrc",
    "data-hi-res-src",
)
LAZY_SRCSET = ("data-srcset", "data-lazy-srcset", "data-original-set")
TEXT_SOURCES = ("alt", "title", "aria-label", "figcaption")
"""What may describe an image: attributes of the tag, and the caption of its figure. The paper uses alt."""
_MIN_OUTPUT, _OUTPUT_FACTOR = 1 << 20, 8
"""Limit of the characters of all URLs and texts of a page: this many, or this many times its length if that is more."""


@dataclass(frozen=True)
class ImageTag:
    """One <img>: the absolute URLs it may show, the likeliest first, and its text (None: it has none)."""

    urls: tuple[str, ...]
    text: str | None


def image_tags(page: str, url: str, text_from: Sequence[str] = ("alt",)) -> list[ImageTag]:
    """Return every <img> of the HTML page at `url`, in document order.

    The text is the first of `text_from` (names of `TEXT_SOURCES`) that is not empty; "" if all that exist are empty. A
    tag without a URL that can be fetched (only a data: URL, no `src`) has empty `urls`.

    Raises RecordError if URLs and texts have more than 1 M characters and 8 times those of the page, for example
    because every image repeats a base URL of 100 kB.
    """
    # JSON tables can hold a lone surrogate, which UTF-8 cannot encode.
    tree = LexborHTMLParser(page.encode("utf-8", errors="replace"))
    node = tree.css_first("base[href]")
    base = (resolve(url, node.attributes.get("href") or "") if node is not None else None) or url
    around = Surroundings(tree, base)
    return within_bounds((_image_tag(image, base, text_from, around) for image in tree.css("img")), len(page), url)


def within_bounds(tags: Iterable[ImageTag], length: int, url: str) -> list[ImageTag]:
    """The tags of a page of `length` characters. Raises RecordError once they exceed the limit of `image_tags`."""
    most = max(_MIN_OUTPUT, _OUTPUT_FACTOR * length)
    listed, output = [], 0
    for tag in tags:
        output += len(url) + len(tag.text or "") + sum(map(len, tag.urls))
        if output > most:
            raise RecordError(f"the URLs and texts of its images have more than {most:,} characters")
        listed.append(tag)
    return listed


def _image_tag(node: LexborNode, base: str, text_from: Sequence[str], around: Surroundings) -> ImageTag:
    attributes = node.attributes
    urls = dict.fromkeys(filter(None, _urls(attributes, base, around.sources(node) or Sources())))
    found = [text for source in text_from if (text := _text(node, attributes, source, around)) is not None]
    return ImageTag(tuple(urls), next(filter(None, found), "" if found else None))


def _text(node: LexborNode, attributes: dict[str, str | None], source: str, around: Surroundings) -> str | None:
    if source == "figcaption":
        return around.caption(node)
    return clean_text(attributes[source] or "") if source in attributes else None


def _urls(attributes: dict[str, str | None], base: str, sources: Sources) -> Iterator[str | None]:
    """Yield what an image may show: what scripts load, then what browsers load from `srcset`, then `src`."""
    for name in LAZY_SRCSET:
        yield from largest_first(resolved_candidates(attributes.get(name) or "", base))
    for name in LAZY_SRC:
        yield resolve(base, attributes.get(name) or "")
    yield from largest_first(resolved_candidates(attributes.get("srcset") or "", base) + sources.always)
    yield resolve(base, attributes.get("src") or "")
    yield from sources.on_some_screens
