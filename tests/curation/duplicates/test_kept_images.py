"""Near-duplicates among the kept images: the first stays, and one that is dropped anyway ousts nobody."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from openalign.curation.pipeline import curate
from openalign.curation.recipe import CurateRecipe
from tests.curation.crawl import drawing, encoded

pytestmark = pytest.mark.slow


@pytest.fixture
def listing(tmp_path: Path) -> Path:
    """A picture too small to keep, twice the same in sizes that can be kept, and another picture; two texts of one."""
    whole = drawing(1, 640, 520)
    images = {
        "small.jpg": encoded(whole.resize((180, 146))),
        "first.jpg": encoded(whole.resize((400, 325))),
        "other.jpg": encoded(drawing(2)),
        "again.jpg": encoded(whole.resize((360, 300)), quality=70),
    }
    for name, data in images.items():
        (tmp_path / name).write_bytes(data)
    rows = [f"{name},a picture of {name[:5]} shapes" for name in images]
    rows += ["again.jpg,the same picture once more", "first.jpg,a second text of it"]
    (tmp_path / "pairs.csv").write_text("\n".join(["image,text", *rows]) + "\n")
    return tmp_path / "pairs.csv"


def kept(folder: Path) -> list[str]:
    return [Path(row["image"]).name for row in pq.read_table(folder / "pairs.parquet").to_pylist()]


def test_of_near_duplicates_the_first_that_can_be_kept_stays(listing: Path, tmp_path: Path) -> None:
    asked = CurateRecipe.of(drop_near_duplicates=True)
    report = curate([listing], to=tmp_path / "to", workers=1, recipe=asked)
    assert kept(tmp_path / "to") == ["first.jpg", "other.jpg", "first.jpg"]
    rows = pq.read_table(tmp_path / "to" / "dropped.parquet").to_pylist()
    dropped = {(Path(row["image"]).name, *row["reasons"]) for row in rows}
    assert dropped == {("small.jpg", "shorter_side"), ("again.jpg", "near_duplicate")}
    [rule] = [rule for rule in report["rules"] if rule["name"] == "near_duplicate"]
    assert rule["ran"] and rule["broken"] == 2


def test_by_default_all_stay(listing: Path, tmp_path: Path) -> None:
    report = curate([listing], to=tmp_path / "to", workers=1)
    assert len(kept(tmp_path / "to")) == 5
    [rule] = [rule for rule in report["rules"] if rule["name"] == "near_duplicate"]
    assert not rule["ran"] and rule["why_not"] == "it was not asked for"
