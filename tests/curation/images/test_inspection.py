"""One image: which are inspected in the helper process, and what happens with one that takes too long."""

import io
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from openalign.curation.images import single_image
from openalign.curation.images.settings import ImageSettings, StorageSettings
from openalign.curation.images.single_image import inspect_here, inspect_image
from openalign.curation.pipeline import curate
from openalign.curation.recipe import CurateRecipe
from openalign.curation.sources.locations import parse_location
from openalign.errors import OpenAlignError
from tests.curation.crawl import drawing, encoded
from tests.curation.images import slow_inspection

pytestmark = pytest.mark.slow

SETTINGS = CurateRecipe.of(download=False, image_seconds=0.05)
LIMITS = (SETTINGS.image.image_seconds, SETTINGS.storage)


def progressive(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", progressive=True)
    return file.getvalue()


@pytest.mark.parametrize(
    ("make", "apart"),
    [
        (lambda: encoded(drawing(1)), False),
        (lambda: encoded(drawing(1), "PNG"), False),
        (lambda: encoded(drawing(1), "WEBP"), False),
        (lambda: encoded(drawing(1)) + b" " * (4 << 20), True),
        (lambda: encoded(drawing(1), "TIFF"), True),
        (lambda: encoded(drawing(1), "AVIF"), True),
        (lambda: encoded(Image.new("L", (9000, 9000)), "PNG"), True),
        (lambda: encoded(Image.new("L", (3000, 3000))), False),
        (lambda: progressive(Image.new("RGB", (3000, 3000))), True),
        (lambda: b"no image", False),
        (lambda: b"", False),
    ],
    ids=["jpeg", "png", "webp", "long", "tiff", "avif", "many pixels", "one scan", "many scans", "none", "empty"],
)
def test_only_an_image_that_may_take_long_needs_the_helper(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], bytes], apart: bool
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(single_image, "call_with_time_limit", lambda *_, setting, **__: asked.append(setting))
    monkeypatch.setattr(single_image, "inspect_here", lambda *_: None)
    inspect_image(make(), True, *LIMITS)
    assert asked == (["image_seconds"] if apart else [])


def test_an_image_is_the_same_in_this_process_and_in_the_helper() -> None:
    seconds, storage = ImageSettings().image_seconds, StorageSettings()
    data = encoded(drawing(1, 700, 500))
    assert inspect_image(data + b" " * (4 << 20), True, seconds, storage).hash == inspect_here(data, True, storage).hash
    tiff = encoded(drawing(1, 700, 500), "TIFF")
    assert inspect_image(tiff, True, seconds, storage) == inspect_here(tiff, True, storage)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_an_image_that_takes_too_long_is_unreadable_and_the_next_is_inspected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(single_image, "inspect_here", slow_inspection.inspect_slowly)
    for name, end in (("a", b""), ("b", b"SLOW"), ("c", b"")):
        seed = ord(name)
        (tmp_path / f"{name}.tiff").write_bytes(encoded(drawing(seed), "TIFF") + end)
    rows = [f"{name}.tiff,a red thing named {name}" for name in "abc"]
    (tmp_path / "pairs.csv").write_text("\n".join(["image,text", *rows]))
    monkeypatch.setattr("openalign.curation.isolation.time_limit._WALL_FACTOR", 0.5)
    settings = CurateRecipe.of(download=False, image_seconds=10.0)
    report = curate([tmp_path / "pairs.csv"], to=tmp_path / "to", workers=workers, recipe=settings)
    kept = pq.read_table(tmp_path / "to" / "pairs.parquet")["text"].to_pylist()
    assert kept == ["a red thing named a", "a red thing named c"]
    [dropped] = pq.read_table(tmp_path / "to" / "dropped.parquet").to_pylist()
    assert dropped["reasons"] == ["unreadable_image"] and dropped["image"].endswith("b.tiff")
    assert report["image_problems"] == {"took longer than 10 s (image_seconds)": 1}


def test_a_file_larger_than_any_image_is_not_read_whole(tmp_path: Path) -> None:
    large = tmp_path / "large.jpg"
    with large.open("wb") as file:
        file.truncate((64 << 20) + 1)
    with pytest.raises(OpenAlignError, match=r"large\.jpg is larger than 64 MB"):
        parse_location(f"file://{large}").read()
