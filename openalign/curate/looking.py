"""The images of all pairs: found among the sources or fetched, and looked at."""

from pathlib import Path

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.backends.duckdb import Backend

from openalign.curate import download, relations
from openalign.curate.judge import JUDGED, judge_images
from openalign.curate.settings import CurateSettings
from openalign.curate.sources import Extracted
from openalign.progress import bar

_IMAGES_AT_ONCE = 64


def find_images(
    backend: Backend, measured: ir.Table, extracted: Extracted, work: Path, settings: CurateSettings
) -> Path:
    """Fetch what the sources only link to, and write what is to be judged: image, location, wanted, problem.

    Only images of pairs that pass the text rules are worth fetching; one that is nowhere to be had has a `problem`.
    """
    images = backend.create_table("images", relations.wanted_images(measured))
    asked = images.left_join(backend.read_parquet(extracted.images), "image").drop("image_right")
    remote = asked.location.isnull() & asked.image.re_search("^(?i:https?)://")
    fetched = _fetch(asked.filter(remote & asked.wanted), work, settings)
    asked = asked.left_join(ibis.memtable(fetched).rename(fetched="location"), "image").drop("image_right")
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
    at_hand = final.filter(final.location.notnull() | final.problem.notnull()).order_by("first").drop("first")
    backend.to_parquet(at_hand, work / "asked.parquet")
    return work / "asked.parquet"


def _fetch(remote: ir.Table, work: Path, settings: CurateSettings) -> pa.Table:
    schema = pa.schema([("image", pa.string()), ("location", pa.string()), ("problem", pa.string())])
    urls = remote.order_by("first").image.to_pyarrow().to_pylist() if settings.download else []
    if not urls:
        return schema.empty_table()
    limits = download.Limits(
        at_once=settings.fetch_at_once,
        at_once_per_host=settings.fetch_per_host,
        max_bytes=settings.fetch_max_bytes,
        seconds=settings.fetch_seconds,
        redirects=settings.fetch_redirects,
        attempts=settings.fetch_attempts,
    )
    fetched = download.fetch(urls, work / "downloads", allow_private=settings.allow_private_hosts, limits=limits)
    return fetched.select(schema.names)


def look_at_images(asked: Path, work: Path, workers: int, settings: CurateSettings) -> Path:
    """Look at every image of `asked`; the measurements (`JUDGED`) go to the file returned, JPEGs beside it."""
    opened = pq.ParquetFile(asked)
    seen = work / "seen.parquet"
    workers = max(1, min(workers, opened.metadata.num_rows // _IMAGES_AT_ONCE))
    batches = opened.iter_batches(batch_size=_IMAGES_AT_ONCE)
    with pq.ParquetWriter(seen, JUDGED) as file, bar("Looking at images", opened.metadata.num_rows) as running:
        for batch in judge_images(batches, work, workers, settings):
            file.write_batch(batch)
            running.advance(batch.num_rows)
    return seen
