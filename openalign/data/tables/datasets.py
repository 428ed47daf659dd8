"""Datasets in the layouts of Hugging Face `datasets`: Arrow files of `save_to_disk`, or Parquet files as on the hub.

Arrow files are memory-mapped only while they are opened, because a mapped file that is truncated kills the process.
Afterwards images are read from the files, and everything else is held in memory.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from openalign.data.tables.combine import concatenated
from openalign.errors import OpenAlignError


def visible_files(folder: Path, suffix: str) -> list[Path]:
    """The files directly in `folder` with that suffix, sorted, without hidden ones, which a killed run may leave."""
    return sorted(file for file in folder.glob(f"*{suffix}") if not file.name.startswith("."))


def arrow_files(folder: Path) -> list[Path]:
    """The files of a dataset saved to `folder`, in order; none if it is not such a folder.

    Raises `OpenAlignError` if it holds several datasets, or if the files are missing.
    """
    if (folder / "dataset_dict.json").exists():
        splits = sorted(each.name for each in folder.iterdir() if (each / "state.json").exists())
        raise OpenAlignError(f"{folder} holds several datasets ({', '.join(splits)}): give one of these folders")
    if not (folder / "state.json").exists():
        return []
    found = visible_files(folder, ".arrow")
    if not found:
        raise OpenAlignError(f"{folder} is a saved dataset without its .arrow files: save or fetch it again")
    return found


def parquet_files(folder: Path) -> list[Path]:
    """The Parquet files of a dataset in `folder` or `folder/data`, in order.

    Raises `OpenAlignError` if they belong to several splits.
    """
    for parent in (folder, folder / "data"):
        found = [file for file in visible_files(parent, ".parquet") if not file.name.endswith(".index.parquet")]
        splits = sorted({file.name.split("-")[0] for file in found if "-of-" in file.name})
        if len(splits) > 1:
            raise OpenAlignError(
                f"{parent} holds several splits ({', '.join(splits)}): move the files of one into a folder of its own"
            )
        if found:
            return found
    return []


def read_arrow(files: Sequence[Path], problems: list[str]) -> tuple[pa.Table, list[Path], list[pa.Buffer]]:
    """The rows of Arrow stream files, the readable files, and the memory map of each, which the rows refer to.

    A damaged or truncated file is left out and added to `problems`.
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
        except Exception as error:  # pyarrow raises most of the built-in exceptions on damaged files
            reason = str(error).partition("\n")[0] or type(error).__name__
            damage = f"{file} cannot be read as a saved dataset ({reason}): save or fetch it again"
            first = first or damage
            problems.append(damage)
            continue
        tables.append(table)
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


def captions_as_rows(table: pa.Table, column: str, need_text: bool) -> tuple[pa.Table, NDArray[np.int64]]:
    """One row per caption if `column` holds lists of captions, and the row of `table` that each came from.

    Without `need_text` each image stays one row, with its first caption. Rows without captions are kept, in order.
    """
    every_row = np.arange(len(table))
    if column not in table.column_names or not _is_list_of_strings(table[column].type):
        return table, every_row
    captions = table[column].combine_chunks()
    parents = pc.list_parent_indices(captions).to_numpy().astype(np.int64)
    without = np.setdiff1d(every_row, parents)
    texts = pa.concat_arrays([pc.list_flatten(captions).cast(pa.string()), pa.nulls(len(without), pa.string())])
    rows = np.concatenate([parents, without])
    order = np.argsort(rows, kind="stable")
    if not need_text:
        order = order[np.unique(rows[order], return_index=True)[1]]
    others = table.drop_columns([column]).take(pa.array(rows[order]))
    return others.append_column(column, texts.take(pa.array(order))), rows[order]


def _is_list_of_strings(kind: pa.DataType) -> bool:
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        return False
    return bool(pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type))
