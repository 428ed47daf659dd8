"""`log.jsonl`: one line per logged step, readable while the run goes on."""

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
    """The records of a log, in order. The last line may be incomplete, in a run that goes on or was killed.

    Lines that are not the record of a step are damaged, and skipped.

    Raises:
        OpenAlignError: the file exists and cannot be read, or is a FIFO, a device or a folder.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise OpenAlignError(f"{path}: not a regular file, so it is not read; move it away.")
        content = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise OpenAlignError(f"{path}: cannot be read ({error.strerror}).") from None
    records = [_record(line) for line in content.split("\n")]  # texts in it may hold other line separators
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
    """The numbers of a record, its `recall` (numbers by name) and `new_problems` (strings), and no other values."""
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
    """A log open for appending; records of steps after `first_step` are removed, since the run repeats them.

    Raises:
        OSError: the disk is full or cannot be written; the existing lines stay.
    """

    def __init__(self, path: Path, first_step: int) -> None:
        kept = [record for record in read_records(path) if record["step"] <= first_step]
        with whole_file(path) as partial:
            partial.write_bytes(b"".join(_line(record) for record in kept))
        self._file = path.open("ab", buffering=0)
        self._newest: Record = {}
        self._start = 0
        self.seconds = float(figures_of(kept[-1]).get("seconds", 0.0)) if kept else 0.0
        """Training time up to `first_step`."""

    def write(self, record: Record) -> None:
        """Append the record of a step, wholly or not at all."""
        self._newest, self._start = record, self._file.tell()
        line = memoryview(_line(record))
        try:
            while line:
                line = line[self._file.write(line) :]  # short writes happen when the disk is nearly full
        except OSError:
            self._file.truncate(self._start)
            raise

    def amend(self, step: int, values: Mapping[str, Any]) -> None:
        """Add values to the record of `step` if it is the newest one, otherwise append a record with them."""
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
