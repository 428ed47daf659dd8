"""Linked images fetched by many machines in parallel; each host by one of them, so that limits per host hold.

Each task writes a ledger of its own. When all have finished, or a later run starts, they are merged into the one that a
single process would have written, so that a run can resume on the other engine.
"""

from functools import partial
from pathlib import Path

import ibis.expr.types as ir
import pyarrow.parquet as pq
from ibis import _

from openalign.curation.engine.base import Engine, rows_per_partition
from openalign.curation.engine.cached_map import count_rows
from openalign.curation.fetch.entries import entry_table, is_settled
from openalign.curation.fetch.ledger import LEDGER, Entry, join_ledgers, mend_ledger, read_ledger
from openalign.curation.fetch.settings import FetchSettings

_MIN_URLS, _MAX_URLS = 64, 20_000  # of a task
_HOST = "^(?i:https?)://([^/?#]*)"


def fetch_distributed(engine: Engine, asked: ir.Table, settings: FetchSettings, folder: Path) -> ir.Table:
    """Fetch the images of `asked` (`image`, `fetch`, `location`, `problem`) with `fetch` into `folder`.

    Returns `asked` with their location or problem. `folder` must have the same path on every machine.
    """
    folder.mkdir(exist_ok=True)
    join_ledgers(folder)
    mend_ledger(folder / LEDGER)
    known = engine.from_arrow("fetched_before", entry_table(_settled(folder), folder))
    linked = asked.filter(_.fetch).anti_join(known, "image")
    hosts = engine.materialize("to_fetch", linked.select("image", host=linked.image.re_extract(_HOST, 1).lower()))
    rows = rows_per_partition(engine.count(hosts), _MIN_URLS, _MAX_URLS)
    partitions = engine.partition("urls", hosts, ["host"], rows)
    task = partial(_fetch_partition, folder=folder, settings=settings)
    engine.run(task, partitions, "Fetching images", count_rows(partitions), lambda file: count_rows([file]))
    join_ledgers(folder)
    fetched = engine.from_arrow("fetched", entry_table([*read_ledger(folder / LEDGER).values()], folder))
    found = asked.left_join(fetched, "image")
    location, problem = (found.fetch.ifelse(found[f"{name}_right"], found[name]) for name in ("location", "problem"))
    unknown = found.fetch & location.isnull() & problem.isnull()  # its line in the ledger was damaged meanwhile
    problem = unknown.ifelse("could not be fetched", problem)
    return found.mutate(location=location, problem=problem).select(asked.columns)


def _fetch_partition(file: Path, folder: Path, settings: FetchSettings) -> None:
    from openalign.curation.fetch.download import fetch  # aiohttp, which takes long to import

    urls = pq.read_table(file, columns=["image"])["image"].to_pylist()
    fetch(urls, folder, settings=settings, ledger=f"{Path(LEDGER).stem}.{file.stem}.jsonl")


def _settled(folder: Path) -> list[Entry]:
    """The entries of the ledger in `folder` that need not be fetched again."""
    return [entry for entry in read_ledger(folder / LEDGER).values() if is_settled(entry, folder)]
