"""The elements around the images of a page: the sources of their <picture>, the caption of their <figure>.

They are collected once per page, in time linear in its size however tags are nested; a search from each image would
visit the same tags again and again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from selectolax.lexbor import LexborHTMLParser, LexborNode

from openalign.curation.html.srcset import Candidate, largest_first, resolved_candidates
from openalign.curation.html.whitespace import clean_text

_BREAKS = ("br", "p", "div", "li", "td", "h1", "h2", "h3", "h4", "h5", "h6")
_MAX_CAPTION_NODES = 1 << 16  # nested captions share their nodes


@dataclass(frozen=True)
class Sources:
    """The candidates of the <source> tags of one <picture>, each URL once."""

    always: list[Candidate] = field(default_factory=list)
    on_some_screens: list[str] = field(default_factory=list)
    """URLs of sources with `media`, the largest first: mostly other crops of the image, for small screens."""


class Surroundings:
    """Finds sources and captions in a page. Nodes are keyed by `mem_id`: the parser wraps them anew each time."""

    def __init__(self, tree: LexborHTMLParser, base: str) -> None:
        self._tree = tree
        self._base = base
        self._figure_of: dict[int, int | None] = {}
        self._text_of: dict[int, str] = {}

    def sources(self, image: LexborNode) -> Sources | None:
        """The sources of the <picture> that is the parent of an image."""
        parent = image.parent
        return self._pictures.get(parent.mem_id) if parent is not None and parent.tag == "picture" else None

    def caption(self, image: LexborNode) -> str | None:
        """The text of the first <figcaption> in the nearest <figure> around an image."""
        figure = _nearest(image, "figure", self._figure_of)
        caption = None if figure is None else self._captions.get(figure)
        if caption is None:
            return None
        if caption.mem_id not in self._text_of:
            self._text_of[caption.mem_id] = clean_text(_shown_text(caption))
        return self._text_of[caption.mem_id]

    @cached_property
    def _pictures(self) -> dict[int, Sources]:
        offered: dict[int, tuple[list[Candidate], list[Candidate]]] = {}
        known: dict[int, int | None] = {}
        for source in self._tree.css("source"):
            picture = _nearest(source, "picture", known)
            if picture is not None:
                attributes = source.attributes
                candidates = offered.setdefault(picture, ([], []))["media" in attributes]
                value = attributes.get("data-srcset") or attributes.get("srcset") or ""
                candidates += resolved_candidates(value, self._base)
        return {
            picture: Sources(_unique(always), largest_first(_unique(on_some_screens)))
            for picture, (always, on_some_screens) in offered.items()
        }

    @cached_property
    def _captions(self) -> dict[int, LexborNode]:
        """The first <figcaption> below each figure."""
        found: dict[int, LexborNode] = {}
        passed: set[int] = set()
        for caption in self._tree.css("figcaption"):

            def note(node: LexborNode, caption: LexborNode = caption) -> bool:
                if node.mem_id in passed:
                    return False  # an earlier caption belongs to all figures from here on
                passed.add(node.mem_id)
                if node.tag == "figure":
                    found[node.mem_id] = caption
                return True

            _climb(caption, note)
        return found


def _unique(candidates: list[Candidate]) -> list[Candidate]:
    """The candidates in order, with only the largest for each URL."""
    largest: dict[str, Candidate] = {}
    for candidate in candidates:
        known = largest.get(candidate[2])
        if known is None or candidate[:2] > known[:2]:
            largest[candidate[2]] = candidate
    return list(largest.values())


def _nearest(node: LexborNode, tag: str, known: dict[int, int | None]) -> int | None:
    """The `mem_id` of the nearest ancestor with this tag; `known` caches it for the nodes between."""
    passed: list[int] = []
    found: int | None = None

    def goes_on(ancestor: LexborNode) -> bool:
        nonlocal found
        if ancestor.tag == tag:
            found = ancestor.mem_id
        elif ancestor.mem_id in known:
            found = known[ancestor.mem_id]
        else:
            passed.append(ancestor.mem_id)
            return True
        return False

    _climb(node, goes_on)
    known |= dict.fromkeys(passed, found)
    return found


def _climb(node: LexborNode, goes_on: Callable[[LexborNode], bool]) -> None:
    ancestor = node.parent
    while ancestor is not None and goes_on(ancestor):
        ancestor = ancestor.parent


def _shown_text(node: LexborNode) -> str:
    """The text of a node, with spaces for line breaks and blocks, but not for inline tags."""
    texts = []
    for number, each in enumerate(node.traverse(include_text=True)):
        if number == _MAX_CAPTION_NODES:
            break
        texts.append((each.text_content or "") if each.is_text_node else " " * (each.tag in _BREAKS))
    return "".join(texts)
