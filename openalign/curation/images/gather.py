"""The images of all pairs: found among the sources or fetched, and inspected."""

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

from openalign.curation.engine.base import Engine, rows_per_partition
from openalign.curation.engine.cached_map import cached_map, count_rows, step_folder
from openalign.curation.fetch.distributed import fetch_distributed
from openalign.curation.fetch.entries import location_in
from openalign.curation.fetch.ledger import Entry
from openalign.curation.fetch.settings import FetchSettings
from openalign.curation.images.earlier import indexed_results
from openalign.curation.images.inspection import file_states_of, inspect_batch
from openalign.curation.images.settings import StorageSettings
from openalign.files import whole_file
from openalign.progress import bar, display

INSPECTION = "inspection"
"""The cached step whose results are the measurements of images, and the JPEGs to store beside them."""
DOWNLOADS = "downloads"

_LEAST_IMAGES, _MOST_IMAGES = 256, 4096  # in a batch


def inspect_images(
    engine: Engine, pairs: ir.Table, at_hand: ir.Table, fetch: FetchSettings, seconds: float, storage: StorageSettings
) -> list[Path]:
    """Fetch what the sources only link to, and inspect the images of all pairs: files of `inspection.INSPECTED`.

    `at_hand` has the `location` of each `image` that the sources hold; `seconds` of CPU time is what one may take. Only
    images of pairs that pass the text rules are worth fetching; one that is not available has a `problem`. On one
    machine images are inspected while others are fetched; on many machines all are fetched first.
    """
    batches = _cut(engine, pairs, at_hand, fetch)
    earlier = indexed_results(step_folder(engine.work, INSPECTION))
    inspect = partial(inspect_batch, seconds=seconds, storage=storage, earlier=earlier)
    with display(), closing(_as_they_come(engine, batches, fetch)) as coming:
        return cached_map(
            engine,
            INSPECTION,
            inspect,
            coming,
            description="Inspecting images",
            rows=count_rows(batches),
            depends_on={
                "image_seconds": seconds,
                "stored_shorter_side": storage.stored_shorter_side,
                "jpeg_quality": storage.jpeg_quality,
            },
            state_of=file_states_of,
        )


def _cut(engine: Engine, pairs: ir.Table, at_hand: ir.Table, settings: FetchSettings) -> list[Path]:
    """Images to inspect, in source order, in batches: `image`, `wanted`, `location`, `problem`, `fetch` (it is to be).

    Images that are neither available nor wanted are left out.
    """
    images = engine.materialize("images", _distinct_images(pairs))
    asked = images.left_join(at_hand, "image").drop("image_right")
    remote = asked.location.isnull() & asked.image.re_search("^(?i:https?)://") & settings.download
    missing = "not among the sources" + ("" if settings.download else ", and downloading is off")
    available = asked.location.notnull() | remote
    final = asked.mutate(fetch=remote & asked.wanted, problem=available.ifelse(ibis.null(str), missing))
    images = engine.materialize("asked", final.filter(_.location.notnull() | _.problem.notnull() | _.fetch))
    if engine.is_distributed:
        fetched = fetch_distributed(engine, images, settings, engine.work / DOWNLOADS)
        images = engine.materialize("asked_and_fetched", fetched)
    rows = rows_per_partition(engine.count(images), _LEAST_IMAGES, _MOST_IMAGES)
    return engine.partition("images_to_inspect", images, ["first"], rows)


def _distinct_images(pairs: ir.Table) -> ir.Table:
    """One row per image: `image`, `wanted` (a pair of it passes the text rules), `first` (its first occurrence)."""
    images = pairs.group_by("image").agg(wanted=pairs.text_passes.any(), first=pairs.occurrence.min())
    return images.order_by("first")


def _as_they_come(engine: Engine, batches: Sequence[Path], settings: FetchSettings) -> Generator[Path, None, None]:
    """The batches, each as soon as all its images are fetched, with their `location` or `problem`."""
    missing: list[int] = []  # by batch: the number of its images that are not fetched yet
    batch_of: dict[str, int] = {}
    for number, batch in enumerate(batches):
        rows = pq.ParquetFile(batch).read(["image", "fetch", "location", "problem"]).to_pylist()
        linked = [row["image"] for row in rows if row["fetch"] and not row["location"] and not row["problem"]]
        batch_of |= dict.fromkeys(linked, number)
        missing.append(len(linked))
        if not linked:
            yield batch
    folder, found = engine.work / DOWNLOADS, dict[str, Entry]()
    with closing(_fetched(list(batch_of), folder, settings)) as entries:
        for entry in entries:
            number = batch_of[entry.image]
            found[entry.image] = entry
            missing[number] -= 1
            if not missing[number]:
                _fill_in(batches[number], found, folder)
                yield batches[number]


def _fetched(urls: Sequence[str], folder: Path, settings: FetchSettings) -> Generator[Entry, None, None]:
    """Fetch in a thread of its own; the ledger's entries, in the order in which they are settled."""
    if not urls:
        return
    from openalign.curation.fetch import download  # aiohttp, which takes long to import

    stop, entries = Event(), SimpleQueue[Entry | None]()

    def fetch() -> None:
        with bar("Fetching images", len(urls)) as running:

            def settled(entry: Entry) -> None:
                entries.put(entry)
                running.advance()

            download.fetch(urls, folder, settings=settings, settled=settled, stop=stop)

    with ThreadPoolExecutor(1) as thread:
        fetching = thread.submit(fetch)
        fetching.add_done_callback(lambda _: entries.put(None))
        try:
            while (entry := entries.get()) is not None:
                yield entry
        finally:
            stop.set()
    fetching.result()


def _fill_in(batch: Path, found: dict[str, Entry], folder: Path) -> None:
    """Write the outcome for each linked image into a batch, and remove it from `found`."""
    rows = pq.read_table(batch)
    filled = rows.to_pylist()
    for row in filled:
        if row["fetch"]:
            entry = found.pop(row["image"])
            row |= {"location": location_in(folder, entry), "problem": entry.reason}
    with whole_file(batch) as partial_file:
        pq.write_table(pa.Table.from_pylist(filled, schema=rows.schema), partial_file)
