"""From pages and tables to shards: what is kept, what is dropped and why, and what a second run does."""

import io
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from warcio.archiveiterator import ArchiveIterator

from openalign.curation import pipeline
from openalign.curation.images import gather, single_image
from openalign.curation.pipeline import curate
from openalign.curation.recipe import CurateRecipe
from openalign.curation.sources import listings
from openalign.data.pairs.open import open_pairs
from openalign.errors import OpenAlignError
from tests import preloaded
from tests.curation.crawl import PAGE, drawing, encoded, write_crawl

pytestmark = pytest.mark.slow

OFFLINE = CurateRecipe.of(download=False)


def run(sources: list[Path], to: Path, **how: Any) -> dict[str, Any]:
    return curate(sources, to=to, workers=how.pop("workers", 1), recipe=how.pop("recipe", OFFLINE), **how)


def rows_of(path: Path) -> list[dict[str, Any]]:
    return pq.read_table(path).to_pylist()


def name_of(address: str) -> str:
    return address.rpartition("/")[2]


@pytest.fixture(scope="module")
def crawled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A curated crawl, with one test image; see `crawl.py` for what stands on its page."""
    folder = tmp_path_factory.mktemp("crawled")
    tests = folder / "tests"
    tests.mkdir()
    (tests / "known.jpg").write_bytes(encoded(drawing(99)))
    run([write_crawl(folder / "crawl.warc.gz")], folder / "out", test_set=[tests])
    return folder / "out"


def test_the_folder_holds_what_the_design_names_and_nothing_else(crawled: Path) -> None:
    assert sorted(path.name for path in crawled.iterdir()) == [
        "README.md", "checksums.json", "dropped.parquet", "pairs.parquet", "report.html", "report.json", "shards",
    ]  # fmt: skip
    assert sorted(path.name for path in (crawled / "shards").iterdir()) == [
        "README.md", "shard-00000.index.parquet", "shard-00000.tar",
    ]  # fmt: skip
    hidden = [path for path in crawled.parent.iterdir() if path.name.startswith(".")]
    assert hidden == [crawled.parent / ".out.cache"]


def test_kept_pairs_are_the_good_ones_in_page_order(crawled: Path) -> None:
    kept = rows_of(crawled / "pairs.parquet")
    assert [(row["key"], name_of(row["image"]), row["text"]) for row in kept] == [
        ("000000000", "good.jpg", "a red apple & a pear"),
        ("000000001", "large.png", "a large drawing of shapes"),
    ]
    assert kept[0]["page"] == PAGE
    assert kept[0]["host"] == "shop.example"
    assert (kept[1]["width"], kept[1]["height"]) == (900, 600)
    assert {row["shard"] for row in kept} == {"shard-00000.tar"}


def test_dropped_pairs_name_every_rule_they_break(crawled: Path) -> None:
    dropped = {(name_of(row["image"]), row["text"]): row["reasons"] for row in rows_of(crawled / "dropped.parquet")}
    assert dropped == {
        ("good.jpg", None): ["no_text"],
        ("small.jpg", "apple"): ["word_count", "shorter_side"],
        ("banner.jpg", "a very wide banner"): ["aspect_ratio"],
        ("truncated.jpg", "a picture cut short"): ["unreadable_image"],
        ("missing.jpg", "a picture not there"): ["unreadable_image"],
        ("copy.jpg", "a copy of a test image"): ["near_duplicate_of_test"],
    }


def test_shards_hold_kept_images_shrunk_to_400_and_jpegs_untouched(crawled: Path) -> None:
    pairs = open_pairs(crawled)
    assert pairs.texts() == ["a red apple & a pear", "a large drawing of shapes"]
    assert pairs.image_bytes(0) == encoded(drawing(1))
    with Image.open(io.BytesIO(pairs.image_bytes(1))) as large:
        assert (large.format, large.size) == ("JPEG", (600, 400))


def test_the_numbers_of_the_report_add_up(crawled: Path) -> None:
    report = json.loads((crawled / "report.json").read_text())
    assert report["pairs"] == {
        "occurrences": 9, "pairs": 8, "kept": 2, "dropped": 6, "images": 7, "texts": 7,
    }  # fmt: skip
    ran = [rule for rule in report["rules"] if rule["ran"]]
    optional = ["other_language", "unsafe_image", "watermark", "low_similarity", "near_duplicate"]
    assert [rule["name"] for rule in report["rules"] if not rule["ran"]] == optional
    assert sum(rule["first"] for rule in ran) == 6
    assert ran[-1]["remaining"] == 2
    assert {rule["name"]: rule["broken"] for rule in ran}["unreadable_image"] == 2


def test_a_transparent_png_is_stored_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (300, 300), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    (tmp_path / "list.csv").write_text("image,text\nclear.png,nothing to be seen\n")
    run([tmp_path / "list.csv"], tmp_path / "out")
    with Image.open(io.BytesIO(open_pairs(tmp_path / "out").image_bytes(0))) as stored:
        assert stored.format == "JPEG"
        assert stored.getpixel((150, 150)) == (255, 255, 255)


def table_of(folder: Path, count: int = 3) -> Path:
    folder.mkdir(exist_ok=True)
    lines = ["image,text"]
    for number in range(count):
        (folder / f"{number}.jpg").write_bytes(encoded(drawing(number)))
        lines.append(f"{number}.jpg,drawing number {number}")
    (folder / "list.csv").write_text("\n".join(lines))
    return folder / "list.csv"


def test_a_second_run_does_nothing_and_a_changed_one_replaces_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, out = table_of(tmp_path / "in"), tmp_path / "out"
    first = run([table], out)
    written = (out / "pairs.parquet").stat().st_mtime_ns
    assert run([table], out) == first
    assert (out / "pairs.parquet").stat().st_mtime_ns == written
    assert "nothing to do" in capsys.readouterr().err
    assert run([table], out, recipe=OFFLINE.replace(min_words=4))["pairs"]["kept"] == 0
    assert run([table_of(tmp_path / "in", 4)], out)["pairs"]["kept"] == 4


def test_a_hidden_file_in_a_source_does_not_redo_a_run(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        (tmp_path / "in" / f"{name}.jpg").write_bytes(encoded(drawing(ord(name))))
        (tmp_path / "in" / f"{name}.txt").write_text(f"a drawing called {name}")
    (tmp_path / "in" / ".DS_Store").write_bytes(b"once")
    first = run([tmp_path / "in"], tmp_path / "out")
    written = (tmp_path / "out" / "pairs.parquet").stat().st_mtime_ns
    (tmp_path / "in" / ".DS_Store").write_bytes(b"changed")
    assert run([tmp_path / "in"], tmp_path / "out") == first
    assert (tmp_path / "out" / "pairs.parquet").stat().st_mtime_ns == written
    (tmp_path / "in" / "a.txt").write_text("another text of this drawing")
    run([tmp_path / "in"], tmp_path / "out")
    assert (tmp_path / "out" / "pairs.parquet").stat().st_mtime_ns != written


def test_a_run_that_drops_everything_warns_and_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = run([table_of(tmp_path / "in")], tmp_path / "out", recipe=OFFLINE.replace(min_shorter_side=5000))
    assert report["pairs"]["kept"] == 0
    assert "Pairs that each rule drops: shorter_side 3;" in " ".join(capsys.readouterr().err.split())
    assert "Nothing is left" in (tmp_path / "out" / "report.html").read_text()
    assert rows_of(tmp_path / "out" / "pairs.parquet") == []
    assert [row["reasons"] for row in rows_of(tmp_path / "out" / "dropped.parquet")] == [["shorter_side"]] * 3


@pytest.mark.slow
def test_outputs_do_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    table = table_of(tmp_path / "in", 150)
    run([table], tmp_path / "one")
    run([table], tmp_path / "two", workers=2)
    for name in ("pairs.parquet", "dropped.parquet", "shards/shard-00000.tar"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def files_below(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


KILLED = """
import sys
from pathlib import Path
from openalign.curation import pipeline
from openalign.curation.images import single_image
from openalign.curation.sources import listings
from openalign.curation.pipeline import curate
from openalign.curation.recipe import CurateRecipe
asked = CurateRecipe.of(download=False, pairs_per_shard=40)
curate([Path(sys.argv[1])], to=Path(sys.argv[2]), workers=2, recipe=asked)
"""


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_run_that_was_killed_and_started_again_gives_the_same(tmp_path: Path, seed: int) -> None:
    table = table_of(tmp_path / "in", 150)
    asked = CurateRecipe.of(download=False, pairs_per_shard=40)
    began = time.monotonic()
    run([table], tmp_path / "whole", workers=2, recipe=asked)
    took = time.monotonic() - began
    with preloaded.Popen([sys.executable, "-c", KILLED, table, tmp_path / "out"], start_new_session=True) as running:
        while not list(tmp_path.glob(".out*")):  # past the imports, which take longer than the work
            assert running.poll() is None
            time.sleep(0.01)
        time.sleep(random.Random(seed).random() * took)
        os.killpg(running.pid, signal.SIGKILL)
    run([table], tmp_path / "out", workers=2, recipe=asked)
    files = files_below(tmp_path / "whole")
    assert files_below(tmp_path / "out") == files
    for name in files:
        if name.name not in ("report.json", "report.html"):  # which name the folder's own paths
            assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out.cache", ".whole.cache", "in", "out", "whole"]


def inspected_in(folder: Path) -> Path:
    return folder / ".out.cache" / "steps" / "inspection"


@pytest.mark.slow
def test_an_interrupted_run_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, out = table_of(tmp_path / "in", 150), tmp_path / "out"
    monkeypatch.setattr(gather, "_LEAST_IMAGES", 64)  # three batches
    run([table], tmp_path / "whole")
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(pipeline, "write_kept", interrupt)
        run([table], out)
    assert [path.name for path in (tmp_path / ".out.cache").iterdir()] == ["steps"]
    with monkeypatch.context() as patched:  # nothing may be read or inspected again
        patched.setattr(listings, "layout_called", interrupt)
        patched.setattr(single_image, "inspect_image", interrupt)
        run([table], out)
    assert (out / "shards" / "shard-00000.tar").read_bytes() == (
        tmp_path / "whole" / "shards" / "shard-00000.tar"
    ).read_bytes()


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "a changed byte": lambda whole: whole[:50] + bytes([whole[50] ^ 1]) + whole[51:],
    "cut off": lambda whole: whole[:-2],  # the last byte of some is a mere line feed
    "empty": lambda whole: b"",
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGE)
def test_cached_results_that_are_damaged_are_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    table, out = table_of(tmp_path / "in", 150), tmp_path / "out"
    monkeypatch.setattr(gather, "_LEAST_IMAGES", 64)  # three batches
    run([table], tmp_path / "whole")
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(pipeline, "write_kept", interrupt)
        run([table], out)
    kinds = [sorted(inspected_in(tmp_path).glob(pattern)) for pattern in ("*.parquet", "*.images", "*.json")]
    assert [len(files) for files in kinds] == [3, 3, 3]
    for file in (kind[number] for number, kind in enumerate(kinds)):  # one of each kind, each of another batch
        file.write_bytes(DAMAGE[damage](file.read_bytes()))
    again = count_inspections(monkeypatch)
    run([table], out)
    assert 3 <= len(again) <= 150  # at least an image of each damaged file
    assert (out / "shards" / "shard-00000.tar").read_bytes() == (
        tmp_path / "whole" / "shards" / "shard-00000.tar"
    ).read_bytes()


def test_only_the_damaged_image_is_inspected_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, out = table_of(tmp_path / "in", 150), tmp_path / "out"
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(pipeline, "write_kept", interrupt)
        run([table], out)
    stored = sorted((inspected_in(tmp_path)).glob("*.images"), key=lambda path: path.stat().st_size)
    stored[0].write_bytes(DAMAGE["a changed byte"](stored[0].read_bytes()))
    again = count_inspections(monkeypatch)
    run([table], out)
    assert len(again) == 1


def count_inspections(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows with every image that is inspected from now on, in this process."""
    inspections: list[int] = []
    real = single_image.inspect_image

    def inspect(*given: Any) -> Any:
        inspections.append(1)
        return real(*given)

    monkeypatch.setattr(single_image, "inspect_image", inspect)
    return inspections


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["a changed byte", "cut off"])
def test_outputs_that_are_damaged_are_reported_and_written_again(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table, out = table_of(tmp_path / "in"), tmp_path / "out"
    run([table], out)
    whole = {name: (out / name).read_bytes() for name in files_below(out)}
    capsys.readouterr()
    for name, content in whole.items():
        (out / name).write_bytes(DAMAGE[damage](content))
        run([table], out)
        said = capsys.readouterr().err
        assert "nothing to do" not in said
        assert str(name) in said or name.name == "report.json"  # without a report that can be read it is another run
        assert {each: (out / each).read_bytes() for each in files_below(out)} == whole
    run([table], out)
    assert "nothing to do" in capsys.readouterr().err


def test_an_output_that_is_missing_is_written_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, out = table_of(tmp_path / "in"), tmp_path / "out"
    run([table], out)
    shard = out / "shards" / "shard-00000.tar"
    content = shard.read_bytes()
    shard.unlink()
    run([table], out)
    assert shard.read_bytes() == content
    assert "shard-00000.tar cannot be read" in capsys.readouterr().err


def interrupt(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(OpenAlignError, match=r"holds thesis\.tex, which no curation wrote"):
        run([table_of(tmp_path / "in")], out)
    assert [path.name for path in out.iterdir()] == ["thesis.tex"]


def test_a_source_without_images_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<p>words only</p>")
    with pytest.raises(OpenAlignError, match="image"):
        run([tmp_path / "page.html"], tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.slow
def test_names_of_any_bytes_are_used_or_refused_with_a_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = table_of(tmp_path / "in")
    for name in ("out [red]", "[bold", "a]b[c"):  # which rich would take for its markup
        run([table], tmp_path / name)
        assert f"{name}/report.html".replace(" ", "") in "".join(capsys.readouterr().err.split())
    odd = os.fsdecode(b"o\xff")
    with pytest.raises(OpenAlignError, match=r"o\\udcff.* is not UTF-8: rename"):
        run([table], tmp_path / odd)
    with pytest.raises(OpenAlignError, match=r"o\\udcff.* is not UTF-8: rename"):
        run([tmp_path / odd / "list.csv"], tmp_path / "out")


def test_no_source_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OpenAlignError, match="name at least one source"):
        run([], tmp_path / "out")


def test_rules_are_scored_against_the_truth(tmp_path: Path) -> None:
    table = table_of(tmp_path / "in")
    truth = [
        {"image": str(tmp_path / "in" / "0.jpg"), "text": "drawing number 0", "reasons": []},
        {"image": str(tmp_path / "in" / "1.jpg"), "text": "drawing number 1", "reasons": ["word_count"]},
        {"image": str(tmp_path / "in" / "1.jpg"), "text": "drawing number 1", "reasons": ["shorter_side"]},
        {"image": "elsewhere.jpg", "text": None, "reasons": ["no_text"]},
    ]
    pq.write_table(pa.Table.from_pylist(truth), tmp_path / "truth.parquet")
    asked = OFFLINE.replace(min_shorter_side=1000)
    report = run([table], tmp_path / "out", recipe=asked, truth=tmp_path / "truth.parquet")
    scores = {rule["name"]: (rule.get("precision"), rule.get("recall")) for rule in report["rules"]}
    assert report["truth"] == {"matched": 2, "unknown": 1, "missing": 1}
    assert scores["shorter_side"] == (0.5, 1.0)
    assert scores["word_count"] == (None, 0.0)
    assert scores["no_text"] == (None, None)


def test_a_truth_without_its_columns_is_refused_by_name(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": ["a"], "text": ["b"]}), tmp_path / "truth.parquet")
    with pytest.raises(OpenAlignError, match="no column reasons"):
        run([table_of(tmp_path / "in")], tmp_path / "out", truth=tmp_path / "truth.parquet")
    assert not (tmp_path / "out").exists()


def test_an_unreadable_test_image_is_listed(tmp_path: Path) -> None:
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "broken.jpg").write_bytes(encoded(drawing(0))[:500])
    report = run([table_of(tmp_path / "in")], tmp_path / "out", test_set=[tests])
    assert report["problems"]["count"] == 1
    assert "broken.jpg" in report["problems"]["first"][0]


def test_a_row_that_is_left_out_of_a_test_set_is_listed(tmp_path: Path) -> None:
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "known.jpg").write_bytes(encoded(drawing(99)))
    (tests / "test.csv").write_text("file,text\nknown.jpg,x\nknown.jpg,x,y\n")
    report = run([table_of(tmp_path / "in")], tmp_path / "out", test_set=[tests / "test.csv"])
    assert report["problems"]["count"] == 1
    assert "test.csv row 2 has 3 fields" in report["problems"]["first"][0]


def test_a_cut_of_the_real_crawl_goes_through(tmp_path: Path) -> None:
    crawl = Path(__file__).parents[2].parent / "shared" / "data" / "web"
    files = sorted(crawl.glob("*.warc.gz"))
    if not files:
        pytest.skip(f"the real crawl is not at {crawl}")
    cut = tmp_path / "cut.warc.gz"
    cut.write_bytes(first_records(files[0], 150))
    report = run([cut], tmp_path / "out")
    assert report["pairs"]["kept"] + report["pairs"]["dropped"] == report["pairs"]["pairs"] > 0
    assert len(rows_of(tmp_path / "out" / "pairs.parquet")) == report["pairs"]["kept"]


def first_records(path: Path, count: int) -> bytes:
    """The first `count` records of a gzipped WARC file: each is a member of its own."""
    with path.open("rb") as stream:
        records = ArchiveIterator(stream)
        for _ in range(count):
            next(records)
        end = records.get_record_offset()
    return path.read_bytes()[:end]


@pytest.mark.parametrize("inside", ["curated", "curated/shards", "curated/shards/*.tar"])
def test_a_curated_folder_is_not_replaced_by_what_is_read_from_it(tmp_path: Path, inside: str) -> None:
    run([table_of(tmp_path / "in")], tmp_path / "curated")
    before = (tmp_path / "curated" / "pairs.parquet").read_bytes()
    with pytest.raises(OpenAlignError, match="lie in one another"):
        run([tmp_path / inside], tmp_path / "curated")
    assert (tmp_path / "curated" / "pairs.parquet").read_bytes() == before
    run([tmp_path / inside], tmp_path / "again")


def test_nothing_is_written_into_a_folder_that_is_read(tmp_path: Path) -> None:
    table_of(tmp_path / "in")
    with pytest.raises(OpenAlignError, match="lie in one another"):
        run([tmp_path / "in"], tmp_path / "in" / "out")
    assert not (tmp_path / "in" / "out").exists()


def test_images_with_several_frames_are_counted(tmp_path: Path) -> None:
    frames = [drawing(number) for number in (1, 2, 3)]
    (tmp_path / "in").mkdir()
    frames[0].save(tmp_path / "in" / "moving.gif", save_all=True, append_images=frames[1:])
    (tmp_path / "in" / "moving.txt").write_text("three drawings that move")
    report = run([tmp_path / "in"], tmp_path / "out")
    assert report["problems"]["lost"] == {"further pages or frames of images": 2}
