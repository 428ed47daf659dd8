"""The report of a curation: report.json has the numbers, report.html also examples, without a server."""

import base64
import json
from collections.abc import Callable
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import jinja2
import numpy as np
from ibis import _
from PIL import Image

from openalign.curation.isolation.records import Problem, one_record
from openalign.curation.report.summary import Curated, summarise
from openalign.curation.sources.locations import parse_location
from openalign.data.images.decode import decode, encode_jpeg

_EXAMPLES = 12
_KEPT_EXAMPLES = 24
_COPIES_SHOWN = 3
_CANDIDATES = 8  # for each example, so that the examples are not one text many times over
_THUMBNAIL = 96  # px of the longer side
_MOST_TEXT = 160  # characters of an example's text


def write_report(curated: Curated, run: dict[str, Any], truth: Path | None, folder: Path) -> dict[str, Any]:
    """Write report.html and report.json to `folder`; returns the content of the latter (see `summary.summarise`)."""
    report = summarise(curated, run, truth)
    content = {
        "report.html": render_page(curated, report),
        "report.json": json.dumps(report, indent=1, ensure_ascii=False),
    }
    for name, text in content.items():
        (folder / name).write_text(text, encoding="utf-8", errors="replace")  # file names need not be UTF-8
    return report


def render_page(curated: Curated, report: dict[str, Any]) -> str:
    """The page as one string of HTML; images are small JPEGs within it."""
    pairs = curated.pairs
    broken = {rule["name"]: rule["broken"] for rule in report["rules"] if rule["ran"]}
    examples = partial(_examples, curated)
    return _template().render(
        report=report,
        examples={name: examples(pairs.filter(pairs[name]), _EXAMPLES) if broken[name] else [] for name in broken},
        kept=examples(pairs.filter(~pairs.dropped), _KEPT_EXAMPLES) if report["pairs"]["kept"] else [],
        twins=_twins(curated) if broken.get("near_duplicate_of_test") else [],
        groups=_groups(curated) if broken.get("near_duplicate") else [],
        tallest=lambda bars: max([bar["count"] for bar in bars], default=0),
    )


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"number": _number, "percent": _percent, "shorten": _shorten}
    return environment.from_string(
        files("openalign.curation.report").joinpath("report.html").read_text(encoding="utf-8")
    )


def _examples(curated: Curated, pairs: ir.Table, count: int) -> list[dict[str, Any]]:
    """`count` of the pairs, spread over them by hash, distinct texts first.

    A query for each rule: to rank the pairs of all rules in one, engines would sort every pair.
    """
    columns = ["image", "text", "page", "width", "height", "problem", "images_of_text", "unigrams", "occurrence"]
    shown = pairs.select(*columns, location=_location_to_show(pairs))
    first = shown.order_by(_.image.hexdigest("md5"), "occurrence").limit(count * _CANDIDATES)
    # Images first, otherwise in order of the hash.
    rows = sorted(curated.engine.fetch(first), key=lambda row: row["location"] is None)
    seen: set[str | None] = set()
    fresh: list[dict[str, Any]] = []
    again: list[dict[str, Any]] = []
    for row in rows:
        (again if row["text"] in seen else fresh).append(row)
        seen.add(row["text"])
    chosen = (fresh + again)[:count]
    for row in chosen:
        row |= {"thumbnail": _thumbnail_of(row["location"]), "shown": _shortened_url(row["image"])}
    return chosen


def _twins(curated: Curated) -> list[dict[str, Any]]:
    """Images beside the test images that they nearly duplicate."""
    hits = curated.pairs.filter(_.test_image.notnull()).distinct(on="image", keep="first")
    columns = ["image", "test_set", "test_row", "test_image"]
    chosen = hits.select(*columns, location=_location_to_show(hits))
    rows = curated.engine.fetch(chosen.order_by(_.image.hexdigest("md5")).limit(_EXAMPLES))
    return [
        row
        | {
            "thumbnail": _thumbnail_of(row["location"]),
            "test_thumbnail": _thumbnail(partial(curated.test_sets[row["test_set"]].image_bytes, row["test_row"])),
            "shown": _shortened_url(row["image"]),
        }
        for row in rows
    ]


def _groups(curated: Curated) -> list[dict[str, Any]]:
    """The images with the most near-duplicates after them, and some of these."""
    pairs, fetch = curated.pairs, curated.engine.fetch
    copies = pairs.filter(pairs.near_duplicate).distinct(on="image", keep="first")
    counts = copies.group_by("earlier_image").agg(copies=_.count())
    top = counts.order_by(ibis.desc("copies"), "earlier_image").limit(_EXAMPLES)
    largest = fetch(top)
    names = [group["earlier_image"] for group in largest]
    members = pairs.filter(pairs.image.isin(names) | (pairs.near_duplicate & pairs.earlier_image.isin(names)))
    columns = ["image", "earlier_image", "occurrence"]
    shown = members.select(*columns, location=_location_to_show(members)).order_by("occurrence")
    rows = {row["image"]: row for row in reversed(fetch(shown))}  # the first occurrence of each
    for group in largest:
        name = group["earlier_image"]
        alike = [row for row in reversed(rows.values()) if row["earlier_image"] == name][:_COPIES_SHOWN]
        pictures = [_thumbnail_of(row["location"]) for row in (rows[name], *alike)]
        group |= {"shown": _shortened_url(name), "thumbnails": [picture for picture in pictures if picture]}
    return largest


def _location_to_show(pairs: ir.Table) -> ir.StringValue:
    """The location of an image that may be shown, else null: it was decoded within its time.

    If a model scored pornographic images, it must have scored this one, below the threshold.
    """
    shown = pairs.inspected & pairs.problem.isnull()
    if "unsafe_image" in pairs.columns:
        shown &= pairs.unsafe.notnull() & ~pairs.unsafe_image
    return shown.ifelse(pairs.location, ibis.null(str))


def _thumbnail_of(location: str | None) -> str | None:
    return None if location is None else _thumbnail(parse_location(location).read)


def _thumbnail(read: Callable[[], bytes]) -> str | None:
    """A data: URL of the image made small; None where it cannot be shown."""
    made = _small_jpeg(read)
    return None if isinstance(made, Problem) else "data:image/jpeg;base64," + base64.b64encode(made).decode()


@one_record
def _small_jpeg(read: Callable[[], bytes]) -> bytes:
    image = Image.fromarray(decode(read(), _THUMBNAIL))
    scale = min(1.0, _THUMBNAIL / max(image.size))
    # Pillow's resampling: some hundred thumbnails do not make up for the time that importing torch takes.
    small = image.resize([max(1, round(side * scale)) for side in image.size], Image.Resampling.BILINEAR)
    return encode_jpeg(np.asarray(small), 75)


def _shortened_url(image: str) -> str:
    """The end of a URL, which tells more than its beginning."""
    short = image.partition("://")[2] or image
    return short if len(short) <= 48 else "…" + short[-47:]


def _shorten(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else text[:_MOST_TEXT] + "…"


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,g}"


def _percent(share: float | None) -> str:
    """A share with enough digits to tell a little from nothing, and almost all from all."""
    if share is None:
        return "–"
    if 0 < share < 0.001 or 0.999 < share < 1:
        return f"{100 * share:.3f} %"
    return f"{100 * share:.1f} %"
