"""Datasets in the layouts of Hugging Face `datasets`: Arrow files of `save_to_disk`, or Parquet files as on the hub.

Arrow files are memory-mapped only while they are opened, because a mapped file that is truncated kills the process.
Afterwards images are read from the files, and everything else is held in memory.
"""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import pyarrow as pa

from openalign.data.files.damage import reason_of, start_of
from openalign.data.left_out import Kind, LeftOut
from openalign.data.tables.class_names import class_names, with_class_names
from openalign.data.tables.combine import concatenated
from openalign.data.tables.plain_types import with_plain_types
from openalign.errors import OpenAlignError

_PART = re.compile(r"^(?P<before>.*?)(?P<number>\d{2,})-of-(?P<count>\d{2,})[^/]*$")
"""The name of a part; older versions of `datasets` write a hash behind it."""
_MOST_NAMED = 20


def arrow_files(folder: Path, problems: list[str] | None = None) -> list[Path]:
    """The files of a dataset saved to `folder`, in order; none if it is not such a folder.

    They are those that `state.json` names: `map` and `filter` leave others beside them. Those that do not exist are
    added to `problems`. Raises `OpenAlignError` if none exists.
    """
    state = folder / "state.json"
    if not state.exists():
        return []
    told: list[str] = [] if problems is None else problems
    files = [folder / name for name in _named_files(state)]
    if not files:
        files = sorted(file for file in folder.glob("*.arrow") if not file.name.startswith((".", "cache-", "tmp")))
        told.append(f"{state} names no files: every .arrow file beside it is read that is not one of a cache")
        told += missing_parts(map(str, files))
    missing = [file for file in files if not file.is_file()]
    if len(missing) == len(files):
        raise OpenAlignError(f"{folder} is a saved dataset without its .arrow files: save or fetch it again")
    if missing:
        names = ", ".join(file.name for file in missing[:_MOST_NAMED])
        message = f"{folder}: {len(missing):,} files that state.json names are missing ({names}): save or fetch them"
        told.append(LeftOut(Kind.FILE_MISSING, message, len(missing)))
    return [file for file in files if file not in set(missing)]


def _named_files(state: Path) -> list[str]:
    """The names of the data files in a `state.json`, in order; none if it has none, or they lie elsewhere."""
    try:
        content = json.loads(state.read_bytes())
        names = [entry["filename"] for entry in content["_data_files"]]
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return []
    is_inside = all(isinstance(name, str) and name and name == PurePosixPath(name).name for name in names)
    return list(dict.fromkeys(names)) if is_inside else []


def missing_parts(names: Iterable[str]) -> list[str]:
    """What the names of a dataset's files announce that is not there: `train-00000-of-00004.parquet` is one of four.

    A message for each set of parts that is incomplete, and a note where sets of different sizes lie side by side.
    """
    sets: dict[tuple[str, int], set[int]] = {}
    for name in names:
        if found := _PART.match(name):
            sets.setdefault((found["before"], int(found["count"])), set()).add(int(found["number"]))
    problems: list[str] = []
    for (before, count), numbers in sets.items():
        shown = before.rstrip("-_.")
        if others := sorted(other for prefix, other in sets if prefix == before and other > count):
            problems.append(f"{shown} is there in {count:,} parts and in {others[0]:,}: both are read, so remove one")
        missing = count - len({number for number in numbers if number < count})
        if missing > 0:
            absent = [f"{number:05d}" for number in range(min(count, 10_000)) if number not in numbers]
            listed = ", ".join(absent[:_MOST_NAMED]) + (", ..." if missing > _MOST_NAMED else "")
            message = f"{shown} has {count:,} parts by their names, of which {missing:,} are missing: {listed}"
            problems.append(LeftOut(Kind.FILE_MISSING, message, missing))
    return problems


def read_arrow(files: Sequence[Path], problems: list[str]) -> tuple[pa.Table, list[Path], list[pa.Buffer]]:
    """The rows of Arrow stream files, the readable files, and the memory map of each, which the rows refer to.

    A damaged or truncated file is left out and added to `problems`. Numbers of classes are replaced by their names.
    Raises `OpenAlignError` naming the first file if none can be read.
    """
    tables, read, maps = [], [], []
    first = ""
    for file in files:
        try:
            mapped = pa.memory_map(str(file)).read_buffer()
            table = pa.ipc.open_stream(pa.BufferReader(mapped)).read_all()
            table.validate(full=True)
            if any(table.schema.get_field_index(name) < 0 for name in table.column_names):
                raise ValueError("names of columns are damaged or repeated")
            named, table = class_names(table.schema, file.parent), with_plain_types(table)
        except Exception as error:  # pyarrow raises most of the built-in exceptions on damaged files
            reason = reason_of(error, start_of(file))
            damage = f"{file} cannot be read as a saved dataset ({reason}): save or fetch it again"
            first = first or damage
            problems.append(LeftOut(Kind.FILE_NOT_READ, damage))
            continue
        tables.append(with_class_names(table, named, str(file), problems))
        read.append(file)
        maps.append(mapped)
    if first and not read:
        raise OpenAlignError(first)
    return concatenated(tables, str(files[0].parent)), read, maps


def in_memory(table: pa.Table) -> pa.Table:
    """A copy of the table that does not refer to any file."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return pa.ipc.open_stream(sink.getvalue()).read_all()
