"""Evaluate a model by any protocol: open the data, select rows, measure, and return one object."""

import json as json_format
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from openalign.data.announce import announce, described, tell_left_out
from openalign.data.left_out import refuse_left_out
from openalign.data.pairs.open import open_pairs
from openalign.data.pairs.pairs import Pairs
from openalign.errors import UsageError
from openalign.evaluation import retrieval, zero_shot
from openalign.evaluation.labels import Labels, classes_of
from openalign.evaluation.prompts import read_templates
from openalign.evaluation.protocol import EvaluateSettings, Protocol
from openalign.files import whole_file
from openalign.model.dual_encoder import DualEncoder
from openalign.model.given import given_model

PROTOCOLS = {protocol.name: protocol for protocol in (retrieval.PROTOCOL, zero_shot.PROTOCOL)}


def evaluate(
    model: DualEncoder | str | Path,
    data: str | Path | Pairs,
    *,
    protocol: str = "retrieval",
    json: Path | str | None = None,
    where: Mapping[str, str] | None = None,
    distinct_texts: bool = False,
    image_column: str | None = None,
    text_column: str | None = None,
    labels: Labels | None = None,
    label_column: str = "label",
    templates: Sequence[str] | Path | None = None,
    batch_size: int = 64,
    split: str | None = None,
    layout: str | None = None,
    strict: bool = False,
) -> dict[str, Any]:
    """Measure `model` (loaded, or anything `openalign.load` takes) on `data` (any DATA, or opened pairs).

    Args:
        protocol: `retrieval` or `zero-shot`.
        json: a file to write the returned object to.
        where, image_column, text_column, split, layout: see `openalign.data.pairs.open.open_pairs`.
        distinct_texts: keep only the first row of each distinct text.
        labels: classes: names in the order of their numbers, values -> names, or a file (`labels.read_labels`).
        label_column, templates, batch_size: see EvaluateSettings; `templates` may be a file, one a line.
        strict: raise an error if anything is left out, an image that cannot be read as well.

    Returns `{"protocol", "data", "model", "metrics", "chance", "count", ..., "layout", "columns", "lost", "problems"}`;
    shares between 0 and 1; `lost` is the number of things of each kind that were left out.

    Raises OpenAlignError: an unknown protocol, data that cannot be opened, no sample that can be evaluated.
    """
    chosen, settings = _protocol(protocol), _settings(labels, label_column, templates, batch_size)
    options = {"image_column": image_column, "text_column": text_column, "split": split, "layout": layout}
    pairs = _open(data, where, options | {"need_text": chosen.needs_text or distinct_texts, "strict": strict})
    report = _measure(model, _one_a_text(pairs) if distinct_texts else pairs, chosen, settings, strict)
    _write_json(json, report)
    return report


def _protocol(name: str) -> Protocol:
    if name not in PROTOCOLS:
        raise UsageError(f"There is no protocol {name!r}; choose one of {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[name]


def _settings(
    labels: Labels | None, label_column: str, templates: Sequence[str] | Path | None, batch_size: int
) -> EvaluateSettings:
    return EvaluateSettings(
        labels=classes_of(labels) if labels is not None else None,
        label_column=label_column,
        templates=read_templates(templates) if isinstance(templates, Path) else tuple(templates or ()),
        batch_size=batch_size,
    )


def _open(data: str | Path | Pairs, where: Mapping[str, str] | None, options: Mapping[str, Any]) -> Pairs:
    if isinstance(data, Pairs):
        return data.where(where or {})
    pairs = open_pairs(data, where=where, **options)
    announce(pairs)
    return pairs if options["need_text"] else pairs.one_per_image()[0]  # one vote an image, whatever its captions


def _measure(
    model: DualEncoder | str | Path, pairs: Pairs, protocol: Protocol, settings: EvaluateSettings, strict: bool
) -> dict[str, Any]:
    encoder = given_model(model)
    result = protocol.measure(encoder, pairs, settings)
    if strict:
        refuse_left_out(pairs.name, result.problems)
    tell_left_out(result.problems, result.count)
    reading = described(pairs, result.problems)
    return {
        "protocol": protocol.name,
        "data": pairs.name,
        "model": encoder.name,
        "metrics": result.metrics,
        "chance": result.chance,
        "count": result.count,
        **result.details,
        **{name: reading[name] for name in ("read_as", "layout", "split", "columns", "lost")},
        "problems": [*pairs.problems, *result.problems],
    }


def _write_json(file: Path | str | None, report: dict[str, Any]) -> None:
    if file is None:
        return
    with whole_file(Path(file)) as partial:
        partial.write_text(json_format.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def report_table(report: dict[str, Any]) -> Table:
    """A table of what `evaluate` returned, for the terminal."""
    return PROTOCOLS[report["protocol"]].table(report)


def _one_a_text(pairs: Pairs) -> Pairs:
    """The first row of each distinct text."""
    first_rows: dict[str, int] = {}
    for row, text in enumerate(pairs.table["text"].to_pylist()):
        if text is not None:
            first_rows.setdefault(text, row)
    return pairs.select(list(first_rows.values()))
