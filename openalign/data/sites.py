"""Whether a folder is a web site or a crawl, which a curation reads page by page, or a data set."""

from collections.abc import Iterable

from openalign.data.shards.find import is_tar
from openalign.data.tables.suffixes import table_suffix

WARC_SUFFIXES = (".warc", ".warc.gz", ".warc.zst", ".wat", ".wat.gz")
HTML_SUFFIXES = (".html", ".htm", ".xhtml")
MARKDOWN_SUFFIXES = (".md", ".markdown", ".mdown")
PAGE_SUFFIXES = HTML_SUFFIXES + MARKDOWN_SUFFIXES
_ABOUT_THE_FOLDER = ("readme", "license", "licence", "changelog", "contributing", "credits", "notice")


def is_site(files: Iterable[str]) -> bool:
    """Whether the files of a folder are pages or crawls, and nothing at its top lists its pairs."""
    files = list(files)
    if any(map(is_list_at_top, files)):
        return False
    pages = [file for file in files if file.lower().endswith(PAGE_SUFFIXES)]
    crawls = any(file.lower().endswith(WARC_SUFFIXES) for file in files)
    return crawls or not all(map(_is_about_the_folder, pages))


def is_list_at_top(file: str) -> bool:
    """Whether a file lists the pairs of a folder: its shards, a table, its Parquet files, a saved dataset."""
    folder, _, name = file.rpartition("/")
    stem = name.partition(".")[0]
    if folder in ("", "shards") and (is_tar(name) or (stem == "pairs" and table_suffix(name) is not None)):
        return True
    if folder in ("", "data") and name.endswith(".parquet") and not name.endswith(".index.parquet"):
        return True
    return not folder and ((stem == "metadata" and table_suffix(name) is not None) or name == "state.json")


def _is_about_the_folder(page: str) -> bool:
    """Whether a page is a README or the like beside a folder of images, not a page of a site."""
    return "/" not in page and page.partition(".")[0].lower() in _ABOUT_THE_FOLDER
