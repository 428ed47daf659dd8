"""What stands around an image is what a plain search from each image finds, in time that grows with the page alone."""

from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser, LexborNode

from openalign.curation.html.alt_text import image_tags
from openalign.curation.html.srcset import largest_first, resolved_candidates
from openalign.curation.html.surroundings import Surroundings
from openalign.curation.html.whitespace import clean_text

BASE = "http://a.org/"
PIECES = (
    *("<picture>", "</picture>", "<figure>", "</figure>", "<figcaption>", "</figcaption>", "<div>", "</div>", "<img>"),
    *("<img>", "<img>", "one ", "two<br>", "<p>", "<a>", "</a>", "<table><tr><td>", "</table>", "<template>"),
    *("<source srcset='a 1w, b 3w'>", "<source srcset='a 2w'>", "<source srcset='b' media=print>", "<source>"),
    *("<source srcset='data:,' data-srcset='c 2x, d 3x'>", "<source srcset='c, d 2x' media='(max-width: 9px)'>"),
)


def nearest(node: LexborNode, tag: str) -> LexborNode | None:
    around = node.parent
    while around is not None and around.tag != tag:
        around = around.parent
    return around


def plain_caption(image: LexborNode) -> str | None:
    """Searched for again for each image."""
    figure = nearest(image, "figure")
    found = [] if figure is None else [node for node in figure.traverse() if node.tag == "figcaption"]
    if not found:
        return None
    texts = [
        each.text_content or "" if each.is_text_node else " " * (each.tag in ("br", "p", "div", "td"))
        for each in found[0].traverse(include_text=True)
    ]
    return clean_text("".join(texts))


def plain_sources(image: LexborNode) -> tuple[list[str], list[str]] | None:
    """Likewise: the URLs without and with `media`, the largest first."""
    picture = image.parent
    if picture is None or picture.tag != "picture":
        return None
    listed: tuple[list[str], list[str]] = ([], [])
    for source in picture.traverse():
        around = nearest(source, "picture")
        if source.tag == "source" and around is not None and around.mem_id == picture.mem_id:
            attributes = source.attributes
            value = attributes.get("data-srcset") or attributes.get("srcset") or ""
            listed["media" in attributes].append(value)
    always, screens = (largest_first(resolved_candidates(", ".join(filter(None, each)), BASE)) for each in listed)
    return list(dict.fromkeys(always)), list(dict.fromkeys(screens))


@given(st.lists(st.sampled_from(PIECES), max_size=40))
def test_all_images_have_what_a_search_from_each_finds(parts: list[str]) -> None:
    tree = LexborHTMLParser("".join(parts))
    around = Surroundings(tree, BASE)
    for image in tree.css("img"):
        assert around.caption(image) == plain_caption(image)
        expected = plain_sources(image)
        found = around.sources(image)
        if found is None:
            assert expected in (None, ([], []))
        else:
            assert (largest_first(found.always), found.on_some_screens) == expected


def test_a_node_is_climbed_over_once_however_many_images_lie_below_it(monkeypatch) -> None:
    """Counts steps instead of measuring time: twice the page, about twice the steps."""
    from openalign.curation.html import surroundings

    steps = [0]
    climb = surroundings._climb

    def counting(node, goes_on):
        def counted(ancestor):
            steps[0] += 1
            return goes_on(ancestor)

        climb(node, counted)

    monkeypatch.setattr(surroundings, "_climb", counting)
    units = (
        "<figure><img>",
        "<figure><img><figcaption>c</figcaption>",
        "<div><img>",
        "<picture><source srcset=a><img>",
    )
    for unit in units:
        counts = []
        for times in (100, 200):
            steps[0] = 0
            image_tags(unit * times, BASE, ("figcaption",))
            counts.append(steps[0])
        assert counts[1] <= 2.2 * counts[0], (unit, counts)
