"""One page -> its images and their texts: lazy-load attributes, srcset, base address, entities, blanks."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser, LexborNode

from openalign.curation.html.srcset import largest_first, resolved_candidates
from openalign.curation.html.surroundings import Sources, Surroundings
from openalign.curation.html.urls import resolve
from openalign.curation.html.whitespace import clean_text
from openalign.curation.isolation.records import RecordError
from openalign.data.files.charset import decode_page

# Scripts put the real address here and a placeholder into `src`; the order is how common they are on the web.
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
"""What may describe an image: attributes of the tag, and the caption of the figure around it. The paper takes alt."""
_LEAST_OUTPUT, _OUTPUT_SHARE = 1 << 20, 8
"""Characters that the addresses and texts of a page may come to: so many, or so many times its length."""


@dataclass(frozen=True)
class ImageTag:
    """One <img>: the absolute addresses it may show, the likeliest first, and its text (None: it has none)."""

    addresses: tuple[str, ...]
    text: str | None


def image_tags(page: str, url: str, text_from: Sequence[str] = ("alt",)) -> list[ImageTag]:
    """Return every <img> of an HTML page in document order; `url` is the page's own address.

    The text is the first of `text_from`, some of `TEXT_SOURCES`, that says anything; "" where all that are there are
    empty. A tag without any address that can be fetched (only a data: URL, no `src`) has empty `addresses`.

    Raises RecordError if addresses and texts come to more than 8 times the page (and 1 MB), as when every image repeats
    a base address of 100 kB.
    """
    # Half of a surrogate pair, which JSON tables can hold, is no text that UTF-8 could carry.
    tree = LexborHTMLParser(page.encode("utf-8", errors="replace"))
    node = tree.css_first("base[href]")
    base = (resolve(url, node.attributes.get("href") or "") if node is not None else None) or url
    around = Surroundings(tree, base)
    return within_bounds((_image_tag(image, base, text_from, around) for image in tree.css("img")), len(page), url)


def within_bounds(tags: Iterable[ImageTag], length: int, url: str) -> list[ImageTag]:
    """The tags of a page of `length` characters. Raises RecordError as soon as they come to far more than the page."""
    most = max(_LEAST_OUTPUT, _OUTPUT_SHARE * length)
    listed, output = [], 0
    for tag in tags:
        output += len(url) + len(tag.text or "") + sum(map(len, tag.addresses))
        if output > most:
            raise RecordError(f"the addresses and texts of its images come to more than {most:,} characters")
        listed.append(tag)
    return listed


def pairs_of_page(html: bytes, url: str, charset: str | None) -> list[tuple[str, str | None]]:
    """Return (image address, alt text or None) of each <img> that has an address; `charset` is the HTTP header's."""
    page = decode_page(html, charset)
    return [(tag.addresses[0], tag.text) for tag in image_tags(page or "", url) if tag.addresses]


def _image_tag(node: LexborNode, base: str, text_from: Sequence[str], around: Surroundings) -> ImageTag:
    attributes = node.attributes
    addresses = dict.fromkeys(filter(None, _addresses(attributes, base, around.sources(node) or Sources())))
    found = [text for source in text_from if (text := _text(node, attributes, source, around)) is not None]
    return ImageTag(tuple(addresses), next(filter(None, found), "" if found else None))


def _text(node: LexborNode, attributes: dict[str, str | None], source: str, around: Surroundings) -> str | None:
    if source == "figcaption":
        return around.caption(node)
    return clean_text(attributes[source] or "") if source in attributes else None


def _addresses(attributes: dict[str, str | None], base: str, sources: Sources) -> Iterator[str | None]:
    """Yield what an image may be: what scripts would load, then the largest that browsers may, then `src`."""
    for name in LAZY_SRCSET:
        yield from largest_first(resolved_candidates(attributes.get(name) or "", base))
    for name in LAZY_SRC:
        yield resolve(base, attributes.get(name) or "")
    yield from largest_first(resolved_candidates(attributes.get("srcset") or "", base) + sources.always)
    yield resolve(base, attributes.get("src") or "")
    yield from sources.on_some_screens
