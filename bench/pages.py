"""Pages a second from a WARC file to pairs of image URL and alt text, on one core, beside two common ways.

    python bench/pages.py CRAWL.warc.gz... --peer-python PYTHON    one that has warcio, bs4, lxml, fastwarc, resiliparse

Each way reads every successful HTML response and lists (URL of the image, alt text) of its img tags. Pages lie in
files of their own, copied out of the crawl first, so that nobody is measured on images. Ours takes the URL
also in lazy-load attributes, `srcset` and `picture`, resolves as browsers do, and finds out the charset; the others
take `src` and `urljoin`, as such scripts do. Passes alternate, CPU seconds are counted, medians shown.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from measure import show, write
from warcio.archiveiterator import ArchiveIterator
from warcio.recordloader import ArcWarcRecord
from warcio.warcwriter import WARCWriter

from openalign.curation.html.alt_text import image_tags
from openalign.curation.sources.warc import scan
from openalign.curation.sources.warc_records import StoredPage
from openalign.data.files.charset import decode_page

PEER = Path(__file__).parent / "peers" / "pages.py"
PASSES = 5
PEERS = {
    "bs4": "warcio + BeautifulSoup(lxml)",
    "resiliparse": "fastwarc + resiliparse, as cc2dataset reads pages",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("crawls", nargs="+", type=Path)
    parser.add_argument("--peer-python", required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pages = Path(folder) / "pages.warc.gz"
        count = write_pages(options.crawls, pages)
        found: dict[str, list[dict[str, float]]] = {"openalign": []} | {name: [] for name in PEERS.values()}
        for _ in range(PASSES):
            found["openalign"].append(ours(pages))
            for way, name in PEERS.items():
                command = [options.peer_python, str(PEER), way, str(pages)]
                found[name].append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
    rows = []
    for name, passes in found.items():
        seconds = statistics.median(each["seconds"] for each in passes)
        rows.append(
            {
                "way": name,
                "pages": int(passes[0]["pages"]),
                "img tags with an address": int(passes[0]["pairs"]),
                "with a text": int(passes[0]["texts"]),
                "CPU s": round(seconds, 3),
                "pages/s": round(passes[0]["pages"] / seconds),
            }
        )
    show(f"{count:,} pages, {PASSES} passes", rows)
    print(f"Wrote {write('pages', rows)}")


def write_pages(crawls: list[Path], to: Path) -> int:
    """Copy the records of pages into one WARC file; returns their number."""
    count = 0
    with to.open("wb") as out:
        writer = WARCWriter(out, gzip=True)
        for crawl in crawls:
            with crawl.open("rb") as stream:
                for record in ArchiveIterator(stream):
                    if _is_page(record):
                        writer.write_record(record)
                        count += 1
    return count


def _is_page(record: ArcWarcRecord) -> bool:
    headers = record.http_headers
    succeeded = record.rec_type == "response" and headers and headers.get_statuscode() == "200"
    return bool(succeeded and "html" in (headers.get_header("Content-Type") or ""))


def ours(pages: Path) -> dict[str, float]:
    """One pass."""
    began, number, pairs, texts = time.process_time(), 0, 0, 0
    for finding in scan(pages):
        if isinstance(finding, StoredPage):
            number += 1
            for tag in image_tags(decode_page(finding.body, finding.charset) or "", finding.url):
                pairs += bool(tag.urls)
                texts += bool(tag.urls and tag.text)
    return {"pages": number, "pairs": pairs, "texts": texts, "seconds": time.process_time() - began}


if __name__ == "__main__":
    main()
