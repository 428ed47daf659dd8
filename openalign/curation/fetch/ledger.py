"""The ledger of downloads: one JSON line for each address that was dealt with, so that a killed run goes on."""

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
_LONGEST_LINE = 16 << 20  # bytes; a longer one is not read into memory
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
    """What became of one address."""

    image: str
    status: str
    """`kept`; `refused` (it will not do); `failed` (another run tries again)."""
    reason: str | None = None
    bytes: int = 0
    sha256: str | None = None
    """Of the file's content, hexadecimal."""
    file: str | None = None
    """Relative to the folder of the ledger; `file_of(image)`."""


def file_of(image: str) -> str:
    """Where the image of an address lies, relative to the folder of the ledger."""
    name = hashlib.sha256(image.encode()).hexdigest()
    return f"{name[:2]}/{name}"


def read_ledger(path: Path) -> dict[str, Entry]:
    """Return the last entry of each address. Damaged lines are passed over."""
    return _read(path)[0]


def mend_ledger(path: Path) -> dict[str, Entry]:
    """As `read_ledger`; damaged lines are taken out of the file as well, and their number is said."""
    entries, damaged = _read(path)
    if damaged:
        say(f"{path}: {damaged:,} damaged lines; the images they were about are fetched again")
        with whole_file(path) as partial, partial.open("w", encoding="utf-8") as stream:
            for entry in entries.values():
                write_entry(stream, entry)
    return entries


def _read(path: Path) -> tuple[dict[str, Entry], int]:
    """The last entry of each address, and the number of damaged lines."""
    entries: dict[str, Entry] = {}
    damaged = 0
    for line in _lines(path) if path.exists() else ():
        if (entry := _entry_of(line)) is None:
            damaged += 1
        else:
            entries[entry.image] = entry
    return entries, damaged


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a file; of one that is too long for an entry, a part that is none."""
    with path.open("rb") as file:
        while line := file.readline(_LONGEST_LINE):
            yield line
            while not line.endswith(b"\n") and (line := file.readline(_LONGEST_LINE)):
                pass


def _entry_of(line: bytes) -> Entry | None:
    """The entry that a line holds; None where it holds none, or one that `write_entry` cannot have written."""
    try:
        entry = Entry(**json.loads(line))
        right = all(isinstance(getattr(entry, name), kind) for name, kind in _TYPES.items())
        if not right or entry.status not in STATUSES:
            return None
        f"{entry.image}{entry.reason}".encode()  # JSON can hold half a character, which no table can
        kept = (entry.file, entry.reason) == (file_of(entry.image), None) and entry.sha256 is not None
        failed = entry.file is None and entry.reason is not None
        return entry if (kept if entry.status == "kept" else failed) else None
    except (ValueError, TypeError, RecursionError):
        return None


def join_ledgers(folder: Path) -> None:
    """Add to the ledger in `folder` those that tasks kept beside it (`ledger.NAME.jsonl`), and remove them."""
    parts = sorted(folder.glob(f"{Path(LEDGER).stem}.*.jsonl"))
    if not parts:
        return
    with open_ledger(folder / LEDGER) as whole:
        for part in parts:
            for entry in mend_ledger(part).values():
                write_entry(whole, entry)
            part.unlink()


def open_ledger(path: Path) -> TextIO:
    """Open the ledger to append to it; an unfinished last line is ended first."""
    stream = path.open("a", encoding="utf-8")
    if stream.tell():
        with path.open("rb") as written:
            written.seek(-1, os.SEEK_END)
            if written.read() != b"\n":
                stream.write("\n")
    return stream


def write_entry(ledger: TextIO, entry: Entry) -> None:
    """Append one line, handed to the operating system at once."""
    ledger.write(json.dumps(asdict(entry), ensure_ascii=False) + "\n")
    ledger.flush()
