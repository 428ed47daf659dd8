"""Unsafe images, with small classifiers made here: which images are scored, and what a score does."""

import io
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

from openalign.curation.images.classifier import Scorer
from openalign.curation.images.settings import UnsafeSettings
from openalign.curation.images.unsafe import open_unsafe_scorer
from openalign.curation.pipeline import curate
from openalign.curation.recipe import CurateRecipe
from openalign.data.images.read import read_image
from openalign.errors import OpenAlignError
from tests.curation.crawl import drawing, encoded, write_crawl
from tests.model.folders import put

pytestmark = pytest.mark.slow


def classifier(folder: Path, *labels: str, always: int | None = None) -> Path:
    """A model folder with these classes: random weights, or one that always answers with the class at `always`."""
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32, patch_size=8,
        id2label=dict(enumerate(labels)), label2id={label: number for number, label in enumerate(labels)},
    )  # fmt: skip
    model = ViTForImageClassification(config)
    with torch.no_grad():
        model.classifier.weight.mul_(50.0)
        if always is not None:
            model.classifier.bias[always] = 1e4
    model.save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def scorer(model: str | Path, labels: str) -> Scorer:
    return open_unsafe_scorer(UnsafeSettings(unsafe_images=str(model), unsafe_labels=labels))


def test_scores_are_the_shares_of_the_unsafe_classes_in_order(tmp_path: Path) -> None:
    images = [encoded(drawing(seed, 60, 50)) for seed in range(5)]
    score = scorer(classifier(tmp_path, "neutral", "Porn", "drawing", "NSFW"), "porn,nsfw")
    together = score(images)
    assert together == pytest.approx([score([image])[0] for image in images], rel=1e-3)
    assert all(0 <= one <= 1 for one in together) and max(together) > 1.2 * min(together)
    rest = scorer(tmp_path, "neutral,drawing")
    assert [one + other for one, other in zip(together, rest(images), strict=True)] == pytest.approx(
        [1.0] * 5, abs=1e-5
    )


def test_a_turned_photo_is_scored_as_it_is_shown(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(io.BytesIO(encoded(drawing(1, 90, 50)))).save(tmp_path / "turned.jpg", exif=exif)
    turned = (tmp_path / "turned.jpg").read_bytes()
    Image.fromarray(read_image(turned)).save(tmp_path / "upright.png")
    score = scorer(classifier(tmp_path / "model", "neutral", "nsfw", "drawing"), "nsfw")
    assert score([turned]) == pytest.approx(score([(tmp_path / "upright.png").read_bytes()]), rel=1e-5)


@pytest.mark.parametrize("unsafe", [True, False])
def test_an_image_that_the_model_scores_as_unsafe_is_dropped(tmp_path: Path, unsafe: bool) -> None:
    model = classifier(tmp_path / "model", "normal", "nsfw", always=int(unsafe))
    settings = CurateRecipe.of(unsafe_images=str(model), download=False)
    crawl = write_crawl(tmp_path / "crawl.warc.gz")
    report = curate([crawl], to=tmp_path / "curated", workers=1, recipe=settings)
    [rule] = [rule for rule in report["rules"] if rule["name"] == "unsafe_image"]
    assert rule["ran"] and rule["threshold"]["unsafe_images"] == str(model)
    dropped = pq.read_table(tmp_path / "curated" / "dropped.parquet").to_pylist()
    broken = {row["image"].rpartition("/")[2] for row in dropped if "unsafe_image" in row["reasons"]}
    # Every image that could be stored is scored, whatever other rules it breaks; a broken one cannot be.
    assert broken == ({"good.jpg", "large.png", "banner.jpg", "copy.jpg"} if unsafe else set())
    assert (report["pairs"]["kept"] == 0) == unsafe
    page = (tmp_path / "curated" / "report.html").read_text(encoding="utf-8")
    assert ("data:image/jpeg" in page) != unsafe, "unsafe images are not shown, not even small"


def test_without_a_model_the_report_says_that_the_rule_did_not_run(tmp_path: Path) -> None:
    crawl = write_crawl(tmp_path / "crawl.warc.gz")
    report = curate([crawl], to=tmp_path / "curated", workers=1, recipe=CurateRecipe.of(download=False))
    [rule] = [rule for rule in report["rules"] if rule["name"] == "unsafe_image"]
    assert not rule["ran"] and rule["why_not"] == "no model that recognises such images was named"


def test_a_model_without_such_a_class_is_refused_with_its_classes(tmp_path: Path) -> None:
    classifier(tmp_path, "cat", "dog")
    with pytest.raises(OpenAlignError, match=r"none of the classes of .* \(cat, dog\) is among unsafe_labels \(nsfw\)"):
        scorer(tmp_path, "nsfw")


def test_a_model_that_is_not_there_is_one_error_message(tmp_path: Path) -> None:
    with pytest.raises(OpenAlignError, match="could not be read as an image-classification model"):
        scorer(tmp_path / "nothing", "nsfw")


def test_a_model_with_weights_that_are_not_numbers_is_refused(tmp_path: Path) -> None:
    classifier(tmp_path, "neutral", "nsfw", always=0)
    weights = load_file(tmp_path / "model.safetensors")
    weights["classifier.weight"][0, 0] = float("nan")
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(OpenAlignError, match=r"could not be read .*`classifier\.weight` holds NaN"):
        scorer(tmp_path, "nsfw")


def test_pickled_weights_and_layers_that_no_model_has_are_refused(tmp_path: Path) -> None:
    put(classifier(tmp_path, "neutral", "nsfw") / "config.json", "num_hidden_layers", 10_000_000)
    with pytest.raises(OpenAlignError, match=r"could not be read .*`num_hidden_layers` = 10,000,000"):
        scorer(tmp_path, "nsfw")
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(OpenAlignError, match=r"pytorch_model\.bin, a format that can run code"):
        scorer(tmp_path, "nsfw")


def test_nudenet_finds_nothing_in_drawings() -> None:
    pytest.importorskip("nudenet", reason="needs pip install 'openalign[nudenet]'")
    score = scorer("nudenet", "")
    assert score([encoded(drawing(seed)) for seed in range(3)]) == [0.0, 0.0, 0.0]
