"""Pornographic images (paper section 3.1), as a model of the user's choice sees them.

The paper does not name its classifier, and none comes with openalign: `unsafe_images` names an image-classification
model of the transformers library (a folder, or a name on the Hugging Face hub), or `nudenet`, a small detector that
`pip install 'openalign[nudenet]'` brings along.
"""

import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa
import torch
from PIL import Image

from openalign.curation.engine.cached_map import batches_of, count_rows
from openalign.curation.images.inspection import StoredImages
from openalign.curation.images.settings import UnsafeSettings
from openalign.curation.isolation.records import Problem, each_of, one_record, problems_among
from openalign.data.files.library_errors import library_errors
from openalign.errors import OpenAlignError
from openalign.extras import require
from openalign.progress import bar

SCORES = pa.schema([("image", pa.string()), ("unsafe", pa.float64())])
"""One row an image that was asked about: how sure the model is, from 0 to 1, that it is pornographic."""

Scorer = Callable[[Sequence[bytes]], list[float]]
"""Encoded images -> a score each."""

NUDENET = "nudenet"
_NUDE = (
    "FEMALE_GENITALIA_EXPOSED",
    "MALE_GENITALIA_EXPOSED",
    "FEMALE_BREAST_EXPOSED",
    "BUTTOCKS_EXPOSED",
    "ANUS_EXPOSED",
)
_AT_ONCE = 32


def score_images(seen: Sequence[Path], settings: UnsafeSettings, problems: list[str]) -> pa.Table:
    """Ask the model about every image of `seen` (files of judge.JUDGED, JPEGs beside them) that could be kept.

    A line for each image that the model fails at is added to `problems`; it counts as unsafe.

    Returns `SCORES`. Raises OpenAlignError if the model cannot be had, or has no class among `unsafe_labels`.
    """
    if settings.unsafe_images is None:
        return SCORES.empty_table()
    score = open_scorer(settings.unsafe_images, settings.unsafe_label_names)
    columns = ["image", "stored_in", "stored_at", "stored_size"]
    parts = []
    with StoredImages(seen[0].parent) as images, bar("Looking for unsafe images", count_rows(seen)) as running:
        for batch in batches_of(seen, _AT_ONCE, columns):
            rows = batch.filter(batch["stored_in"].is_valid()).to_pylist()
            found = each_of(partial(_scores, score), [images.read(row) for row in rows])
            names = [row["image"] for row in rows]
            problems += problems_among(found, [f"{name} (unsafe_images)" for name in names])
            scores = [1.0 if isinstance(each, Problem) else each for each in found]
            parts.append(pa.table({"image": names, "unsafe": pa.array(scores, pa.float64())}, schema=SCORES))
            running.advance(batch.num_rows)
    return pa.concat_tables([SCORES.empty_table(), *parts])


@one_record
def _scores(score: Scorer, images: Sequence[bytes]) -> list[float]:
    return score(images)


def open_scorer(name: str, labels: Sequence[str]) -> Scorer:
    """The model of this name. Raises OpenAlignError where it cannot be had, or knows no class among `labels`."""
    return _open_nudenet() if name == NUDENET else _open_classifier(name, labels)


def _open_classifier(name: str, labels: Sequence[str]) -> Scorer:
    from transformers import AutoModelForImageClassification

    from openalign.model.folder import check_folder, folder_of
    from openalign.model.pretrained import load_model, load_processor

    try:
        folder = folder_of(name)
        check_folder(folder)
        model, processor = load_model(AutoModelForImageClassification, folder), load_processor(folder)
    except OpenAlignError as error:
        raise OpenAlignError(
            f"unsafe_images: {name} could not be read as an image-classification model: {error}"
        ) from error
    known: dict[int, str] = {number: str(label) for number, label in model.config.id2label.items()}
    unsafe = [place for place, label in known.items() if label.strip().lower() in labels]
    if not unsafe:
        raise OpenAlignError(
            f"unsafe_images: none of the classes of {name} ({', '.join(known.values())}) is among unsafe_labels "
            f"({', '.join(labels)}); name those that are unsafe with --set unsafe_labels=..."
        )

    def score(images: Sequence[bytes]) -> list[float]:
        pixels = [Image.open(io.BytesIO(image)).convert("RGB") for image in images]
        with library_errors(f"unsafe_images: {name} failed over images"), torch.inference_mode():
            shares_BC = model(**processor(images=pixels, return_tensors="pt")).logits.softmax(1)
            scores_B = shares_BC[:, unsafe].sum(1).clamp(max=1)
        if not scores_B.isfinite().all():
            raise OpenAlignError(f"unsafe_images: {name} gives scores that are not finite; its weights are unusable.")
        scores: list[float] = scores_B.tolist()
        return scores

    return score


def _open_nudenet() -> Scorer:
    require("nudenet", "unsafe_images=nudenet")
    from nudenet import NudeDetector

    detector = NudeDetector()

    def score(images: Sequence[bytes]) -> list[float]:
        found = (detector.detect(image) for image in images)
        return [max((part["score"] for part in parts if part["class"] in _NUDE), default=0.0) for parts in found]

    return score
