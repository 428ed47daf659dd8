"""The ledger of downloads: one JSON line for each address that was dealt with, so that a killed run goes on."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

LEDGER = "ledger.jsonl"


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
    """Relative to the folder of the ledger."""


def read_ledger(path: Path) -> dict[str, Entry]:
    """Return the last entry of each address. A line cut off by a crash is passed over."""
    entries: dict[str, Entry] = {}
    if not path.exists():
        return entries
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                entry = Entry(**json.loads(line))
            except (ValueError, TypeError):
                continue
            entries[entry.image] = entry
    return entries


def join_ledgers(folder: Path) -> None:
    """Add to the ledger in `folder` those that tasks kept beside it (`ledger.NAME.jsonl`), and remove them."""
    parts = sorted(folder.glob(f"{Path(LEDGER).stem}.*.jsonl"))
    if not parts:
        return
    with open_ledger(folder / LEDGER) as whole:
        for part in parts:
            for entry in read_ledger(part).values():
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
