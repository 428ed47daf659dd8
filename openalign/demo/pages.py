"""Pages of the miniature web: the images of page `number`, their texts, and what is true of each."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from openalign.demo import noise, pictures
from openalign.demo.held_out import heldout
from openalign.demo.pictures import CONTENT_TYPES, OTHER_IMAGES, Picture, format_of, scene_file
from openalign.demo.scenes import Stream, random_of, training_scene
from openalign.demo.sites import SITES, Site, page_html

SCENES_PER_PAGE = 10
REPEATS_PER_PAGE = 2
OTHERS_PER_PAGE = 3
LANGUAGE_SHARES = {"en": 0.85, "de": 0.04, "fr": 0.04, "es": 0.04, "pt": 0.03}
"""Shares of the pages in each language."""

CATALOGUE_ROWS = 1_200
"""Articles of the shop that share one placeholder image, each with its text: more than the paper's limit of 1,000."""


@dataclass(frozen=True)
class Web:
    """The parameters of a miniature web: everything on its pages is a function of these."""

    seed: int
    scenes: int
    test_scenes: int

    @property
    def pages(self) -> int:
        return -(-self.scenes // SCENES_PER_PAGE)


@dataclass(frozen=True)
class Tag:
    """One <img> and the truth about it; `width` and `height` in px, None if no image can be read."""

    image: str
    text: str | None
    noise: str
    caption_ok: bool
    language: str | None
    scene: int | None = None
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True)
class Stored:
    """A file that the crawler fetched together with a page."""

    url: str
    content_type: str
    body: bytes
    status: int = 200


@dataclass
class Page:
    """A crawled page: its URL, its bytes, and in document order its tags and the files fetched for them."""

    site: Site
    url: str
    language: str
    tags: list[Tag] = field(default_factory=list)
    stored: list[Stored] = field(default_factory=list)
    body: bytes = b""


def scene_url(seed: int, number: int) -> str:
    """The URL of scene `number`, on the host of its first page."""
    page = number // SCENES_PER_PAGE
    return f"https://{SITES[page % len(SITES)].host}/media/{page:05}/photo-{number}.{format_of(seed, number)}"


def crawled_page(web: Web, number: int) -> Page:
    """Page `number` of the web with all its files; the page after the last is a shop's catalogue."""
    if number == web.pages:
        return _catalogue_page()
    site = SITES[number % len(SITES)]
    rng = random_of(web.seed, Stream.PAGE, number)
    language = str(rng.choice(list(LANGUAGE_SHARES), p=list(LANGUAGE_SHARES.values())))
    page = Page(site, f"https://{site.host}/{site.style}/2024/page-{number:05}.html", language)
    tags = [
        *_scene_tags(page, web, number, rng),
        *_repeated_tags(page, web, rng),
        *_other_tags(page, web, number, rng),
    ]
    page.tags = [_logo_tag(page, number), *(tags[place] for place in rng.permutation(len(tags)))]
    words = [" ".join(rng.choice(_FILLER, 7)) for _ in range(6)]
    page.body = site.encode(page_html(site, page.url, language, [(tag.image, tag.text) for tag in page.tags], words))
    return page


def _catalogue_page() -> Page:
    """The shop's list of articles, all with the same picture "photo coming soon"."""
    site = SITES[1]
    url = f"https://{site.host}/static/coming-soon.png"
    page = Page(site, f"https://{site.host}/catalogue/all.html", "en")
    page.stored.append(Stored(url, CONTENT_TYPES["png"], pictures.coming_soon()))
    for row in range(CATALOGUE_ROWS):
        page.tags.append(Tag(url, f"article {row:04} photo coming soon", "placeholder", False, "en", None, 400, 300))
    page.body = site.encode(page_html(site, page.url, "en", [(tag.image, tag.text) for tag in page.tags], _FILLER))
    return page


def _scene_tags(page: Page, web: Web, number: int, rng: np.random.Generator) -> Iterator[Tag]:
    for scene_number in range(number * SCENES_PER_PAGE, min(web.scenes, (number + 1) * SCENES_PER_PAGE)):
        scene = training_scene(web.seed, scene_number)
        url = scene_url(web.seed, scene_number)
        page.stored.append(Stored(url, CONTENT_TYPES[url.rpartition(".")[2]], scene_file(scene)))
        yield _scene_tag(web.seed, scene_number, noise.drawn(noise.TEXTS_OF_SCENES, rng), page.language, rng)


def _repeated_tags(page: Page, web: Web, rng: np.random.Generator) -> Iterator[Tag]:
    """Scenes of other pages again; their files were fetched with their first page."""
    for scene_number in rng.integers(web.scenes, size=REPEATS_PER_PAGE).tolist():
        yield _scene_tag(web.seed, scene_number, noise.drawn(noise.TEXTS_OF_REPEATS, rng), page.language, rng)


def _scene_tag(seed: int, number: int, kind: str, language: str, rng: np.random.Generator) -> Tag:
    scene = training_scene(seed, number)
    text = noise.text_of(kind, scene, rng, language)
    ok = kind in noise.DESCRIBING
    caption_language = language if ok or kind == "wrong_caption" else None
    return Tag(scene_url(seed, number), text, kind, ok, caption_language, number, scene.width, scene.height)


def _other_tags(page: Page, web: Web, number: int, rng: np.random.Generator) -> Iterator[Tag]:
    for index in range(OTHERS_PER_PAGE):
        kind = noise.drawn(OTHER_IMAGES, rng)
        picture = _other_picture(kind, web, rng)
        url = f"https://{page.site.host}/assets/{number:05}/{kind.replace('_', '-')[:4]}{index}.{picture.extension}"
        page.stored.append(_stored(url, picture))
        language = "en" if picture.text else None
        yield Tag(url, picture.text, kind, picture.caption_ok, language, None, picture.width, picture.height)


def _other_picture(kind: str, web: Web, rng: np.random.Generator) -> Picture:
    match kind:
        case "icon":
            return pictures.icon(rng)
        case "banner":
            return pictures.banner(rng)
        case "tracking_pixel":
            return pictures.tracking_pixel(rng)
        case "broken":
            return pictures.broken(rng, web.seed)
        case "truncated":
            return pictures.truncated(rng, web.seed)
        case _:
            tests = heldout(web.seed, web.test_scenes)
            return pictures.near_duplicate(rng, tests[int(rng.integers(len(tests)))].scene)


def _logo_tag(page: Page, number: int) -> Tag:
    """The site's logo, on each of its pages; the crawler fetched it with the first one."""
    url = f"https://{page.site.host}/static/logo.png"
    if number < len(SITES):
        page.stored.append(Stored(url, CONTENT_TYPES["png"], pictures.logo(page.site.title)))
    return Tag(url, f"logo of {page.site.title}", "icon", True, "en", None, 160, 40)


def _stored(url: str, picture: Picture) -> Stored:
    content_type = "text/html" if picture.status == 404 else CONTENT_TYPES[picture.extension]
    return Stored(url, content_type, picture.data, picture.status)


_FILLER = (
    "today we found some new drawings", "every week brings another small surprise", "thanks for all your letters",
    "more of them next month", "this one took us a while", "what do you think of it",
)  # fmt: skip
