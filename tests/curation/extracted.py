"""Sources read by themselves, without the rules that follow."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openalign.curation.engine.local import LocalEngine
from openalign.curation.sources.extract import extract


@dataclass(frozen=True)
class Extracted:
    """What `sources.extract` found, its tables as rows in source order."""

    occurrences: list[dict[str, Any]]
    images: list[dict[str, Any]]
    problems: list[str]
    pages: int
    records: int
    without_url: int


def extracted(sources: list[Any], work: Path, workers: int = 1, **asked: Any) -> Extracted:
    with LocalEngine(work, workers) as engine:
        found = extract(engine, sources, **asked)
        occurrences = found.occurrences.order_by("occurrence").to_pyarrow().to_pylist()
        images = {row["image"]: row for row in found.images.to_pyarrow().to_pylist()}
    numbers = [row.pop("occurrence") for row in occurrences]
    assert numbers == sorted(set(numbers))
    first_shown = dict.fromkeys(row["image"] for row in occurrences)
    return Extracted(
        occurrences,
        [images[image] for image in first_shown if image in images],
        found.problems,
        found.pages,
        found.records,
        found.without_url,
    )
