"""The cache beside an output: a run with it writes the files of a run without, and computes only what changed."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from openalign.curation.cache import cache_of, open_cache, parse_limit, trim_cache
from openalign.curation.fetch.ledger import read_ledger
from openalign.curation.fetch.settings import FetchSettings
from openalign.curation.images import single_image
from openalign.curation.pipeline import curate
from openalign.curation.recipe import CurateRecipe
from openalign.curation.sources import listings
from openalign.errors import OpenAlignError, UsageError
from tests.curation.crawl import drawing, encoded
from tests.curation.site import Server

pytestmark = pytest.mark.slow

OFFLINE = CurateRecipe.of(download=False)
TEXTS = ("one", "two words", "three short words", "a text of several words", None)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 images of different sizes with texts of different lengths; for copies only."""
    folder = tmp_path_factory.mktemp("pictures")
    lines = ["image,text"]
    for number in range(100):
        side = 60 + 3 * number
        (folder / f"{number}.jpg").write_bytes(encoded(drawing(number, side, side + 20)))
        text = TEXTS[number % 5]
        lines.append(f"{number}.jpg,{f'{text} {number}' if text else ''}")
    (folder / "list.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture
def table(pictures: Path, tmp_path: Path) -> Path:
    return shutil.copytree(pictures, tmp_path / "in") / "list.csv"


@pytest.fixture
def few(table: Path) -> Path:
    """The table, of the ten largest images alone."""
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0], *lines[-10:]]))
    return table


@pytest.fixture
def inspected(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows with every image that is inspected, in this process."""
    inspections: list[int] = []
    real = single_image.inspect_image

    def inspect(*given: Any) -> Any:
        inspections.append(1)
        return real(*given)

    monkeypatch.setattr(single_image, "inspect_image", inspect)
    return inspections


def outputs(folder: Path) -> dict[str, bytes]:
    """The files of a curation, but for those that name the folder."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: data for name, data in files.items() if name not in ("report.json", "report.html", "checksums.json")}


def expect_as_fresh(source: Path, out: Path, recipe: CurateRecipe) -> dict[str, Any]:
    """Curate into `out`, which has a cache, and into a new folder: both must come out the same."""
    report = curate([source], to=out, workers=1, recipe=recipe)
    fresh = out.with_name("fresh")
    assert curate([source], to=fresh, workers=1, recipe=recipe, fresh=True) == report
    assert outputs(out) == outputs(fresh)
    shutil.rmtree(fresh)
    return report


def test_with_other_thresholds_the_output_is_that_of_a_fresh_run(table: Path, tmp_path: Path) -> None:
    kept = [
        expect_as_fresh(table, tmp_path / "out", OFFLINE.replace(**settings))["pairs"]["kept"]
        for settings in (
            {},
            {"min_shorter_side": 100},
            {"min_shorter_side": 300},
            {"min_words": 1},
            {"min_words": 5},
            {"max_aspect_ratio": 1.1},
            {"stored_shorter_side": 80},
            {"jpeg_quality": 30, "stored_shorter_side": 80},
            {"drop_near_duplicates": True, "languages": "en"},
        )
    ]
    assert len(set(kept)) >= 5


def test_another_threshold_reads_and_inspects_nothing_again(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inspected: list[int]
) -> None:
    curate([table], to=tmp_path / "out", workers=1, recipe=OFFLINE)
    assert len(inspected) == 100
    monkeypatch.setattr(listings, "layout_called", None)
    report = curate([table], to=tmp_path / "out", workers=1, recipe=OFFLINE.replace(min_shorter_side=100))
    assert len(inspected) == 100
    assert report["pairs"]["kept"] > 50


def test_what_is_stored_otherwise_is_inspected_again(few: Path, tmp_path: Path, inspected: list[int]) -> None:
    curate([few], to=tmp_path / "out", workers=1, recipe=OFFLINE)
    curate([few], to=tmp_path / "out", workers=1, recipe=OFFLINE.replace(jpeg_quality=50))
    curate([few], to=tmp_path / "out", workers=1, recipe=OFFLINE.replace(pairs_per_shard=7))
    assert len(inspected) == 20


def test_an_image_file_that_changed_is_inspected_again(table: Path, tmp_path: Path) -> None:
    curate([table], to=tmp_path / "out", workers=1, recipe=OFFLINE)
    (table.parent / "99.jpg").write_bytes(encoded(drawing(99, 90, 90)))
    report = expect_as_fresh(table, tmp_path / "out", OFFLINE.replace(min_shorter_side=100))
    assert {rule["name"]: rule.get("broken") for rule in report["rules"]}["shorter_side"] == 15


def test_an_image_file_that_was_missing_is_found_once_it_is_there(table: Path, tmp_path: Path) -> None:
    image = (table.parent / "98.jpg").read_bytes()
    (table.parent / "98.jpg").unlink()
    report = curate([table], to=tmp_path / "out", workers=1, recipe=OFFLINE)
    (table.parent / "98.jpg").write_bytes(image)
    again = expect_as_fresh(table, tmp_path / "out", OFFLINE.replace(jpeg_quality=80))
    assert again["images"]["readable"] == report["images"]["readable"] + 1


def test_an_image_file_that_was_removed_is_unreadable(few: Path, tmp_path: Path) -> None:
    curate([few], to=tmp_path / "out", workers=1, recipe=OFFLINE)
    (few.parent / "98.jpg").unlink()
    report = curate([few], to=tmp_path / "out", workers=1, recipe=OFFLINE.replace(jpeg_quality=80))
    assert report["images"] == {"judged": 10, "readable": 9}


def test_a_source_that_changed_is_read_again(table: Path, tmp_path: Path, inspected: list[int]) -> None:
    curate([table], to=tmp_path / "out", workers=1, recipe=OFFLINE)
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines, "3.jpg,a further text of it"]))
    assert expect_as_fresh(table, tmp_path / "out", OFFLINE)["pairs"]["pairs"] == 101


def test_fresh_computes_all_of_it_again(few: Path, tmp_path: Path, inspected: list[int]) -> None:
    curate([few], to=tmp_path / "out", workers=1, recipe=OFFLINE)
    curate([few], to=tmp_path / "out", workers=1, recipe=OFFLINE, fresh=True)
    assert len(inspected) == 20


def test_a_cache_of_size_0_is_removed(few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    curate([few], to=tmp_path / "out", workers=1, recipe=OFFLINE)
    assert ".out.cache" in capsys.readouterr().err
    assert cache_of(tmp_path / "out").is_dir()
    curate([few], to=tmp_path / "out", workers=1, recipe=OFFLINE.replace(min_words=1), cache_limit="0")
    assert not cache_of(tmp_path / "out").exists()
    assert ".out.cache" not in capsys.readouterr().err


def test_the_least_recently_used_results_go_first(tmp_path: Path) -> None:
    folder = tmp_path / "steps" / "inspection"
    folder.mkdir(parents=True)
    for age, name in enumerate(("new", "middle", "old")):
        for suffix in ("parquet", "images", "json"):
            (folder / f"{name}.{suffix}").write_bytes(bytes(100))
            os.utime(folder / f"{name}.{suffix}", (1e9 - age, 1e9 - age))
    assert trim_cache(tmp_path, 1000) == 900
    assert trim_cache(tmp_path, 700) == 600
    assert {path.stem for path in folder.iterdir()} == {"new", "middle"}
    assert trim_cache(tmp_path, 0) == 0
    assert not tmp_path.exists()


@pytest.mark.parametrize(
    ("text", "limit"), [("20GB", 20 * 10**9), ("1.5 m", 1_500_000), ("0", 0), ("10k", 10_000), ("7", 7)]
)
def test_sizes_of_caches(text: str, limit: int) -> None:
    assert parse_limit(text) == limit


@pytest.mark.parametrize("text", ["", "much", "-1GB", "5 apples"])
def test_what_is_not_a_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--cache-limit"):
        parse_limit(text)


def test_images_that_become_wanted_are_fetched_then_and_others_not_again(server: Server, tmp_path: Path) -> None:
    server.files = {f"{number}.jpg": encoded(drawing(number)) for number in range(3)}
    texts = ("one", "two words", "three short words")
    rows = [f"{server.url}/{number}.jpg,{text}" for number, text in enumerate(texts)]
    (tmp_path / "list.csv").write_text("\n".join(["url,text", *rows]))

    def fetched(least: int) -> list[str]:
        server.asked.clear()
        recipe = CurateRecipe.of(allow_private_hosts=True, min_words=least)
        curate([tmp_path / "list.csv"], to=tmp_path / "out", workers=1, recipe=recipe)
        return sorted(path for path in server.asked if path != "/robots.txt")

    def listed() -> list[str]:
        return sorted(url.rpartition("/")[2] for url in read_ledger(tmp_path / "out" / "ledger.jsonl"))

    assert fetched(3) == ["/2.jpg"]
    assert fetched(1) == ["/0.jpg", "/1.jpg"]
    assert listed() == ["0.jpg", "1.jpg", "2.jpg"]
    assert fetched(2) == []
    assert listed() == ["1.jpg", "2.jpg"]


def test_images_fetched_under_other_limits_are_fetched_again(tmp_path: Path) -> None:
    downloads = cache_of(tmp_path / "out") / "downloads"
    for settings, stays in ((FetchSettings(), False), (FetchSettings(fetch_seconds=5.0), True)):
        with open_cache(tmp_path / "out", settings, fresh=False):
            assert (downloads / "ledger.jsonl").exists() == stays
            (downloads / "ledger.jsonl").touch()
    with open_cache(tmp_path / "out", FetchSettings(download=False, fetch_max_bytes=7), fresh=False):
        assert (downloads / "ledger.jsonl").exists()
    with open_cache(tmp_path / "out", FetchSettings(fetch_max_bytes=7), fresh=False):
        assert not (downloads / "ledger.jsonl").exists()


def test_an_image_that_is_only_measured_is_stored_once_it_is_wanted(table: Path, tmp_path: Path) -> None:
    with Image.open(table.parent / "98.jpg") as image:  # its text has four words and a number
        image.resize((800, 800)).save(table.parent / "98.jpg")
    curate([table], to=tmp_path / "out", workers=1, recipe=OFFLINE.replace(max_words=4))
    expect_as_fresh(table, tmp_path / "out", OFFLINE)


def to_file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("in the way")


def to_folder(path: Path) -> None:
    path.unlink()
    (path / "inside").mkdir(parents=True)


def to_nowhere(path: Path) -> None:
    shutil.rmtree(path)
    path.symlink_to(path.parent / "nowhere")


@pytest.mark.parametrize(
    ("pattern", "done"),
    [
        ("", to_file),
        ("", to_nowhere),
        ("steps", to_file),
        ("steps", to_nowhere),
        ("steps/inspection", to_file),
        ("steps/inspection/*.json", to_folder),
        ("steps/inspection/*.images", to_folder),
        ("steps/*/*.parquet", to_folder),
    ],
)
def test_what_is_in_the_way_of_the_cache_is_named(
    tmp_path: Path, few: Path, pattern: str, done: Callable[[Path], None]
) -> None:
    curate(few, to=tmp_path / "out", recipe=OFFLINE, workers=1)
    before = outputs(tmp_path / "out")
    found = sorted(cache_of(tmp_path / "out").glob(pattern)) if pattern else [cache_of(tmp_path / "out")]
    assert found
    for path in found:
        done(path)
    shutil.rmtree(tmp_path / "out")
    with pytest.raises(OpenAlignError, match=r"out\.cache.* is a (file|folder), where the cache needs a") as caught:
        curate(few, to=tmp_path / "out", recipe=OFFLINE, workers=1)
    assert not (tmp_path / "out").exists()
    named = Path(str(caught.value).partition(" is a ")[0])
    assert named in found
    if not pattern:  # the folder of the cache itself may be another program's
        named.unlink()
    curate(few, to=tmp_path / "out", recipe=OFFLINE, workers=1, fresh=bool(pattern))
    assert outputs(tmp_path / "out") == before


def test_a_cache_that_was_moved_to_another_disk_is_used_where_a_link_leads(tmp_path: Path, few: Path) -> None:
    curate(few, to=tmp_path / "out", recipe=OFFLINE, workers=1)
    cache = cache_of(tmp_path / "out")
    moved = cache.rename(tmp_path / "elsewhere")
    cache.symlink_to(moved)
    curate(few, to=tmp_path / "out", recipe=OFFLINE, workers=1, cache_limit="0")
    curate(few, to=tmp_path / "out", recipe=OFFLINE, workers=1, fresh=True)
    assert cache.is_symlink() and any(moved.iterdir())
