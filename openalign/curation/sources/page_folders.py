"""Folders of HTML and Markdown pages with their images, as site generators keep them, on disk or at an address."""

import posixpath
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote, unquote

from openalign.curation.html.page import Form, PageSettings, tags_of_page
from openalign.curation.isolation.records import Problem, RecordError, one_record
from openalign.curation.sources.occurrences import PartWriter
from openalign.curation.sources.storage import Place, location_of, opened, within
from openalign.data.files.walk import files_below

HTML_SUFFIXES = (".html", ".htm", ".xhtml")
MARKDOWN_SUFFIXES = (".md", ".markdown", ".mdown")
PAGE_SUFFIXES = HTML_SUFFIXES + MARKDOWN_SUFFIXES
# Where site generators keep what they serve from the root: Hugo, Jekyll, Next, Vite, MkDocs, Metalsmith and the like.
ASSET_FOLDERS = ("", "static", "public", "assets", "src", "docs", "content", "source", "site", "www", "src/static")
# `.invalid` is reserved (RFC 2606): no page can mean it, so an address that starts so is one of the folder's own.
_NOWHERE = "http://folder.invalid/"


def read_pages(
    part: PartWriter,
    folder: Place,
    pages: list[str],
    settings: PageSettings,
) -> None:
    """Add the images of `pages` (paths relative to `folder`) to `part`.

    An image in the folder is named by its path, or by its URL below the `base_url` of `settings` if there is one.
    """
    base = (settings.base_url or _NOWHERE).rstrip("/") + "/"
    files = frozenset(files_below(folder))
    for page in pages:
        place = within(folder, page)
        shown = _shown_images(folder, page, base, files, settings)
        if isinstance(shown, Problem):
            part.problems.append(shown.of(place))
            continue
        part.pages += 1
        for image in shown:
            for name, file in zip(image.names, image.files, strict=True):
                if file:
                    part.add_stored(name, location_of(within(folder, file)))
            part.add_tag(image.names, image.text, base + quote(page) if settings.base_url else str(place))


@dataclass(frozen=True)
class _ShownImage:
    """An <img> of a page: the names it may have, the file of the folder that each is (None: none), and its text."""

    names: list[str]
    files: list[str | None]
    text: str | None


@one_record
def _shown_images(
    folder: Place, page: str, base: str, files: frozenset[str], settings: PageSettings
) -> list[_ShownImage]:
    """The images of one page of the folder."""
    with opened(within(folder, page)) as stream:
        data = stream.read(settings.page_bytes + 1)
    form = Form.MARKDOWN if page.lower().endswith(MARKDOWN_SUFFIXES) else Form.HTML_FILE
    tags = tags_of_page(data, base + quote(page), None, form, settings)
    if isinstance(tags, Problem):
        raise RecordError(tags.reason)
    shown = []
    for tag in tags:
        found = [_name(image, base, folder, page, files) for image in tag.addresses]
        shown.append(_ShownImage([name for name, _ in found], [file for _, file in found], tag.text))
    return shown


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
