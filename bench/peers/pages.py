"""Pages to pairs as scripts do it, with nothing of openalign; prints counts and CPU seconds of one pass as JSON.

python bench/peers/pages.py bs4|resiliparse PAGES.warc.gz
"""

import json
import sys
import time
from collections.abc import Iterator
from urllib.parse import urljoin


def with_bs4(path: str) -> Iterator[list[tuple[str, str]]]:
    from bs4 import BeautifulSoup
    from warcio.archiveiterator import ArchiveIterator

    with open(path, "rb") as stream:  # noqa: PTH123 - as such scripts are written
        for record in ArchiveIterator(stream):
            url = record.rec_headers.get_header("WARC-Target-URI")
            soup = BeautifulSoup(record.content_stream().read(), "lxml")
            yield [(urljoin(url, tag["src"]), tag.get("alt", "").strip()) for tag in soup.find_all("img", src=True)]


def with_resiliparse(path: str) -> Iterator[list[tuple[str, str]]]:
    from fastwarc.warc import ArchiveIterator, WarcRecordType
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding
    from resiliparse.parse.html import HTMLTree

    with open(path, "rb") as stream:  # noqa: PTH123
        for record in ArchiveIterator(stream, record_types=WarcRecordType.response, parse_http=True):
            url = record.headers["WARC-Target-URI"]
            body = record.reader.read()
            tree = HTMLTree.parse(bytes_to_str(body, detect_encoding(body)))
            tags = tree.document.query_selector_all("img[src]")
            yield [(urljoin(url, tag.getattr("src")), (tag.getattr("alt") or "").strip()) for tag in tags]


def main() -> None:
    way = {"bs4": with_bs4, "resiliparse": with_resiliparse}[sys.argv[1]]
    next(way(sys.argv[2]))  # imports
    began = time.process_time()
    pages = list(way(sys.argv[2]))
    seconds = time.process_time() - began
    pairs = [pair for page in pages for pair in page if not pair[0].startswith("data:")]
    texts = sum(bool(text) for _, text in pairs)
    print(json.dumps({"pages": len(pages), "pairs": len(pairs), "texts": texts, "seconds": seconds}))


if __name__ == "__main__":
    main()
