"""Evaluate a model by any protocol: open the data, select rows, measure, and return one object."""

import json as json_format
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

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
) -> dict[str, Any]:
    """Measure `model` on `data`.

    Args:
        model: a loaded model, or anything `openalign.load` takes.
        data: shards, a folder or a table (see `openalign.data.pairs.open.open_pairs`), or opened pairs.
        protocol: `retrieval` or `zero-shot`.
        json: a file to write the returned object to.
        where, distinct_texts: keep only rows with this value in each named column; only the first of each text.
        image_column, text_column: columns of a table; None finds them by their usual names.
        labels: classes: names in the order of their numbers, values -> names, or a file (`labels.read_labels`).
        label_column, templates, batch_size: see EvaluateSettings; `templates` may be a file, one a line.

    Returns `{"protocol", "data", "model", "metrics", "chance", "count", ..., "problems"}`; shares between 0 and 1.

    Raises OpenAlignError: an unknown protocol, data that cannot be opened, no sample that can be evaluated.
    """
    if protocol not in PROTOCOLS:
        raise UsageError(f"There is no protocol {protocol!r}; choose one of {', '.join(PROTOCOLS)}.")
    settings = _settings(labels, label_column, templates, batch_size)
    need_text = PROTOCOLS[protocol].needs_text or distinct_texts
    pairs = _open(data, image_column, text_column, need_text, where)
    report = _measure(model, _one_a_text(pairs) if distinct_texts else pairs, PROTOCOLS[protocol], settings)
    if json is not None:
        _write_json(Path(json), report)
    return report


def _settings(
    labels: Labels | None, label_column: str, templates: Sequence[str] | Path | None, batch_size: int
) -> EvaluateSettings:
    return EvaluateSettings(
        labels=classes_of(labels) if labels is not None else None,
        label_column=label_column,
        templates=read_templates(templates) if isinstance(templates, Path) else tuple(templates or ()),
        batch_size=batch_size,
    )


def _open(
    data: str | Path | Pairs,
    image_column: str | None,
    text_column: str | None,
    need_text: bool,
    where: Mapping[str, str] | None,
) -> Pairs:
    if isinstance(data, Pairs):
        return data.where(where or {})
    return open_pairs(data, image_column=image_column, text_column=text_column, need_text=need_text, where=where)


def _measure(
    model: DualEncoder | str | Path, pairs: Pairs, protocol: Protocol, settings: EvaluateSettings
) -> dict[str, Any]:
    encoder = given_model(model)
    result = protocol.measure(encoder, pairs, settings)
    return {
        "protocol": protocol.name,
        "data": pairs.name,
        "model": encoder.name,
        "metrics": result.metrics,
        "chance": result.chance,
        "count": result.count,
        **result.details,
        "problems": [*pairs.problems, *result.problems],
    }


def _write_json(file: Path, report: dict[str, Any]) -> None:
    with whole_file(file) as partial:
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
