"""Folders of HTML and Markdown pages with their images, as site generators keep them, on disk or at a URL."""

import posixpath
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote, unquote

from openalign.curation.html.page import Form, PageSettings, tags_of_page
from openalign.curation.isolation.records import Problem, RecordError, one_record
from openalign.curation.sources.locations import location_of
from openalign.curation.sources.occurrences import PartitionWriter
from openalign.curation.sources.storage import PathOrUrl, child, opened
from openalign.data.files.walk import files_below
from openalign.data.left_out import Kind, LeftOut
from openalign.data.sites import MARKDOWN_SUFFIXES

# Where site generators (Hugo, Jekyll, Next, Vite, MkDocs, Metalsmith) keep files that are served from the root.
ASSET_FOLDERS = ("", "static", "public", "assets", "src", "docs", "content", "source", "site", "www", "src/static")
# `.invalid` is reserved (RFC 2606), so a URL that starts with it was relative to the folder.
_FOLDER_URL = "http://folder.invalid/"


def read_pages(
    partition: PartitionWriter,
    folder: PathOrUrl,
    pages: list[str],
    settings: PageSettings,
) -> None:
    """Add the images of `pages`, which are paths relative to `folder`.

    An image in the folder is named by its path, or by its URL below the `base_url` of `settings` if that is set.
    """
    base = (settings.base_url or _FOLDER_URL).rstrip("/") + "/"
    files = frozenset(files_below(folder))
    for page in pages:
        file = child(folder, page)
        shown = _shown_images(folder, page, base, files, settings)
        if isinstance(shown, Problem):
            partition.problems.append(LeftOut(Kind.PAGE_NOT_READ, shown.of(file)))
            continue
        partition.pages += 1
        for image in shown:
            for name, stored in zip(image.names, image.files, strict=True):
                if stored:
                    partition.add_stored(name, location_of(child(folder, stored)))
            partition.add_tag(image.names, image.text, base + quote(page) if settings.base_url else str(file))


@dataclass(frozen=True)
class _ShownImage:
    """An <img> of a page: the names it may have, the file of the folder for each (None: no file), and its text."""

    names: list[str]
    files: list[str | None]
    text: str | None


@one_record
def _shown_images(
    folder: PathOrUrl, page: str, base: str, files: frozenset[str], settings: PageSettings
) -> list[_ShownImage]:
    """The images of one page of the folder."""
    with opened(child(folder, page)) as stream:
        data = stream.read(settings.page_bytes + 1)
    form = Form.MARKDOWN if page.lower().endswith(MARKDOWN_SUFFIXES) else Form.HTML_FILE
    tags = tags_of_page(data, base + quote(page), None, form, settings)
    if isinstance(tags, Problem):
        raise RecordError(tags.reason)
    shown = []
    for tag in tags:
        found = [_name(image, base, folder, page, files) for image in tag.urls]
        shown.append(_ShownImage([name for name, _ in found], [file for _, file in found], tag.text))
    return shown


def _name(image: str, base: str, folder: PathOrUrl, page: str, files: frozenset[str]) -> tuple[str, str | None]:
    """The name of an image, and its file in the folder (None: it has none)."""
    if not image.startswith(base):
        return image, None
    wanted = unquote(image.removeprefix(base).partition("?")[0])
    found = find_image(files, page, wanted)
    return (str(child(folder, found or wanted)) if base == _FOLDER_URL else image), found


def find_image(files: frozenset[str], page: str, wanted: str) -> str | None:
    """The one of `files` that is served at the path `wanted`; None if there is none. Paths are relative to the folder.

    Tries the path itself; then, as the root of the site may be any folder above `page`, the path below each of those
    and below their usual folders of static files, the nearest first. A path that leads out of the folder has no match.
    """
    if wanted in files:
        return wanted
    parents = [str(parent) for parent in PurePosixPath(page).parents]
    # A generator may serve the page at another path than its folder; relative paths then differ in the same way.
    from_page = wanted.removeprefix(f"{parents[0]}/")
    tries = (
        posixpath.normpath(f"{parent}/{assets}/{path}")
        for path in (wanted, from_page)
        for parent in parents
        for assets in ASSET_FOLDERS
    )
    return next((path for path in tries if path in files), None)
