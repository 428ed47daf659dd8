"""The ledger of downloads: one JSON line per URL, so that an interrupted run resumes."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from openalign.files import whole_file
from openalign.progress import say

LEDGER = "ledger.jsonl"

STATUSES = ("kept", "refused", "failed")
_MAX_LINE = 16 << 20  # bytes; a longer line is not read into memory
_TYPES: dict[str, Any] = {
    "image": str,
    "status": str,
    "reason": str | None,
    "bytes": int,
    "sha256": str | None,
    "file": str | None,
}


@dataclass(frozen=True)
class Entry:
    """The outcome of one URL."""

    image: str
    status: str
    """`kept`; `refused` (permanently); `failed` (the next run tries again)."""
    reason: str | None = None
    bytes: int = 0
    sha256: str | None = None
    """SHA-256 of the file, hexadecimal."""
    file: str | None = None
    """Relative to the folder of the ledger; `file_of(image)`."""


def file_of(image: str) -> str:
    """The file of the image of a URL, relative to the folder of the ledger."""
    name = hashlib.sha256(image.encode()).hexdigest()
    return f"{name[:2]}/{name}"


def read_ledger(path: Path) -> dict[str, Entry]:
    """The last entry of each URL. Damaged lines are skipped."""
    return _read(path)[0]


def mend_ledger(path: Path) -> dict[str, Entry]:
    """Like `read_ledger`, but also removes damaged lines from the file, with a message."""
    entries, damaged = _read(path)
    if damaged:
        say(f"{path}: {damaged:,} damaged lines; the images they were about are fetched again")
        with whole_file(path) as partial, partial.open("w", encoding="utf-8") as stream:
            for entry in entries.values():
                write_entry(stream, entry)
    return entries


def _read(path: Path) -> tuple[dict[str, Entry], int]:
    """The last entry of each URL, and the number of damaged lines."""
    entries: dict[str, Entry] = {}
    damaged = 0
    for line in _lines(path) if path.exists() else ():
        if (entry := _entry_of(line)) is None:
            damaged += 1
        else:
            entries[entry.image] = entry
    return entries, damaged


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a file; a line that is too long for an entry is cut, so that it is not a valid one."""
    with path.open("rb") as file:
        while line := file.readline(_MAX_LINE):
            yield line
            while not line.endswith(b"\n") and (line := file.readline(_MAX_LINE)):
                pass


def _entry_of(line: bytes) -> Entry | None:
    """The entry of a line; None if it is damaged, or `write_entry` cannot have written it."""
    try:
        entry = Entry(**json.loads(line))
        typed = all(isinstance(getattr(entry, name), kind) for name, kind in _TYPES.items())
        if not typed or entry.status not in STATUSES:
            return None
        f"{entry.image}{entry.reason}".encode()  # JSON can hold a lone surrogate, tables cannot
        kept = (entry.file, entry.reason) == (file_of(entry.image), None) and entry.sha256 is not None
        failed = entry.file is None and entry.reason is not None
        return entry if (kept if entry.status == "kept" else failed) else None
    except (ValueError, TypeError, RecursionError):
        return None


def join_ledgers(folder: Path) -> None:
    """Append the ledgers of tasks (`ledger.NAME.jsonl`) to the ledger in `folder`, and remove them."""
    ledgers = sorted(folder.glob(f"{Path(LEDGER).stem}.*.jsonl"))
    if not ledgers:
        return
    with open_ledger(folder / LEDGER) as whole:
        for ledger in ledgers:
            for entry in mend_ledger(ledger).values():
                write_entry(whole, entry)
            ledger.unlink()


def open_ledger(path: Path) -> TextIO:
    """Open the ledger for appending; an unfinished last line is terminated first."""
    stream = path.open("a", encoding="utf-8")
    if stream.tell():
        with path.open("rb") as written:
            written.seek(-1, os.SEEK_END)
            if written.read() != b"\n":
                stream.write("\n")
    return stream


def write_entry(ledger: TextIO, entry: Entry) -> None:
    """Append one line and flush it to the operating system."""
    ledger.write(json.dumps(asdict(entry), ensure_ascii=False) + "\n")
    ledger.flush()
