"""Folders of HTML and Markdown pages with their images, as site generators keep them, on disk or at an address."""

import posixpath
import re
from collections.abc import Sequence
from functools import cache
from pathlib import PurePosixPath
from urllib.parse import quote, unquote

from markdown_it import MarkdownIt

from openalign.curate.alt_text import image_tags
from openalign.curate.charset import decode_page
from openalign.curate.parts import PartWriter
from openalign.curate.places import Place, files_below, location_of, opened, within

HTML_SUFFIXES = (".html", ".htm", ".xhtml")
MARKDOWN_SUFFIXES = (".md", ".markdown", ".mdown")
PAGE_SUFFIXES = HTML_SUFFIXES + MARKDOWN_SUFFIXES
# Where site generators keep what they serve from the root: Hugo, Jekyll, Next, Vite, MkDocs, Metalsmith and the like.
ASSET_FOLDERS = ("", "static", "public", "assets", "src", "docs", "content", "source", "site", "www", "src/static")
# `.invalid` is reserved (RFC 2606): no page can mean it, so an address that starts so is one of the folder's own.
_NOWHERE = "http://folder.invalid/"
_FRONT_MATTER = re.compile(r"\A\ufeff?(---|\+\+\+)[ \t]*\r?\n.*?^\1[ \t]*\r?$", re.DOTALL | re.MULTILINE)


def read_pages(
    part: PartWriter, folder: Place, pages: list[str], base_url: str | None, text_from: Sequence[str] = ("alt",)
) -> None:
    """Add the images of `pages` (paths relative to `folder`) to `part`.

    An image that lies in the folder is named by its path, or by its address below `base_url` where that is given.
    """
    base = (base_url or _NOWHERE).rstrip("/") + "/"
    files = frozenset(files_below(folder))
    for page in pages:
        place = within(folder, page)
        with opened(place) as stream:
            text = decode_page(stream.read())
        if text is None:
            part.problems.append(f"{place} is not text in any known encoding.")
            continue
        part.pages += 1
        html = _FRONT_MATTER.sub("", text)
        if page.lower().endswith(MARKDOWN_SUFFIXES):
            html = _markdown().render(html)
        address = base + quote(page)
        for tag in image_tags(html, address, text_from):
            names: list[str] = []
            for image in tag.addresses:
                name, found = _name(image, base, folder, page, files)
                names.append(name)
                if found:
                    part.add_stored(name, location_of(within(folder, found)))
            part.add_tag(names, tag.text, address if base_url else str(place))


def _name(image: str, base: str, folder: Place, page: str, files: frozenset[str]) -> tuple[str, str | None]:
    """Return what an image is called, and which file of the folder it is (None: none)."""
    if not image.startswith(base):
        return image, None
    wanted = unquote(image.removeprefix(base).partition("?")[0])
    found = find_image(files, page, wanted)
    return (str(within(folder, found or wanted)) if base == _NOWHERE else image), found


def find_image(files: frozenset[str], page: str, wanted: str) -> str | None:
    """Return which of `files` the path `wanted` of a served site means, None if none; all paths relative to its folder.

    First the path itself; then, as a page may be written for a site whose root is any folder above it, below each of
    those and their usual folders of static files, the nearest first. Addresses come from strangers, but a path that
    leads out of the folder is none of its files.
    """
    if wanted in files:
        return wanted
    parents = [str(parent) for parent in PurePosixPath(page).parents]
    # A generator may serve the page from another place than its folder: what is relative to it moves along.
    from_page = wanted.removeprefix(f"{parents[0]}/")
    tries = (
        posixpath.normpath(f"{parent}/{assets}/{path}")
        for path in (wanted, from_page)
        for parent in parents
        for assets in ASSET_FOLDERS
    )
    return next((path for path in tries if path in files), None)


@cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": True}).enable("table")
