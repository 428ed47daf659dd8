"""Folders of HTML and Markdown pages with their images, as site generators keep them."""

import os
import re
from functools import cache
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote

from markdown_it import MarkdownIt

from openalign.curate.alt_text import image_tags
from openalign.curate.charset import decode_page
from openalign.curate.parts import PartWriter

HTML_SUFFIXES = (".html", ".htm", ".xhtml")
MARKDOWN_SUFFIXES = (".md", ".markdown", ".mdown")
PAGE_SUFFIXES = HTML_SUFFIXES + MARKDOWN_SUFFIXES
# Where site generators keep what they serve from the root: Hugo, Jekyll, Next, Vite, MkDocs, Metalsmith and the like.
ASSET_FOLDERS = ("", "static", "public", "assets", "src", "docs", "content", "source", "site", "www", "src/static")
# `.invalid` is reserved (RFC 2606): no page can mean it, so an address that starts so is one of the folder's own.
_NOWHERE = "http://folder.invalid/"
_FRONT_MATTER = re.compile(r"\A\ufeff?(---|\+\+\+)[ \t]*\r?\n.*?^\1[ \t]*\r?$", re.DOTALL | re.MULTILINE)


def find_pages(folder: Path) -> list[str]:
    """Return the pages below `folder` as sorted relative paths; hidden files and folders are passed over."""
    found: list[str] = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "node_modules"))]
        pages = (name for name in files if name.lower().endswith(PAGE_SUFFIXES) and not name.startswith("."))
        found += [Path(parent, name).relative_to(folder).as_posix() for name in pages]
    return sorted(found)


def read_pages(part: PartWriter, folder: Path, pages: list[str], base_url: str | None) -> None:
    """Add the images of `pages` (paths relative to `folder`) to `part`.

    An image that lies in the folder is named by its path, or by its address below `base_url` where that is given.
    """
    for page in pages:
        text = decode_page((folder / page).read_bytes())
        if text is None:
            part.problems.append(f"{folder / page} is not text in any known encoding.")
            continue
        part.pages += 1
        base = base_url or _NOWHERE
        address = base.rstrip("/") + "/" + quote(page)
        html = _FRONT_MATTER.sub("", text)
        if page.lower().endswith(MARKDOWN_SUFFIXES):
            html = _markdown().render(html)
        for tag in image_tags(html, address):
            names = [_name(part, folder, page, image, base) for image in tag.addresses]
            part.add_tag(names, tag.text, str(folder / page) if base_url is None else address)


def _name(part: PartWriter, folder: Path, page: str, address: str, base: str) -> str:
    """Return what an image of the folder is called, and note it as stored where its file is there."""
    if not address.startswith(base.rstrip("/") + "/"):
        return address
    wanted = unquote(address[len(base.rstrip("/")) + 1 :].partition("?")[0])
    found = find_image(folder, page, wanted)
    name = address if base != _NOWHERE else str(folder / (found or wanted))
    if found:
        part.add_stored(name, f"file://{(folder / found).absolute()}")
    return name


def find_image(folder: Path, page: str, wanted: str) -> str | None:
    """Return the path of the file, relative to `folder`, that the path `wanted` of a served site means; None if none.

    First the path itself; then, as a page may be written for a site whose root is any folder above it, below each of
    those and their usual folders of static files, the nearest first.
    """
    if _is_file(folder, wanted):
        return wanted
    for parent in PurePosixPath(page).parents:
        for assets in ASSET_FOLDERS:
            if _is_file(folder, path := (parent / assets / wanted).as_posix()):
                return path
    return None


@cache
def _is_file(folder: Path, path: str) -> bool:
    """Tell whether `path` is a file inside `folder`; addresses come from strangers, so `..` leads nowhere."""
    return ".." not in PurePosixPath(path).parts and "\0" not in path and (folder / path).is_file()


@cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": True}).enable("table")
