"""WARC and WAT files as sources: the images of their pages, and the images that they store."""

from openalign.curation.html.alt_text import ImageTag
from openalign.curation.html.page import Form, PageSettings, tags_of_page
from openalign.curation.isolation.records import Problem
from openalign.curation.sources.locations import WarcLocation
from openalign.curation.sources.occurrences import PartitionWriter
from openalign.curation.sources.storage import PathOrUrl
from openalign.curation.sources.warc import scan
from openalign.curation.sources.warc_records import Damage, StoredImage, StoredPage
from openalign.curation.sources.wat import ListedPage, tags_of
from openalign.data.left_out import Kind, LeftOut


def read_warc(partition: PartitionWriter, file: PathOrUrl, settings: PageSettings) -> None:
    """Add the pages and images of one file to `partition`."""
    for content in scan(file, settings.page_bytes):
        partition.records += 1
        if isinstance(content, StoredImage):
            partition.add_stored(content.url, WarcLocation(file, content.offset))
        elif isinstance(content, Damage):
            partition.problems.append(LeftOut(Kind.RECORD_NOT_READ, content.problem))
        elif isinstance(content, StoredPage):
            tags = tags_of_page(content.body, content.url, content.charset, Form.HTML, settings)
            _add_page(partition, content.url, tags)
        elif isinstance(content, ListedPage):
            _add_page(partition, content.url, tags_of(content, settings.text_from))


def _add_page(partition: PartitionWriter, url: str, tags: list[ImageTag] | Problem) -> None:
    if isinstance(tags, Problem):
        partition.problems.append(LeftOut(Kind.PAGE_NOT_READ, tags.of(url)))
        return
    partition.pages += 1
    for tag in tags:
        partition.add_tag(tag.urls, tag.text, url)
