"""What a curation writes, and when a folder already holds a run."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from openalign.checksums import write_checksums
from openalign.curation.engine.local import LocalEngine
from openalign.curation.fetch.ledger import Entry, file_of, read_ledger, write_entry
from openalign.curation.images.inspection import INSPECTED
from openalign.curation.outputs import (
    DROPPED,
    KEPT,
    NAMES,
    describe_run,
    describe_sources,
    standing_report,
    write_dropped,
    write_kept,
    write_ledger,
)
from openalign.curation.pipeline import curate
from openalign.curation.recipe import CurateRecipe
from openalign.data.pairs.open import open_pairs
from openalign.errors import OpenAlignError
from tests.curation.crawl import drawing, encoded

RECIPE = CurateRecipe()


def evaluated(count: int) -> tuple[pa.Table, bytes]:
    """`count` pairs in reverse order, every third of them dropped, and the file with the JPEGs of the others."""
    rows, jpegs = [], b""
    for number in range(count):
        jpeg = encoded(drawing(number, 60, 50))
        rows.append(
            {
                "occurrence": number,
                "image": f"{number}.jpg",
                "text": f"text {number}",
                "page": None,
                "host": "h",
                "language": "en",
                "width": 40,
                "height": 30,
                "sha256": f"{number:x}",
                "dropped": number % 3 == 0,
                "reasons": ["word_count"] if number % 3 == 0 else [],
                "stored_in": "a.images",
                "stored_at": len(jpegs),
                "stored_size": len(jpeg),
            }
        )
        jpegs += jpeg
    return pa.Table.from_pylist(rows[::-1]), jpegs


def test_pairs_are_written_in_source_order_with_their_images(tmp_path: Path) -> None:
    table, jpegs = evaluated(10)
    (tmp_path / "stored").mkdir()
    (tmp_path / "stored" / "a.images").write_bytes(jpegs)
    (tmp_path / "out").mkdir()
    with LocalEngine(tmp_path / "work", 1) as engine:
        pairs = engine.from_arrow("pairs", table)
        storage = RECIPE.storage.model_copy(update={"pairs_per_shard": 4})
        write_kept(engine, pairs, tmp_path / "stored", tmp_path / "out", storage)
        write_dropped(engine, pairs, tmp_path / "out" / "dropped.parquet")
    kept = pq.read_table(tmp_path / "out" / "pairs.parquet")
    assert kept.schema == KEPT
    assert kept["image"].to_pylist() == [f"{number}.jpg" for number in (1, 2, 4, 5, 7, 8)]
    assert kept["key"].to_pylist() == [f"{number:09d}" for number in range(6)]
    assert kept["shard"].to_pylist() == ["shard-00000.tar"] * 4 + ["shard-00001.tar"] * 2
    dropped = pq.read_table(tmp_path / "out" / "dropped.parquet")
    assert dropped.schema == DROPPED
    assert dropped["image"].to_pylist() == [f"{number}.jpg" for number in (0, 3, 6, 9)]
    shards = open_pairs(tmp_path / "out" / "shards")
    assert [shards.image_bytes(row) for row in range(6)] == [
        encoded(drawing(number, 60, 50)) for number in (1, 2, 4, 5, 7, 8)
    ]


def entry_of(image: str, status: str) -> Entry:
    if status == "kept":
        return Entry(image, status, None, 3, "0" * 64, file_of(image))
    return Entry(image, status, "HTTP 404")


def test_the_ledger_has_the_images_of_this_run_in_source_order(tmp_path: Path) -> None:
    downloads, out = tmp_path / "downloads", tmp_path / "out"
    downloads.mkdir()
    out.mkdir()
    with (downloads / "ledger.jsonl").open("w") as lines:
        for image, status in (("refused", "refused"), ("kept", "kept"), ("earlier", "kept"), ("at hand", "kept")):
            write_entry(lines, entry_of(image, status))
    rows: list[dict[str, Any]] = [
        {"image": "kept", "location": f"file://{downloads.absolute() / file_of('kept')}"},
        {"image": "refused", "location": None},
        {"image": "at hand", "location": "warc://a.warc.gz#0"},
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=INSPECTED), tmp_path / "inspected.parquet")
    write_ledger(downloads, [tmp_path / "inspected.parquet"], out)
    assert [*read_ledger(out / "ledger.jsonl")] == ["kept", "refused"]


def test_without_fetched_images_there_is_no_ledger(tmp_path: Path) -> None:
    write_ledger(tmp_path / "downloads", [], tmp_path)
    assert not (tmp_path / "ledger.jsonl").exists()


def test_a_run_is_another_one_when_a_source_or_a_setting_changes(tmp_path: Path) -> None:
    source = tmp_path / "list.csv"
    source.write_text("image,text\n")
    first = describe_run([source], [], None, RECIPE)["fingerprint"]
    assert describe_run([source], [], None, RECIPE)["fingerprint"] == first
    assert describe_run([source], [], None, CurateRecipe.of(min_words=1))["fingerprint"] != first
    assert describe_run([source], [source], None, RECIPE)["fingerprint"] != first
    source.write_text("image,text\na.jpg,a\n")
    assert describe_run([source], [], None, RECIPE)["fingerprint"] != first


def change(image: Path) -> None:
    image.write_bytes(encoded(drawing(9, 80, 50)))


def move_in(image: Path) -> None:
    image.with_name("new.jpg").write_bytes(encoded(drawing(9, 80, 50)))


def touch(image: Path) -> None:
    os.utime(image, (1, 1))


@pytest.mark.parametrize("done", [change, Path.unlink, move_in, touch])
@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_run_is_another_one_when_an_image_that_a_table_names_changes(
    tmp_path: Path, done: Callable[[Path], None], suffix: str
) -> None:
    (tmp_path / "images").mkdir()
    image = tmp_path / "images" / "a.jpg"
    image.write_bytes(encoded(drawing(1, 60, 50)))
    names = ["images/a.jpg", f"file://{image}", "images/new.jpg", "https://example.org/b.jpg", None]
    rows = pa.table({"image": names, "text": ["a"] * len(names)})
    table = tmp_path / "lists" / f"pairs{suffix}"
    table.parent.mkdir()
    (table.parent / "images").symlink_to(tmp_path / "images")
    if suffix == ".parquet":
        pq.write_table(rows, table)
    elif suffix == ".csv":
        pyarrow.csv.write_csv(rows, table)
    else:
        table.write_text("".join(json.dumps(row) + "\n" for row in rows.to_pylist()))
    asked = [([table], []), ([], [table]), ([table.parent], []), ([str(table.parent / f"*{suffix}")], [])]
    before = [describe_run(sources, tests, None, RECIPE)["fingerprint"] for sources, tests in asked]
    assert [describe_run(sources, tests, None, RECIPE)["fingerprint"] for sources, tests in asked] == before
    done(image)
    after = [describe_run(sources, tests, None, RECIPE)["fingerprint"] for sources, tests in asked]
    assert all(one != other for one, other in zip(before, after, strict=True))


@pytest.mark.slow
def test_a_curation_is_done_again_when_an_image_of_its_table_or_of_a_test_set_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("photos", "test"):
        (tmp_path / folder).mkdir()
        for number in range(3):
            seed = number if folder == "photos" else 100 + number
            (tmp_path / folder / f"{number}.jpg").write_bytes(encoded(drawing(seed)))
        lines = "".join(f"{number}.jpg,a drawing of number {number}\n" for number in range(3))
        (tmp_path / folder / "list.csv").write_text("image,text\n" + lines)
    photos, test = tmp_path / "photos", tmp_path / "test"

    def kept() -> int:
        asked = CurateRecipe.of(download=False)
        report = curate(photos / "list.csv", to=tmp_path / "to", test_set=test / "list.csv", recipe=asked, workers=1)
        return int(report["pairs"]["kept"])

    assert kept() == kept() == 3
    assert "nothing to do" in capsys.readouterr().err
    shutil.copy(photos / "1.jpg", test / "0.jpg")
    assert kept() == 2
    (photos / "2.jpg").unlink()
    assert kept() == 1
    (photos / "2.jpg").write_bytes(encoded(drawing(2)))
    assert kept() == 2


def test_what_is_read_depends_on_sources_and_on_how_they_are_read(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("image,text\n")
    sources = [tmp_path / "*.csv"]
    first = describe_sources(sources, RECIPE)
    assert describe_sources(sources, CurateRecipe.of(min_words=1, jpeg_quality=7)) == first
    assert describe_sources(sources, CurateRecipe.of(text_column="title")) != first
    (tmp_path / "more.csv").write_text("image,text\n")
    assert describe_sources(sources, RECIPE) != first


def finished(folder: Path, fingerprint: str) -> Path:
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_text("content")
    (folder / "report.json").write_text(json.dumps({"run": {"fingerprint": fingerprint}}))
    write_checksums(folder)
    return folder


def test_a_folder_holds_a_run_if_all_its_files_are_as_they_were_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert standing_report(tmp_path / "out", {"fingerprint": "a"}) is None
    out = finished(tmp_path / "out", "a")
    assert standing_report(out, {"fingerprint": "a"}) == {"run": {"fingerprint": "a"}}
    assert standing_report(out, {"fingerprint": "b"}) is None
    (out / "pairs.parquet").write_text("another")
    assert standing_report(out, {"fingerprint": "a"}) is None
    assert "pairs.parquet" in capsys.readouterr().err
    (out / "pairs.parquet").unlink()
    assert standing_report(out, {"fingerprint": "a"}) is None


def test_a_folder_with_other_files_is_refused_as_an_output(tmp_path: Path) -> None:
    out = finished(tmp_path / "out", "a")
    (out / "notes.txt").touch()
    with pytest.raises(OpenAlignError, match=r"holds notes\.txt, which no curation wrote"):
        standing_report(out, {"fingerprint": "a"})
    with pytest.raises(OpenAlignError, match="is a file"):
        standing_report(out / "notes.txt", {"fingerprint": "a"})
