"""Linked images fetched by many machines side by side: each host by one of them, which keeps to what a host is asked.

Each task keeps a ledger of its own; when all have ended, or a later run begins, they are joined to the one that a
single process would have written. So a run begun on one engine goes on, with what was fetched, on the other.
"""

from functools import partial
from pathlib import Path

import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq
from ibis import _

from openalign.curation.engine.base import Engine, rows_per_partition
from openalign.curation.engine.cached_map import count_rows
from openalign.curation.fetch.download import fetch, is_settled, location_of
from openalign.curation.fetch.ledger import LEDGER, join_ledgers, mend_ledger, read_ledger
from openalign.curation.fetch.settings import FetchSettings

_LEAST_ADDRESSES, _MOST_ADDRESSES = 64, 20_000  # of a task
_HOST = "^(?i:https?)://([^/?#]*)"


def fetch_distributed(engine: Engine, asked: ir.Table, settings: FetchSettings, folder: Path) -> ir.Table:
    """`asked` (with `image`, `fetch`, `location`, `problem`) when what it links to lies in `folder`, or never will.

    Every machine must see `folder` under the same path.
    """
    folder.mkdir(exist_ok=True)
    join_ledgers(folder)
    mend_ledger(folder / LEDGER)
    known = engine.from_arrow("fetched_before", _rows_of(folder, settled=True))
    linked = asked.filter(_.fetch).anti_join(known, "image")
    hosts = engine.materialize("to_fetch", linked.select("image", host=linked.image.re_extract(_HOST, 1).lower()))
    rows = rows_per_partition(hosts.count().to_pyarrow().as_py(), _LEAST_ADDRESSES, _MOST_ADDRESSES)
    pieces = engine.partition("addresses", hosts, ["host"], rows)
    task = partial(_fetch_piece, folder=folder, settings=settings)
    engine.run(task, pieces, "Fetching images", count_rows(pieces), lambda piece: count_rows([piece]))
    join_ledgers(folder)
    fetched = engine.from_arrow("fetched", _rows_of(folder, settled=False))
    found = asked.left_join(fetched, "image")
    location, problem = (found.fetch.ifelse(found[f"{name}_right"], found[name]) for name in ("location", "problem"))
    unknown = found.fetch & location.isnull() & problem.isnull()  # its line in the ledger was damaged since
    problem = unknown.ifelse("could not be fetched", problem)
    return found.mutate(location=location, problem=problem).select(asked.columns)


def _fetch_piece(piece: Path, folder: Path, settings: FetchSettings) -> None:
    addresses = pq.read_table(piece, columns=["image"])["image"].to_pylist()
    fetch(addresses, folder, settings=settings, ledger=f"{Path(LEDGER).stem}.{piece.stem}.jsonl")


def _rows_of(folder: Path, settled: bool) -> pa.Table:
    """The ledger in `folder` as a table of `image`, `location` and `problem`; only what is `settled`, or all."""
    entries = [entry for entry in read_ledger(folder / LEDGER).values() if not settled or is_settled(entry, folder)]
    columns = {
        "image": [entry.image for entry in entries],
        "location": [location_of(entry, folder) for entry in entries],
        "problem": [entry.reason for entry in entries],
    }
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
