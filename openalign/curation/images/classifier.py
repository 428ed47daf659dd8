"""Scores of images by an image classifier of the user's choice, for rules such as `unsafe_image` and `watermark`."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image

from openalign.curation.engine.cached_map import batches_of, count_rows
from openalign.curation.images.inspection import STORED_COLUMNS, StoredImages
from openalign.curation.isolation.records import each_of, known, one_record, problems_among
from openalign.data.files.library_errors import library_errors
from openalign.data.images.read import read_image
from openalign.errors import OpenAlignError
from openalign.options import option
from openalign.progress import bar

Scorer = Callable[[Sequence[bytes]], list[float]]
"""Encoded images -> a score each, from 0 to 1."""

_BATCH = 32


def score_images(
    inspected: Sequence[Path],
    score: Scorer,
    column: str,
    setting: str,
    problems: list[str],
    if_failed: float | None = None,
) -> pa.Table:
    """Score every image that could be kept: columns `image` and `column`.

    `inspected` are files of `inspection.INSPECTED`, the JPEGs beside them. For each image that the model fails on, a
    line that names `setting` is appended to `problems`, and the score is `if_failed`.
    """
    schema = pa.schema([("image", pa.string()), (column, pa.float64())])
    tables = [schema.empty_table()]
    with (
        StoredImages(inspected[0].parent) as images,
        bar(f"Scoring images ({setting})", count_rows(inspected)) as running,
    ):
        for batch in batches_of(inspected, _BATCH, ["image", *STORED_COLUMNS]):
            rows = batch.filter(batch["stored_in"].is_valid()).to_pylist()
            found = each_of(partial(_scores, score), [images.read(row) for row in rows])
            names = [row["image"] for row in rows]
            problems += problems_among(found, [f"{name} ({setting})" for name in names])
            scores = [if_failed if value is None else value for value in known(found)]
            tables.append(pa.table({"image": names, column: pa.array(scores, pa.float64())}, schema=schema))
            running.advance(batch.num_rows)
    return pa.concat_tables(tables)


@one_record
def _scores(score: Scorer, images: Sequence[bytes]) -> list[float]:
    return score(images)


def open_classifier(name: str, labels: Sequence[str], setting: str, labels_setting: str) -> Scorer:
    """An image-classification model of the transformers library: the score is the sum over the classes in `labels`.

    `name` is a folder or a name on the Hugging Face hub; `labels` are in lower case. `setting` and `labels_setting`
    are the settings that gave both, for error messages.

    Raises OpenAlignError if the model cannot be loaded, or has no class among `labels`.
    """
    import torch

    model, processor = _load(name, setting)
    classes: dict[int, str] = {number: str(label) for number, label in model.config.id2label.items()}
    chosen = [number for number, label in classes.items() if label.strip().lower() in labels]
    if not chosen:
        raise OpenAlignError(
            f"{setting}: none of the classes of {name} ({', '.join(classes.values())}) is among {labels_setting} "
            f"({', '.join(labels)}); name the classes to drop with {option(set={labels_setting: '...'})}"
        )

    def score(images: Sequence[bytes]) -> list[float]:
        pixels = [Image.fromarray(read_image(image)) for image in images]
        with library_errors(f"{setting}: {name} failed on images"), torch.inference_mode():
            shares_BC = model(**processor(images=pixels, return_tensors="pt")).logits.softmax(1)
            scores_B = shares_BC[:, chosen].sum(1).clamp(max=1)
        if not scores_B.isfinite().all():
            raise OpenAlignError(f"{setting}: {name} gives scores that are not finite; its weights are unusable.")
        scores: list[float] = scores_B.tolist()
        return scores

    return score


def _load(name: str, setting: str) -> tuple[Any, Any]:
    from transformers import AutoModelForImageClassification

    from openalign.model.folder import check_folder, folder_of
    from openalign.model.pretrained import load_model, load_processor

    try:
        folder = folder_of(name)
        check_folder(folder)
        return load_model(AutoModelForImageClassification, folder), load_processor(folder)
    except OpenAlignError as error:
        raise OpenAlignError(
            f"{setting}: {name} could not be read as an image-classification model: {error}"
        ) from error
