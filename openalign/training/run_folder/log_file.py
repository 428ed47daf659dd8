"""`log.jsonl`: one line a logged step, readable while the run goes on."""

import json
import math
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openalign.errors import OpenAlignError
from openalign.files import whole_file

Record = dict[str, Any]


def read_records(path: Path) -> list[Record]:
    """Every whole line of a log, in order; the last one may be half written, by a run that goes on or was killed.

    Lines that are no record of a step are damage and left out.

    Raises:
        OpenAlignError: the file is there and cannot be read, or is a FIFO, a device or a folder.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise OpenAlignError(f"{path}: is no regular file, so it is not opened; move it away.")
        content = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise OpenAlignError(f"{path}: cannot be read ({error.strerror}).") from None
    records = [_record(line) for line in content.split("\n")]  # texts in it may hold other characters that end lines
    return [record for record in records if record is not None]


def _record(line: str) -> Record | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or type(record.get("step")) is not int or not 0 <= record["step"] < 2**53:
        return None
    return record


def figures_of(record: Record) -> Record:
    """The numbers of a record, its `recall` (numbers by name) and `new_problems` (strings), without what is neither."""
    kept: Record = {key: value for key, value in record.items() if _is_number(value)}
    recall, problems = record.get("recall"), record.get("new_problems")
    kept["recall"] = (
        {name: value for name, value in recall.items() if _is_number(value)} if isinstance(recall, dict) else {}
    )
    kept["new_problems"] = [each for each in problems if isinstance(each, str)] if isinstance(problems, list) else []
    return kept


def _is_number(value: Any) -> bool:
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) < 2**63
    return isinstance(value, float) and math.isfinite(value)


class LogFile:
    """A log to write on; what it holds of steps after `first_step` is cut off, since the run repeats them.

    Raises:
        OSError: the disk is full or cannot be written; the lines that were there stay.
    """

    def __init__(self, path: Path, first_step: int) -> None:
        kept = [record for record in read_records(path) if record["step"] <= first_step]
        with whole_file(path) as part:
            part.write_bytes(b"".join(_line(record) for record in kept))
        self._file = path.open("ab", buffering=0)
        self._newest: Record = {}
        self._start = 0
        self.seconds = float(figures_of(kept[-1]).get("seconds", 0.0)) if kept else 0.0
        """What the run had taken up to `first_step`."""

    def write(self, record: Record) -> None:
        """Add the line of a step, whole or not at all."""
        self._newest, self._start = record, self._file.tell()
        line = memoryview(_line(record))
        try:
            while line:
                line = line[self._file.write(line) :]  # less than all where the disk is about to be full
        except OSError:
            self._file.truncate(self._start)
            raise

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
