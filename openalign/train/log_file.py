"""`log.jsonl`: one line a logged step, readable while the run goes on."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openalign.files import whole_file

Record = dict[str, Any]


def read_records(path: Path) -> list[Record]:
    """Every whole line of a log, in order; the last one may be half written, by a run that goes on or was killed."""
    if not path.exists():
        return []
    records = [_record(line) for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    return [record for record in records if record is not None]


def _record(line: str) -> Record | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "step" in record else None


class LogFile:
    """A log to write on; what it holds of steps after `first_step` is cut off, since the run repeats them."""

    def __init__(self, path: Path, first_step: int) -> None:
        kept = [record for record in read_records(path) if record["step"] <= first_step]
        with whole_file(path) as part:
            part.write_bytes(b"".join(_line(record) for record in kept))
        self._file = path.open("ab")
        self._newest: Record = {}
        self._start = 0
        self.seconds = float(kept[-1].get("seconds", 0.0)) if kept else 0.0
        """What the run had taken up to `first_step`."""

    def write(self, record: Record) -> None:
        """Add the line of a step."""
        self._newest, self._start = record, self._file.tell()
        self._file.write(_line(record))
        self._file.flush()

    def amend(self, step: int, values: Mapping[str, Any]) -> None:
        """Add values to the line of `step` if it is the newest one, else a line of their own."""
        if self._newest.get("step") != step:
            self.write({"step": step, **values})
            return
        self._file.truncate(self._start)
        self._file.seek(self._start)
        self.write({**self._newest, **values})

    def close(self) -> None:
        self._file.close()


def _line(record: Record) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode() + b"\n"
