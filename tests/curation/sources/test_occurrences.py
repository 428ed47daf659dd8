"""Parts that an earlier run left: taken only where they are as they were written."""

import json
import random
from pathlib import Path

import pytest

from openalign.curation.sources.locations import FileLocation, WarcLocation
from openalign.curation.sources.occurrences import PartitionSummary, PartitionWriter, finished_partition
from tests.curation.extracted import extracted
from tests.curation.sources.test_extract import SITE, shown, write_warc

FILES = ("000003.tags.parquet", "000003.stored.parquet", "000003.json")


def write_part(folder: Path) -> PartitionSummary:
    with PartitionWriter(folder, 3) as part:
        part.pages = 2
        for number in range(100):
            part.add_tag([f"http://a.org/{number}.jpg"], f"text {number}", "http://a.org/")
            part.add_stored(f"http://a.org/{number}.jpg", WarcLocation(Path("/a.warc"), number))
        part.problems.append("a problem")
    return part.summary()


def test_a_whole_part_is_taken(tmp_path: Path) -> None:
    written = write_part(tmp_path)
    assert finished_partition(tmp_path, 3) == written
    assert finished_partition(tmp_path, 4) is None


@pytest.mark.parametrize("name", FILES)
def test_a_part_with_a_changed_cut_or_missing_file_is_none(tmp_path: Path, name: str) -> None:
    written = write_part(tmp_path)
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
    write_part(tmp_path)
    (tmp_path / FILES[2]).write_text(content)
    assert finished_partition(tmp_path, 3) is None


@pytest.mark.parametrize("damage", ["000000.tags.parquet", "000000.json"])
def test_a_damaged_part_is_read_again_and_the_others_are_not(tmp_path: Path, damage: str) -> None:
    page = b'<img src="s.jpg" alt="An apple">'
    files = [write_warc(tmp_path / f"{number}.warc.gz", {f"{number}": page}) for number in range(2)]
    extracted(files, tmp_path / "work")
    (tmp_path / "work" / "relations.duckdb").unlink()
    parts = tmp_path / "work" / "steps" / "sources"
    kept = json.loads((parts / "000001.json").read_bytes())
    changed = bytearray((parts / damage).read_bytes())
    changed[len(changed) // 2] ^= 1
    (parts / damage).write_bytes(changed)
    before = (parts / "000001.json").stat().st_ino
    found = extracted(files, tmp_path / "work")
    assert shown(found) == [(SITE + "s.jpg", "An apple")] * 2
    assert (parts / "000001.json").stat().st_ino == before and json.loads((parts / "000001.json").read_bytes()) == kept
    assert finished_partition(parts, 0) is not None


def test_what_no_table_can_hold_is_a_problem_of_its_row(tmp_path: Path) -> None:
    half = "\ud83d"
    with PartitionWriter(tmp_path, 3) as part:
        part.add_tag(["http://a.org/1.jpg"], f"broken {half}", "http://a.org/")
        part.add_tag(["http://a.org/2.jpg"], "whole", "http://a.org/")
        part.add_stored("x", FileLocation(Path(f"/{half}.jpg")))
    assert len(part.problems) == 2 and all("UnicodeEncodeError" in problem for problem in part.problems)
    assert part.problems[0].startswith("http://a.org/, image http://a.org/1.jpg: ")
    assert "\\ud83d" in part.problems[1]
    assert finished_partition(tmp_path, 3) == part.summary()
