"""A rule that reads the scores of a classifier: off by default, in the report like any other."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from openalign.curation.pipeline import curate
from openalign.curation.recipe import CurateRecipe
from tests.curation.crawl import write_crawl
from tests.curation.images.test_unsafe import classifier


@pytest.mark.slow
@pytest.mark.parametrize("marked", [True, False])
def test_images_that_a_classifier_finds_watermarked_are_dropped(tmp_path: Path, marked: bool) -> None:
    model = classifier(tmp_path / "model", "clean", "Watermark", always=int(marked))
    recipe = CurateRecipe.of(watermark_model=str(model), download=False)
    crawl = write_crawl(tmp_path / "crawl.warc.gz")
    report = curate([crawl], to=tmp_path / "curated", workers=1, recipe=recipe)
    dropped = pq.read_table(tmp_path / "curated" / "dropped.parquet").to_pylist()
    broken = {row["image"].rpartition("/")[2] for row in dropped if "watermark" in row["reasons"]}
    assert broken == ({"good.jpg", "large.png", "banner.jpg", "copy.jpg"} if marked else set())
    [rule] = [rule for rule in report["rules"] if rule["name"] == "watermark"]
    assert rule["ran"] and rule["threshold"] == {"watermark_model": str(model), "watermark_threshold": 0.5}
    page = (tmp_path / "curated" / "report.html").read_text(encoding="utf-8")
    assert "A model finds a watermark in the image, with a score of 0.5 of 1 or more." in page
