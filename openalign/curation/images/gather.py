"""The images of all pairs: found among the sources or fetched, and looked at."""

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Event

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq
from ibis import _

from openalign.curation.engine.base import Engine, rows_for
from openalign.curation.engine.cached_map import count_rows, work_through
from openalign.curation.fetch import download
from openalign.curation.fetch.distributed import fetch_apart
from openalign.curation.fetch.ledger import Entry
from openalign.curation.fetch.settings import FetchSettings
from openalign.curation.images.inspection import judge_piece
from openalign.curation.images.settings import ImageSettings, StorageSettings
from openalign.curation.sources.extract import Extracted
from openalign.files import whole_file
from openalign.progress import bar, display

LOOKED = "looked"
"""The folder, in that of the engine, where the results of looking lie, measurements as well as JPEGs."""
DOWNLOADS = "downloads"

_LEAST_IMAGES, _MOST_IMAGES = 64, 4096  # in a piece


def look_at_images(
    engine: Engine,
    measured: ir.Table,
    extracted: Extracted,
    *,
    fetch: FetchSettings,
    image: ImageSettings,
    storage: StorageSettings,
) -> list[Path]:
    """Fetch what the sources only link to, and look at every image that is to be judged: files of `judge.JUDGED`.

    Only images of pairs that pass the text rules are worth fetching; one that is nowhere to be had has a `problem`.
    On one machine images are looked at while others are fetched; many machines fetch side by side.
    """
    pieces = _cut(engine, measured, extracted, fetch)
    judge = partial(judge_piece, image=image, storage=storage)
    with display(), closing(_as_they_come(engine, pieces, fetch)) as coming:
        return work_through(engine, coming, judge, engine.work / LOOKED, "Looking at images", count_rows(pieces))


def _cut(engine: Engine, measured: ir.Table, extracted: Extracted, settings: FetchSettings) -> list[Path]:
    """Images to judge, in source order, in pieces: `image`, `wanted`, `location`, `problem`, `fetch` (it shall be)."""
    images = engine.hold("images", _wanted_images(measured))
    asked = images.left_join(extracted.images, "image").drop("image_right")
    remote = asked.location.isnull() & asked.image.re_search("^(?i:https?)://") & settings.download
    missing = "not among the sources" + ("" if settings.download else ", and downloading is off")
    at_hand = asked.location.notnull() | remote
    final = asked.mutate(fetch=remote & asked.wanted, problem=at_hand.ifelse(ibis.null(str), missing))
    judged = engine.hold("asked", final.filter(_.location.notnull() | _.problem.notnull() | _.fetch))
    if engine.fetches_apart:
        judged = engine.hold("asked_and_fetched", fetch_apart(engine, judged, settings, engine.work / DOWNLOADS))
    rows = rows_for(judged.count().execute(), _LEAST_IMAGES, _MOST_IMAGES)
    return engine.cut("images_to_judge", judged, ["first"], rows)


def _wanted_images(measured: ir.Table) -> ir.Table:
    """One row a distinct image: `image`, `wanted` (a pair of it passes the text rules), `first` (first occurrence)."""
    images = measured.group_by("image").agg(wanted=measured.text_passes.any(), first=measured.occurrence.min())
    return images.order_by("first")


def _as_they_come(engine: Engine, pieces: Sequence[Path], settings: FetchSettings) -> Generator[Path, None, None]:
    """The pieces, each as soon as what it links to is fetched: its `location` and `problem` are then filled in."""
    waiting: list[int] = []  # by piece: how many of its images are still to come
    piece_of: dict[str, int] = {}
    for number, piece in enumerate(pieces):
        rows = pq.read_table(piece, columns=["image", "fetch", "location", "problem"]).to_pylist()
        linked = [row["image"] for row in rows if row["fetch"] and not row["location"] and not row["problem"]]
        piece_of |= dict.fromkeys(linked, number)
        waiting.append(len(linked))
        if not linked:
            yield piece
    if not piece_of:
        return
    folder, stop = engine.work / DOWNLOADS, Event()
    found: dict[str, Entry] = {}
    whole: SimpleQueue[int | None] = SimpleQueue()

    def fetch() -> None:
        with bar("Fetching images", len(piece_of)) as running:

            def settled(entry: Entry) -> None:
                number = piece_of[entry.image]
                found[entry.image] = entry
                waiting[number] -= 1
                if not waiting[number]:
                    whole.put(number)
                running.advance()

            download.fetch(list(piece_of), folder, settings=settings, settled=settled, stop=stop)

    with ThreadPoolExecutor(1) as thread:
        fetching = thread.submit(fetch)
        fetching.add_done_callback(lambda _: whole.put(None))
        try:
            while (complete := whole.get()) is not None:
                _fill_in(pieces[complete], found, folder)
                yield pieces[complete]
        finally:
            stop.set()
    fetching.result()


def _fill_in(piece: Path, found: dict[str, Entry], folder: Path) -> None:
    """Write into a piece what became of its linked images, and forget it."""
    rows = pq.read_table(piece)
    filled = rows.to_pylist()
    for row in filled:
        if row["fetch"]:
            entry = found.pop(row["image"])
            row |= {"location": download.location_of(entry, folder), "problem": entry.reason}
    with whole_file(piece) as partial_file:
        pq.write_table(pa.Table.from_pylist(filled, schema=rows.schema), partial_file)
