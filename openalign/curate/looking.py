"""The images of all pairs: found among the sources or fetched, and looked at."""

from functools import partial
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from openalign.curate import download, relations
from openalign.curate.engine import Engine, rows_for
from openalign.curate.judge import judge_piece
from openalign.curate.pieces import work_through
from openalign.curate.settings import CurateSettings
from openalign.curate.sources import Extracted

LOOKED = "looked"
"""The folder, in that of the engine, where the results of looking lie, measurements as well as JPEGs."""
DOWNLOADS = "downloads"

_LEAST_IMAGES, _MOST_IMAGES = 64, 4096  # in a piece


def find_images(engine: Engine, measured: ir.Table, extracted: Extracted, settings: CurateSettings) -> list[Path]:
    """Fetch what the sources only link to; pieces of what is to be judged: `image`, `location`, `wanted`, `problem`.

    Only images of pairs that pass the text rules are worth fetching; one that is nowhere to be had has a `problem`.
    """
    images = engine.hold("images", relations.wanted_images(measured))
    asked = images.left_join(extracted.images, "image").drop("image_right")
    remote = asked.location.isnull() & asked.image.re_search("^(?i:https?)://")
    fetched = engine.hold_rows("fetched", _fetch(engine, asked.filter(remote & asked.wanted), settings))
    asked = asked.left_join(fetched.rename(fetched="location"), "image").drop("image_right")
    missing = "not among the sources" + ("" if settings.download else ", and downloading is off")
    final = asked.select(
        "image",
        "wanted",
        location=ibis.coalesce(asked.location, asked.fetched),
        problem=ibis.cases(
            (asked.location.notnull() | asked.fetched.notnull(), ibis.null(str)),
            (asked.problem.notnull(), asked.problem),
            (remote & settings.download, ibis.null(str)),
            else_=missing,
        ),
        first="first",
    )
    at_hand = engine.hold("asked", final.filter(final.location.notnull() | final.problem.notnull()))
    rows = rows_for(at_hand.count().execute(), _LEAST_IMAGES, _MOST_IMAGES)
    return engine.cut("images_to_judge", at_hand, ["first"], rows)


def _fetch(engine: Engine, remote: ir.Table, settings: CurateSettings) -> pa.Table:
    schema = pa.schema([("image", pa.string()), ("location", pa.string()), ("problem", pa.string())])
    urls = remote.order_by("first").image.to_pyarrow().to_pylist() if settings.download else []
    if not urls:
        return schema.empty_table()
    if len(urls) > _LEAST_IMAGES:
        engine.get_ready()
    limits = download.Limits(
        at_once=settings.fetch_at_once,
        at_once_per_host=settings.fetch_per_host,
        max_bytes=settings.fetch_max_bytes,
        seconds=settings.fetch_seconds,
        redirects=settings.fetch_redirects,
        attempts=settings.fetch_attempts,
    )
    fetched = download.fetch(urls, engine.work / DOWNLOADS, allow_private=settings.allow_private_hosts, limits=limits)
    return fetched.select(schema.names)


def look_at_images(engine: Engine, asked: list[Path], settings: CurateSettings) -> list[Path]:
    """Look at every image of `asked`, see `find_images`; the measurements, `judge.JUDGED`, in the same order."""
    judge = partial(judge_piece, settings=settings)
    return work_through(engine, asked, judge, engine.work / LOOKED, "Looking at images")
