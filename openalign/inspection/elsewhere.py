"""Folders and files that are no DATA, but that other commands write or read: indexes, runs, models, crawls, pages."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openalign.data.pairs.layouts.source import Source
from openalign.data.sites import PAGE_SUFFIXES, WARC_SUFFIXES, is_site

_INDEX = {"meta.json", "rows.sqlite"}


@dataclass(frozen=True)
class Elsewhere:
    """What something is that `train`, `evaluate` and `index` do not read as DATA."""

    name: str
    title: str
    why: str
    advice: str
    rows: int | None = None


def elsewhere(source: Source) -> Elsewhere | None:
    """What a source is, if it is an index, a run, a model, a crawl or web pages; None if it may be DATA."""
    if not source.is_folder:
        return _crawl(source, [str(source.at)]) if str(source.at).lower().endswith(WARC_SUFFIXES) else None
    top = set(source.folders.get("", []))
    if len(top & _INDEX) > 1 and isinstance(source.at, Path):
        rows = _field_of(source.at / "meta.json", "images")
        advice = f"search it with `openalign search {source.name} TEXT`"
        return Elsewhere("index", "index of images", "it holds meta.json and rows.sqlite", advice, rows)
    if "recipe.toml" in top and ("log.jsonl" in top or any(file.startswith("model/") for file in source.files)):
        return _run(source)
    if "config.json" in top and any(name.endswith((".safetensors", ".onnx")) for name in top):
        advice = f"measure it with `openalign evaluate {source.name} DATA`"
        return Elsewhere("model", "model folder", "it holds config.json and weights", advice)
    return None


def pages_in(source: Source) -> list[str]:
    """The web pages in a folder that `curate` reads in place of its pairs; none if it reads the pairs."""
    if not source.is_folder or not is_site(source.files):
        return []
    return [file for file in source.files if file.lower().endswith(PAGE_SUFFIXES)]


def _field_of(file: Path, name: str) -> Any:
    """A field of a JSON file; None if it cannot be read."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))[name]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def web(source: Source) -> Elsewhere | None:
    """What a source without any layout is, if it holds crawls or pages."""
    crawls = [file for file in source.files if file.lower().endswith(WARC_SUFFIXES)]
    pages = [file for file in source.files if file.lower().endswith(PAGE_SUFFIXES)]
    if crawls:
        return _crawl(source, crawls)
    if pages:
        advice = f"make pairs of it with `openalign curate {source.name} --to DIR`"
        return Elsewhere("pages", "web pages", f"it holds {pages[0]} and {len(pages) - 1:,} more", advice)
    return None


def _crawl(source: Source, files: list[str]) -> Elsewhere:
    more = f" and {len(files) - 1:,} more" if len(files) > 1 else ""
    advice = f"make pairs of it with `openalign curate {source.name} --to DIR`"
    holds = "it holds " if source.is_folder else ""
    return Elsewhere("crawl", "crawl", f"{holds}{Path(files[0]).name}{more}", advice)


def _run(source: Source) -> Elsewhere:
    advice = f"its model is {source.name}/model, its curves are drawn by `openalign report {source.name}`"
    data = Path(str(source.at)) / "data.json"
    if read_as := _field_of(data, "read_as"):
        advice += f"; it was trained on {_field_of(data, 'data')}, read as: {read_as}"
    return Elsewhere("run", "folder of a training run", "it holds recipe.toml and log.jsonl", advice)
