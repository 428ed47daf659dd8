"""One function for every protocol: open the data, choose its rows, measure, and report one object."""

import json as json_format
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from openalign.data.pairs.open import open_pairs
from openalign.data.pairs.pairs import Pairs
from openalign.errors import UsageError
from openalign.evaluation import retrieval, zero_shot
from openalign.evaluation.prompts import read_templates
from openalign.evaluation.protocol import EvaluateSettings
from openalign.files import whole_file
from openalign.model import hub
from openalign.model.dual_encoder import DualEncoder

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
    labels: Sequence[str] | None = None,
    label_column: str = "label",
    templates: Sequence[str] | Path | None = None,
    batch_size: int = 64,
) -> dict[str, Any]:
    """Measure `model` on `data`.

    Args:
        model: a loaded model, or what `openalign.load` takes.
        data: shards, a folder or a table (see `openalign.data.pairs.open.open_pairs`).
        protocol: a name of PROTOCOLS.
        json: where to write the returned object.
        where: only the rows whose column holds this value, for each column named.
        distinct_texts: keep one row, the first, of each distinct text.
        image_column, text_column: columns of a table, when they have no usual name.
        labels, label_column, templates: see EvaluateSettings; `templates` may be a file with one a line.
        batch_size: images embedded at once.

    Returns:
        `{"protocol", "data", "model", "metrics", "chance", "count", ..., "problems"}`; shares between 0 and 1.

    Raises:
        OpenAlignError: the protocol is unknown, the data cannot be opened, or no sample can be judged.
    """
    if protocol not in PROTOCOLS:
        raise UsageError(f"There is no protocol {protocol!r}; choose one of {', '.join(PROTOCOLS)}.")
    chosen = PROTOCOLS[protocol]
    settings = EvaluateSettings(
        labels=tuple(labels) if labels is not None else None,
        label_column=label_column,
        templates=read_templates(templates) if isinstance(templates, Path) else tuple(templates or ()),
        batch_size=batch_size,
    )
    if isinstance(data, Pairs):
        pairs = data.where(where or {})
    else:
        need_text = chosen.needs_text or distinct_texts
        pairs = open_pairs(data, image_column=image_column, text_column=text_column, need_text=need_text, where=where)
    pairs = _one_a_text(pairs) if distinct_texts else pairs
    encoder = hub.load(model) if isinstance(model, str | Path) else model

    result = chosen.measure(encoder, pairs, settings)
    report = {
        "protocol": protocol,
        "data": pairs.name,
        "model": encoder.name,
        "metrics": result.metrics,
        "chance": result.chance,
        "count": result.count,
        **result.details,
        "problems": [*pairs.problems, *result.problems],
    }
    if json is not None:
        with whole_file(Path(json)) as path:
            path.write_text(json_format.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return report


def report_table(report: dict[str, Any]) -> Table:
    """What `evaluate` returned, for the terminal."""
    return PROTOCOLS[report["protocol"]].table(report)


def _one_a_text(pairs: Pairs) -> Pairs:
    """The first row of each distinct text."""
    first_rows: dict[str, int] = {}
    for row, text in enumerate(pairs.table["text"].to_pylist()):
        if text is not None:
            first_rows.setdefault(text, row)
    return pairs.select(list(first_rows.values()))
