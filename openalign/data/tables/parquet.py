"""Untrusted Parquet files, checked before their rows are used."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from openalign.data.tables.text_source import check_unpacked, is_utf8


def read_parquet(source: Path | pa.NativeFile, most_rows: int | None = None) -> pa.Table:
    """The table of a Parquet file after checking page checksums (if it has any), row counts and texts.

    Raises whatever pyarrow does, or `ValueError`, if it is damaged, has more than `most_rows` or unpacks to too much.
    """
    table = read_unvalidated(source, most_rows)
    table.validate(full=True)  # the reader itself accepts texts that are not UTF-8
    return table


def read_unvalidated(source: Path | pa.NativeFile, most_rows: int | None = None) -> pa.Table:
    """`read_parquet` without the check of the texts."""
    with pq.ParquetFile(source, page_checksum_verification=True) as file:
        rows = file.metadata.num_rows
        if most_rows is not None and rows > most_rows:
            raise ValueError(f"it has {rows:,} rows; up to {most_rows:,} are read")
        stored = source.stat().st_size if isinstance(source, Path) else source.size()
        check_unpacked(sum(file.metadata.row_group(i).total_byte_size for i in range(file.num_row_groups)), stored)
        table = file.read()
    if len(table) != rows:
        raise ValueError(f"it has {len(table):,} rows, but its footer says {rows:,}")
    return table


def with_valid_texts(table: pa.Table, path: Path | str, problems: list[str]) -> pa.Table:
    """The rows whose texts are UTF-8; the others are added to `problems`."""
    try:
        table.validate(full=True)
        return table
    except pa.ArrowInvalid:
        bad = np.zeros(len(table), np.bool_)
    for column in table.columns:
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            texts = column.cast(pa.large_binary()).to_pylist()
            bad |= np.array([text is not None and not is_utf8(text) for text in texts], np.bool_)
    good = table.filter(pa.array(~bad))
    good.validate(full=True)
    problems += [f"{path} row {row + 1} is not UTF-8, and is left out" for row in np.flatnonzero(bad).tolist()]
    return good
