"""Entries of a ledger: where the fetched images lie, and which URLs need not be fetched again."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from openalign.checksums import Checksum, checksum_of
from openalign.curation.fetch.ledger import Entry
from openalign.curation.sources.locations import location_of


def entry_table(entries: Sequence[Entry], folder: Path) -> pa.Table:
    """Entries of the ledger in `folder` as a table: `image`, `location`, `problem`."""
    columns = {
        "image": [entry.image for entry in entries],
        "location": [location_in(folder, entry) for entry in entries],
        "problem": [entry.reason for entry in entries],
    }
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def location_in(folder: Path, entry: Entry) -> str | None:
    """The location of a fetched image, as a string; None if the entry has none. `folder` is that of the ledger."""
    return location_of(folder / entry.file).write() if entry.file else None


def is_settled(entry: Entry | None, to: Path) -> bool:
    """Whether a URL need not be fetched again: it was refused, or its file is intact."""
    if entry is None or entry.status == "failed":
        return False
    if entry.file is None:
        return True
    try:
        return checksum_of(to / entry.file) == Checksum(entry.bytes, entry.sha256 or "")
    except OSError:
        return False
