"""Zero-shot classification: the class whose prompts are closest to the image (paper section 5.4, Table 4)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from rich.table import Table

from openalign.data.left_out import Kind, LeftOut
from openalign.data.pairs.pairs import Pairs
from openalign.errors import OpenAlignError, UsageError
from openalign.evaluation.prompts import TEMPLATES, embed_labels
from openalign.evaluation.protocol import EvaluateSettings, Protocol, Result, percent
from openalign.evaluation.ranking import ranks, share_within
from openalign.model.dual_encoder import DualEncoder, ImageInput, embed_pairs_images

CLASSES_SHOWN = 12
"""Number of classes in the printed table, the worst ones; the returned object has all."""

Ints = NDArray[np.int64]


def classify(
    model: DualEncoder, images: Sequence[ImageInput], labels: Sequence[str], templates: Sequence[str] = TEMPLATES
) -> list[list[tuple[str, float]]]:
    """For each image the labels with their probabilities, most probable first.

    The probabilities are a softmax of cosine / temperature over these labels, as over a batch in training: they show
    which label fits best, not whether any of them fits.

    Raises:
        OpenAlignError: a label is missing or repeated, a template has no `{}`, or an image cannot be read.
    """
    check_labels(labels)
    cosines_NC = model.embed_images(images) @ embed_labels(model, labels, templates).T
    logits_NC = cosines_NC.astype(np.float64) / model.temperature
    weights_NC = np.exp(logits_NC - logits_NC.max(axis=1, keepdims=True))
    probabilities_NC = weights_NC / weights_NC.sum(axis=1, keepdims=True)
    order_NC = np.argsort(-probabilities_NC, axis=1, kind="stable")
    return [
        [(labels[label], float(row[label])) for label in order]
        for row, order in zip(probabilities_NC, order_NC, strict=True)
    ]


def measure(model: DualEncoder, pairs: Pairs, settings: EvaluateSettings) -> Result:
    """Accuracy over the images of `pairs` with a true class in the label column."""
    labels, truth_N, pairs, problems = _labelled(pairs, settings)
    images_ND, kept, unreadable = embed_pairs_images(model, pairs, settings.batch_size)
    if not len(kept):
        raise OpenAlignError(f"{pairs.name}: none of its {len(pairs)} images could be read, e.g. {unreadable[0]}")
    truth_N = truth_N[kept]
    labels_CD = embed_labels(model, labels, settings.templates or TEMPLATES)
    ranks_N = ranks(images_ND, labels_CD, np.stack([np.arange(len(truth_N)), truth_N], axis=1))

    classes = {
        label: {"count": int((truth_N == number).sum()), "top1": share_within(ranks_N[truth_N == number], 1)}
        for number, label in enumerate(labels)
        if (truth_N == number).any()
    }
    return Result(
        metrics={
            "top1": share_within(ranks_N, 1),
            "top5": share_within(ranks_N, 5),
            "mean_per_class": float(np.mean([row["top1"] for row in classes.values()])),
            "classes": classes,
        },
        chance={"top1": 1 / len(labels), "top5": min(1.0, 5 / len(labels)), "mean_per_class": 1 / len(labels)},
        count=len(truth_N),
        details={"labels": len(labels), "templates": len(settings.templates or TEMPLATES)},
        problems=problems + unreadable,
    )


def check_labels(labels: Sequence[str]) -> None:
    """Raise UsageError for no label, an empty one or two that are equal."""
    if not labels or not all(label.strip() for label in labels):
        raise UsageError("Zero-shot classification needs at least one label, and none may be empty.")
    if len(set(labels)) < len(labels):
        twice = next(label for number, label in enumerate(labels) if label in labels[:number])
        raise UsageError(f"The label {twice!r} is given twice.")


def _labelled(pairs: Pairs, settings: EvaluateSettings) -> tuple[list[str], Ints, Pairs, list[str]]:
    """The labels, the label index of each row, the rows that have one of the labels, and problems."""
    name = settings.label_column
    if name not in pairs.table.column_names:
        known = ", ".join(pairs.table.column_names)
        raise OpenAlignError(f"{pairs.name} has no column `{name}`; name one with --label-column, of: {known}.")
    column = pairs.table[name]
    if pa.types.is_nested(column.type):
        raise OpenAlignError(f"{pairs.name}: the column `{name}` holds lists; zero-shot needs one label a row.")
    column = pc.utf8_trim_whitespace(pc.cast(column, pa.string()))
    labels = list(settings.labels or sorted(value for value in pc.unique(column).to_pylist() if value))
    check_labels(labels)
    numbers = pc.fill_null(pc.index_in(column, value_set=pa.array(labels)), -1).to_numpy().astype(np.int64)
    kept = np.flatnonzero(numbers >= 0)
    if not len(kept):
        example = next((value for value in column.to_pylist() if value), "")
        raise OpenAlignError(f"{pairs.name}: no row of `{name}` holds one of the labels; it holds e.g. {example!r}.")
    problems: list[str] = []
    if left_out := len(pairs) - len(kept):
        message = f"{left_out} rows whose `{name}` is not among the {len(labels)} labels were left out."
        problems.append(LeftOut(Kind.ROW_OF_OTHER_LABEL, message, left_out))
    return labels, numbers[kept], pairs.select(kept), problems


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
