"""Partitions of an earlier run: used only if they are undamaged."""

import json
import random
from pathlib import Path

import pytest

from openalign.curation.engine.local import LocalEngine
from openalign.curation.sources.locations import FileLocation, WarcLocation
from openalign.curation.sources.occurrences import (
    PartitionSummary,
    PartitionWriter,
    finished_partition,
    join_partitions,
)
from tests.curation.extracted import extracted
from tests.curation.sources.test_extract import SITE, shown, write_warc

FILES = ("000003.tags.parquet", "000003.stored.parquet", "000003.json")


def write_partition(folder: Path) -> PartitionSummary:
    with PartitionWriter(folder, 3) as partition:
        partition.pages = 2
        for number in range(100):
            partition.add_tag([f"http://a.org/{number}.jpg"], f"text {number}", "http://a.org/")
            partition.add_stored(f"http://a.org/{number}.jpg", WarcLocation(Path("/a.warc"), number))
        partition.problems.append("a problem")
    return partition.summary()


def test_a_whole_partition_is_used(tmp_path: Path) -> None:
    written = write_partition(tmp_path)
    assert finished_partition(tmp_path, 3) == written
    assert finished_partition(tmp_path, 4) is None


@pytest.mark.parametrize("name", FILES)
def test_a_partition_with_a_changed_cut_or_missing_file_is_none(tmp_path: Path, name: str) -> None:
    written = write_partition(tmp_path)
    file, draw = tmp_path / name, random.Random(1)
    whole = file.read_bytes()
    for position in [0, len(whole) - 1, *draw.sample(range(len(whole)), 40)]:
        changed = bytearray(whole)
        changed[position] ^= 1 << draw.randrange(8)
        file.write_bytes(changed)
        assert finished_partition(tmp_path, 3) is None, position
    for size in (0, 1, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:size])
        assert finished_partition(tmp_path, 3) is None, size
    file.unlink()
    assert finished_partition(tmp_path, 3) is None
    file.write_bytes(whole)
    assert finished_partition(tmp_path, 3) == written


@pytest.mark.parametrize(
    "content", ["[]", "null", "{}", '{"sha256": 1}', '{"summary": 1, "files": 2, "sha256": ""}', "[" * 100_000]
)
def test_a_summary_of_another_shape_is_none(tmp_path: Path, content: str) -> None:
    write_partition(tmp_path)
    (tmp_path / FILES[2]).write_text(content)
    assert finished_partition(tmp_path, 3) is None


@pytest.mark.parametrize("damage", ["000000.tags.parquet", "000000.json"])
def test_a_damaged_partition_is_read_again_and_the_others_are_not(tmp_path: Path, damage: str) -> None:
    page = b'<img src="s.jpg" alt="An apple">'
    files = [write_warc(tmp_path / f"{number}.warc.gz", {f"{number}": page}) for number in range(2)]
    extracted(files, tmp_path / "work")
    (tmp_path / "work" / "relations.duckdb").unlink()
    folder = tmp_path / "work" / "steps" / "sources"
    kept = json.loads((folder / "000001.json").read_bytes())
    changed = bytearray((folder / damage).read_bytes())
    changed[len(changed) // 2] ^= 1
    (folder / damage).write_bytes(changed)
    before = (folder / "000001.json").stat().st_ino
    found = extracted(files, tmp_path / "work")
    assert shown(found) == [(SITE + "s.jpg", "An apple")] * 2
    assert (folder / "000001.json").stat().st_ino == before and json.loads(
        (folder / "000001.json").read_bytes()
    ) == kept
    assert finished_partition(folder, 0) is not None


def test_what_no_table_can_hold_is_a_problem_of_its_row(tmp_path: Path) -> None:
    half = "\ud83d"
    with PartitionWriter(tmp_path, 3) as partition:
        partition.add_tag(["http://a.org/1.jpg"], f"broken {half}", "http://a.org/")
        partition.add_tag(["http://a.org/2.jpg"], "whole", "http://a.org/")
        partition.add_stored("x", FileLocation(Path(f"/{half}.jpg")))
    assert len(partition.problems) == 2 and all("UnicodeEncodeError" in problem for problem in partition.problems)
    assert partition.problems[0].startswith("http://a.org/, image http://a.org/1.jpg: ")
    assert "\\ud83d" in partition.problems[1]
    assert finished_partition(tmp_path, 3) == partition.summary()


def test_joined_partitions_are_in_order_and_prefer_images_that_are_stored(tmp_path: Path) -> None:
    with PartitionWriter(tmp_path, 0) as partition:
        partition.add_tag(["http://a.org/large.jpg", "http://a.org/small.jpg"], "first", "http://b.org/page")
        partition.add_tag(["http://a.org/not-stored.jpg", "http://a.org/nor-this.jpg"], None, None)
        partition.add_tag([], "counted", "http://b.org/page")
    with PartitionWriter(tmp_path, 1) as partition:
        partition.add_stored("http://a.org/small.jpg", WarcLocation(Path("/a.warc"), 1))
        partition.add_stored("http://a.org/unused.jpg", WarcLocation(Path("/a.warc"), 2))
        partition.add_stored("http://a.org/small.jpg", WarcLocation(Path("/a.warc"), 3))
        partition.add_tag(["http://a.org/small.jpg"], "last", "http://b.org/page")
    with LocalEngine(tmp_path / "work", workers=1) as engine:
        occurrences, images = join_partitions(engine, tmp_path, 2)
        rows = occurrences.order_by("occurrence").to_pyarrow().to_pylist()
        stored = images.to_pyarrow().to_pylist()
    assert [(row["image"], row["text"], row["host"]) for row in rows] == [
        ("http://a.org/small.jpg", "first", "b.org"),
        ("http://a.org/not-stored.jpg", None, "a.org"),
        ("http://a.org/small.jpg", "last", "b.org"),
    ]
    assert stored == [{"image": "http://a.org/small.jpg", "location": "warc:///a.warc#1"}]
    summaries = [finished_partition(tmp_path, number) for number in range(2)]
    assert [summary and summary.without_url for summary in summaries] == [1, 0]
