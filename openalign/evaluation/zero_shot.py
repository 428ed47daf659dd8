"""Zero-shot classification: the class whose prompts are closest to the image (paper section 5.4, Table 4)."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from rich.table import Table

from openalign.data.images.read import ImageInput
from openalign.data.left_out import Kind, LeftOut
from openalign.data.pairs.pairs import Pairs
from openalign.errors import OpenAlignError
from openalign.evaluation.labels import Classes, Labels, class_numbers, classes_by_id, classes_of
from openalign.evaluation.prompts import TEMPLATES, embed_labels
from openalign.evaluation.protocol import EvaluateSettings, Protocol, Result, percent
from openalign.evaluation.ranking import ranks, share_within
from openalign.model.dual_encoder import DualEncoder, embed_pairs_images
from openalign.model.given import given_model
from openalign.options import option

CLASSES_SHOWN = 12
"""Number of classes in the printed table, the worst ones; the returned object has all."""

_BATCH = 64

Ints = NDArray[np.int64]


def classify(
    model: DualEncoder | str | Path,
    images: Sequence[ImageInput],
    labels: Labels,
    templates: Sequence[str] = TEMPLATES,
    *,
    problems: list[str] | None = None,
) -> list[list[tuple[str, float]]]:
    """For each image the labels with their probabilities, most probable first.

    The probabilities are a softmax of cosine / temperature over these labels, as over a batch in training: they show
    which label fits best, not whether any of them fits. `model` is a loaded one, or anything `openalign.load` takes.

    Args:
        labels: names, a mapping of values to names, or a file of either (see `evaluation.labels`).
        templates: prompts with `{}` for the class name.
        problems: if given, an image that cannot be read adds a message here and has no labels, instead of raising.

    Raises:
        OpenAlignError: there is no label or an empty one, a template has no `{}`, or the model or an image cannot be
            read.
    """
    names = classes_of(labels).names
    model = given_model(model)
    images_ND, readable = _embed_readable(model, images, problems)
    logits_NC = (images_ND @ embed_labels(model, names, templates).T).astype(np.float64) / model.temperature
    weights_NC = np.exp(logits_NC - logits_NC.max(axis=1, keepdims=True))
    probabilities_NC = weights_NC / weights_NC.sum(axis=1, keepdims=True)
    order_NC = np.argsort(-probabilities_NC, axis=1, kind="stable")
    found: list[list[tuple[str, float]]] = [[] for _ in images]
    for image, row, order in zip(readable, probabilities_NC, order_NC, strict=True):
        found[image] = [(names[label], float(row[label])) for label in order]
    return found


def _embed_readable(
    model: DualEncoder, images: Sequence[ImageInput], problems: list[str] | None
) -> tuple[NDArray[np.float32], list[int]]:
    """The vectors of the images (M, D) and their numbers; those that cannot be embedded are `problems`, if given."""
    if problems is None:
        return model.embed_images(images), list(range(len(images)))
    vectors = [np.empty((0, model.width), np.float32)]
    readable: list[int] = []
    for start in range(0, len(images), _BATCH):
        batch = range(start, min(start + _BATCH, len(images)))
        try:
            vectors.append(model.embed_images([images[number] for number in batch]))
            readable += batch
            continue
        except OpenAlignError:  # of which image, only one after the other can tell
            pass
        for number in batch:
            try:
                vectors.append(model.embed_images([images[number]]))
                readable.append(number)
            except OpenAlignError as error:
                problems.append(_named(images[number], number, str(error)))
    return np.concatenate(vectors), readable


def _named(image: ImageInput, number: int, message: str) -> str:
    name = str(image) if isinstance(image, str | Path) else f"image {number}"
    return message if name in message else f"{name}: {message}"


def measure(model: DualEncoder, pairs: Pairs, settings: EvaluateSettings) -> Result:
    """Accuracy over the images of `pairs` with a true class in the label column."""
    classes, truth_N, pairs, problems = _labelled(pairs, settings)
    images_ND, kept, unreadable = embed_pairs_images(model, pairs, settings.batch_size)
    if not len(kept):
        raise OpenAlignError(f"{pairs.name}: none of its {len(pairs)} images could be read, e.g. {unreadable[0]}")
    truth_N = truth_N[kept]
    labels_CD = embed_labels(model, classes.names, settings.templates or TEMPLATES)
    ranks_N = ranks(images_ND, labels_CD, np.stack([np.arange(len(truth_N)), truth_N], axis=1))
    ranks_N -= _later_namesakes(classes.names)[truth_N]

    of_class = {
        label: {"count": int((truth_N == number).sum()), "top1": share_within(ranks_N[truth_N == number], 1)}
        for number, label in enumerate(classes.shown)
        if (truth_N == number).any()
    }
    count = len(classes.names)
    return Result(
        metrics={
            "top1": share_within(ranks_N, 1),
            "top5": share_within(ranks_N, 5),
            "mean_per_class": float(np.mean([row["top1"] for row in of_class.values()])),
            "classes": of_class,
        },
        chance={"top1": 1 / count, "top5": min(1.0, 5 / count), "mean_per_class": 1 / count},
        count=len(truth_N),
        details={"labels": count, "templates": len(settings.templates or TEMPLATES)},
        problems=problems + unreadable,
    )


def _later_namesakes(names: Sequence[str]) -> Ints:
    """(C,) how many classes after each have its name, and so its vector.

    Of equal scores the first class is taken, as the argmax of other evaluations does; `ranks` counts all of them before
    the true class.
    """
    seen: Counter[str] = Counter()
    later = []
    for name in reversed(names):
        later.append(seen[name])
        seen[name] += 1
    return np.array(later[::-1], np.int64)


def _labelled(pairs: Pairs, settings: EvaluateSettings) -> tuple[Classes, Ints, Pairs, list[str]]:
    """The classes, the class number of each row, the rows that have one of the classes, and problems."""
    name = settings.label_column
    if name not in pairs.table.column_names:
        known = ", ".join(pairs.table.column_names)
        raise OpenAlignError(
            f"{pairs.name} has no column `{name}`; name one with {option('label_column')}, of: {known}."
        )
    column = pairs.table[name]
    if pa.types.is_nested(column.type):
        raise OpenAlignError(f"{pairs.name}: the column `{name}` holds lists; zero-shot needs one label a row.")
    where = f"{pairs.name}: the column `{name}`"
    cells, classes = _cells(column), settings.labels
    if f"{name}.id" in pairs.table.column_names:  # the data had numbers or ids, and were read with their names
        ids = _cells(pairs.table[f"{name}.id"])
        name_of = dict(zip(ids.to_pylist(), cells.to_pylist(), strict=True))
        by_id = classes_by_id(classes, {value: label for value, label in name_of.items() if value and label})
        cells, classes = (cells, classes) if by_id is None else (ids, by_id)
    encoded = pc.dictionary_encode(cells)
    values = encoded.dictionary.to_pylist()
    classes, number_of, problems = class_numbers(classes, [value for value in values if value], where)
    if not classes.names:
        raise OpenAlignError(f"{where} holds no label.")
    numbers_V = np.array([number_of.get(value, -1) for value in values], np.int64)
    numbers = numbers_V[encoded.indices.to_numpy()]
    kept = np.flatnonzero(numbers >= 0)
    if not len(kept):
        example = next((value for value in values if value), "")
        raise OpenAlignError(f"{where} holds none of the {len(classes.names)} labels; it holds e.g. {example!r}.")
    if left_out := len(pairs) - len(kept):
        message = f"{left_out} rows whose `{name}` is not among the {len(classes.names)} labels were left out."
        problems.append(LeftOut(Kind.ROW_OF_OTHER_LABEL, message, left_out))
    return classes, numbers[kept], pairs.select(kept), problems


def _cells(column: pa.ChunkedArray) -> pa.Array:
    """(N,) the values as trimmed texts; null becomes the empty one."""
    return pc.fill_null(pc.utf8_trim_whitespace(pc.cast(column, pa.string())), "").combine_chunks()


def table(report: dict[str, Any]) -> Table:
    """A table of the accuracies with chance, then the worst classes."""
    metrics, chance = report["metrics"], report["chance"]
    shown = Table(title=f"Zero-shot: {report['count']:,} images, {report['labels']:,} labels", title_justify="left")
    for heading in ("", "images", "accuracy", "by chance"):
        shown.add_column(heading, justify="right" if heading else "left")
    for key, name in (("top1", "top 1"), ("top5", "top 5"), ("mean_per_class", "top 1, mean of classes")):
        shown.add_row(name, f"{report['count']:,}", percent(metrics[key]), percent(chance[key]))
    shown.add_section()
    worst = sorted(metrics["classes"].items(), key=lambda item: (item[1]["top1"], item[0]))[:CLASSES_SHOWN]
    for label, row in worst:
        shown.add_row(label, f"{row['count']:,}", percent(row["top1"]), style="dim")
    return shown


PROTOCOL = Protocol(name="zero-shot", needs_text=False, measure=measure, table=table)
