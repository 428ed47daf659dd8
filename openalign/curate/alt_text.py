"""One page -> its images and their texts: lazy-load attributes, srcset, base address, entities, blanks."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser, LexborNode

from openalign.curate.addresses import resolve
from openalign.curate.charset import decode_page
from openalign.curate.srcset import parse_srcset

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
_BREAKS = ("br", "p", "div", "li", "td", "h1", "h2", "h3", "h4", "h5", "h6")


@dataclass(frozen=True)
class ImageTag:
    """One <img>: the absolute addresses it may show, the likeliest first, and its text (None: it has none)."""

    addresses: tuple[str, ...]
    text: str | None


def clean_text(text: str) -> str:
    """Return `text` in Unicode NFC, each run of white space one space, none at the ends."""
    # Blanks go after NFC as well as before words are compared: NFC turns some odd blanks into others, never into words.
    return " ".join(unicodedata.normalize("NFC", text).split())


def image_tags(page: str, url: str, text_from: Sequence[str] = ("alt",)) -> list[ImageTag]:
    """Return every <img> of an HTML page in document order; `url` is the page's own address.

    The text is the first of `text_from`, some of `TEXT_SOURCES`, that says anything; "" where all that are there are
    empty. A tag without any address that can be fetched (only a data: URL, no `src`) has empty `addresses`.
    """
    # Half of a surrogate pair, which JSON tables can hold, is no text that UTF-8 could carry.
    tree = LexborHTMLParser(page.encode("utf-8", errors="replace"))
    base = url
    for node in tree.css("base[href]"):
        base = resolve(url, node.attributes.get("href") or "") or url
        break
    return [_image_tag(node, base, text_from) for node in tree.css("img")]


def pairs_of_page(html: bytes, url: str, charset: str | None) -> list[tuple[str, str | None]]:
    """Return (image address, alt text or None) of each <img> that has an address; `charset` is the HTTP header's."""
    page = decode_page(html, charset)
    return [(tag.addresses[0], tag.text) for tag in image_tags(page or "", url) if tag.addresses]


def _image_tag(node: LexborNode, base: str, text_from: Sequence[str]) -> ImageTag:
    attributes = node.attributes
    addresses = (resolve(base, candidate) for candidate in _candidates(node, attributes))
    found = [text for source in text_from if (text := _text(node, attributes, source)) is not None]
    text = next(filter(None, found), "" if found else None)
    return ImageTag(tuple(dict.fromkeys(address for address in addresses if address)), text)


def _text(node: LexborNode, attributes: dict[str, str | None], source: str) -> str | None:
    if source != "figcaption":
        return clean_text(attributes[source] or "") if source in attributes else None
    around = node.parent
    while around is not None and around.tag != "figure":
        around = around.parent
    caption = around.css_first("figcaption") if around is not None else None
    return clean_text(_shown_text(caption)) if caption is not None else None


def _shown_text(node: LexborNode) -> str:
    """Return the text of a node, parted where a line is broken and not where only the type changes."""
    pieces = (
        each.text_content or "" if each.is_text_node else " " * (each.tag in _BREAKS)
        for each in node.traverse(include_text=True)
    )
    return "".join(pieces)


def _candidates(node: LexborNode, attributes: dict[str, str | None]) -> Iterator[str]:
    """Yield the addresses as written: what scripts would load, then the largest that browsers may, then `src`."""
    for name in LAZY_SRCSET:
        yield from parse_srcset(attributes.get(name) or "")
    for name in LAZY_SRC:
        yield attributes.get(name) or ""
    parent = node.parent
    sources = parent.css("source") if parent is not None and parent.tag == "picture" else []
    always = [_srcset(source) for source in sources if "media" not in source.attributes]
    yield from parse_srcset(", ".join(filter(None, [attributes.get("srcset"), *always])))
    yield attributes.get("src") or ""
    # Sources for certain screens only are mostly other cuts of the image, for small ones.
    yield from parse_srcset(", ".join(_srcset(source) for source in sources if "media" in source.attributes))


def _srcset(source: LexborNode) -> str:
    return source.attributes.get("data-srcset") or source.attributes.get("srcset") or ""
