"""Pairs of image and text, from anything a DATA argument may name: shards, folders of images, tables."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from openalign.data.files.recorded import check_recorded
from openalign.data.files.remote import is_address, list_tars
from openalign.data.pairs.file_images import FileImages, image_paths, text_beside
from openalign.data.shards.index import Tar, check_sidecars, read_indexes
from openalign.data.shards.shards import ShardImages
from openalign.data.shards.sidecar import DIGEST
from openalign.data.tables.datasets import (
    arrow_files,
    captions_as_rows,
    in_memory,
    parquet_files,
    part_images,
    read_arrow,
    stored_images,
    visible_files,
)
from openalign.data.tables.read import (
    TABLE_SUFFIXES,
    find_columns,
    joined,
    read_raw_table,
    read_table,
    table_suffix,
    with_named_columns,
)
from openalign.errors import OpenAlignError

__all__ = ["Pairs", "find_columns", "open_pairs", "read_table"]


class ImageStore(Protocol):
    """Where the bytes of the images lie, by row."""

    def image_bytes(self, row: int) -> bytes: ...

    def select(self, rows: NDArray[np.int64]) -> "ImageStore": ...

    def identity(self) -> bytes:
        """Changes when the stored images do: by place, size and time of change, without reading them."""
        ...


@dataclass(frozen=True)
class Pairs:
    """Images and their texts, in a fixed order; picklable, so that loader workers can have it.

    `table` has the columns `image` (path or address as found) and `text` (null where there is none), then the
    source's other columns; class folders add `label`. `problems` has a sentence for what was left out on opening.
    """

    name: str
    table: pa.Table
    images: ImageStore
    source_rows: NDArray[np.int64]
    """(N,) the row, from 0, that each pair had in its source."""
    problems: tuple[str, ...] = field(default=())
    image_key: str = "image"
    """The column whose equal values mean the same image; where it has none, the row of the source does."""

    def __len__(self) -> int:
        return len(self.table)

    def texts(self, rows: NDArray[np.int64] | None = None) -> list[str]:
        """The text of every pair, or of those in `rows`; "" where there is none."""
        chosen = self.table["text"] if rows is None else self.table["text"].take(pa.array(rows))
        texts: list[str] = pc.fill_null(chosen, "").to_pylist()
        return texts

    def image_ids(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """(B,) numbers that are equal where the image is: by its checksum, else path or address, else source row.

        The same in every process and every run.
        """
        found: list[str | None] = self.table[self.image_key].take(pa.array(rows)).to_pylist()
        return ids_of([key or f"row {self.source_rows[row]}" for key, row in zip(found, rows, strict=True)])

    def image_bytes(self, row: int) -> bytes:
        """The stored bytes of the image. Raises `OpenAlignError` naming the row if there are none to read."""
        try:
            return self.images.image_bytes(row)
        except OpenAlignError as error:
            raise OpenAlignError(f"{self.row_name(row)}: {error}") from None

    def checked_every(self, rows: int) -> "Pairs":
        """The same pairs; of images that have a digest, only one in so many rows is compared with it when read."""
        return replace(self, images=self.images.checked_every(rows)) if isinstance(self.images, ShardImages) else self

    def fingerprint(self) -> str:
        """Changes when any of these images is another one, or another in its order."""
        hashed = hashlib.blake2b(self.images.identity(), digest_size=16)
        hashed.update(repr(self.table["image"].to_pylist()).encode())
        return hashed.hexdigest()

    def row_name(self, row: int) -> str:
        """What to call a pair in a message: `photos.csv row 12 (x.jpg)`, rows counted from 1 without the header."""
        return f"{self.name} row {self.source_rows[row] + 1} ({self.table['image'][row].as_py()})"

    def select(self, rows: Sequence[int] | NDArray[np.int64]) -> "Pairs":
        """The pairs of these rows, in this order."""
        chosen = np.asarray(rows, dtype=np.int64)
        return replace(
            self,
            table=self.table.take(pa.array(chosen)),
            images=self.images.select(chosen),
            source_rows=self.source_rows[chosen],
        )

    def where(self, column: str, value: str) -> "Pairs":
        """The pairs whose `column` holds `value`. Raises `OpenAlignError`: no such column, one of lists, or no pair."""
        if column not in self.table.column_names:
            known = ", ".join(self.table.column_names)
            raise OpenAlignError(f"{self.name} has no column `{column}` to choose rows by; it has: {known}.")
        values = self.table[column]
        if pa.types.is_nested(values.type):
            raise OpenAlignError(f"{self.name}: rows cannot be chosen by `{column}`, which holds lists.")
        rows = np.flatnonzero(pc.fill_null(pc.equal(pc.cast(values, pa.string()), value), False).to_numpy())
        if not len(rows):
            raise OpenAlignError(f"{self.name} has no row with {column}={value}.")
        return self.select(rows)


def ids_of(keys: Sequence[str]) -> NDArray[np.int64]:
    """64-bit hashes, (N,), of strings; equal for equal strings in every process."""
    digests = b"".join([hashlib.blake2b(key.encode(), digest_size=8).digest() for key in keys])
    return np.frombuffer(digests, dtype="<i8").astype(np.int64)


def open_pairs(
    source: str | Path, *, image_column: str | None = None, text_column: str | None = None, need_text: bool = True
) -> Pairs:
    """Open a DATA argument: folder of shards (or a curated one), folder of images, class folders, table, dataset.

    Shards may lie at an address that fsspec opens (s3://, gs://, http(s)://); everything else is local.

    With `need_text`, rows without a text are left out and counted in `problems`; without it they stay.
    A file, row or text that cannot be read gets a line in `problems`, and the others are read.
    Raises `OpenAlignError`: nothing there, no images, no texts, missing columns, nothing that can be read.
    """
    source = str(source).removeprefix("file://")
    if is_address(source):
        pairs = _open_address(source)
        return _with_texts(pairs) if need_text else pairs
    path = Path(source)
    if not path.exists():
        raise OpenAlignError(f"{path} does not exist")
    columns = _Columns(image_column, text_column, need_text)
    pairs = _open_folder(source, path, columns) if path.is_dir() else _open_file(source, path, columns)
    return _with_texts(pairs) if need_text else pairs


@dataclass(frozen=True)
class _Columns:
    """Which columns of a table are wanted: those asked for, else the usual ones."""

    image: str | None
    text: str | None
    need_text: bool


def _open_address(address: str) -> Pairs:
    if table_suffix(Path(address)) is not None:
        raise OpenAlignError(f"{address} is the address of a table: download it first, then give the file")
    tars = list_tars(address)
    if not tars:
        raise OpenAlignError(f"{address} holds no shards (.tar): only shards can be read at an address")
    return _open_shards(address, tars)


def _open_folder(name: str, folder: Path, columns: _Columns) -> Pairs:
    for place in (folder / "shards", folder):
        listed = next((place / f"pairs{end}" for end in TABLE_SUFFIXES if (place / f"pairs{end}").exists()), None)
        if listed is not None:
            return _open_table(name, listed, columns)
        tars = visible_files(place, ".tar")
        if tars:
            return _open_shards(name, tars)
    described = next(
        (folder / f"metadata{end}" for end in TABLE_SUFFIXES if (folder / f"metadata{end}").exists()), None
    )
    if described is not None:
        return _open_table(name, described, columns)
    problems: list[str] = []
    if files := arrow_files(folder):
        saved, files, maps = read_arrow(files, problems)
        return _pairs_of_table(name, saved, files, columns, problems, maps)
    if files := parquet_files(folder):
        tables, files = _read_tables(files, columns, problems)
        return _pairs_of_table(name, joined(tables, name), files, columns, problems)
    return _open_images(name, folder)


def _open_file(name: str, path: Path, columns: _Columns) -> Pairs:
    if path.suffix == ".tar":
        return _open_shards(name, [path])
    if table_suffix(path) is not None:
        return _open_table(name, path, columns)
    if any(suffix.lower() in (".warc", ".wat") for suffix in path.suffixes):
        raise OpenAlignError(f"{path} is a crawl: run `openalign curate {path} --to DIR` first, then give DIR")
    raise OpenAlignError(f"{path} is neither a folder nor a table ({', '.join(TABLE_SUFFIXES)}) nor a shard (.tar)")


def _open_table(name: str, path: Path, columns: _Columns) -> Pairs:
    problems: list[str] = []
    check_recorded([path], "make or fetch it again; if you changed it yourself, delete checksums.json")
    table = read_raw_table(path, columns.image, columns.text, problems)
    return _pairs_of_table(name, table, [path], columns, problems)


def _read_tables(files: Sequence[Path], columns: _Columns, problems: list[str]) -> tuple[list[pa.Table], list[Path]]:
    """The tables that can be read and their files. Raises the `OpenAlignError` of the first if none can be read."""
    tables, read = [], []
    first = ""
    for file in files:
        try:
            tables.append(read_raw_table(file, columns.image, columns.text, problems))
            read.append(file)
        except OpenAlignError as error:
            first = first or str(error)
            problems.append(str(error))
    if first and not read:
        raise OpenAlignError(first)
    return tables, read


def _pairs_of_table(
    name: str,
    table: pa.Table,
    files: Sequence[Path],
    columns: _Columns,
    problems: Sequence[str] = (),
    maps: Sequence[pa.Buffer] = (),
) -> Pairs:
    """Pairs of a table that names its images, or holds them; a list of captions makes as many pairs.

    A table that lies in memory `maps` of its files is copied, but for the images.
    """
    where = str(files[0]) if len(files) == 1 else name
    image, text = find_columns(
        table.column_names, columns.image, columns.text, need_text=columns.need_text, where=where
    )
    table, stored = part_images(table, image)
    table = in_memory(table) if maps else table
    table, rows = captions_as_rows(table, text or "", columns.need_text)
    table = with_named_columns(table, where, image, text, columns.need_text)
    images = FileImages(files[0].parent, table["image"]) if stored is None else stored_images(stored, rows, files, maps)
    return replace(_pairs(name, table, images, problems), source_rows=rows)


def _open_shards(name: str, tars: Sequence[Tar]) -> Pairs:
    problems: list[str] = []
    check_sidecars(tars)
    tars, indexes = read_indexes(tars, problems)
    if not any(len(index) for index in indexes):
        raise OpenAlignError(f"{name}: the shards hold no samples with an image")
    whole = joined(indexes, name)
    images = ShardImages.of(tars, indexes)
    columns = {"image": whole[_image_column(whole)], "text": whole["text"]}
    for other in whole.column_names:
        if other not in ("image", "image_offset", "image_size", DIGEST):
            columns.setdefault(other, whole[other])
    pairs = _pairs(name, pa.table(columns), images, problems)
    by_checksum = "sha256" in columns and _is_string(columns["sha256"].type)
    return replace(pairs, image_key="sha256" if by_checksum else "image")


def _is_string(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _image_column(index: pa.Table) -> str:
    """What stands for the image: the path or address it came from, else its key in the tar."""
    known = (name for name in ("image", "url") if name in index.column_names and pa.types.is_string(index[name].type))
    return next(known, "key")


def _open_images(name: str, folder: Path) -> Pairs:
    """Images anywhere below `folder`, sorted by path, each with its same-named .txt; or a sub-folder for each class."""
    paths, problems = image_paths(folder)
    if not paths:
        raise OpenAlignError(f"{folder} holds no shards, no pairs.csv and no images")
    texts = [_text_beside(folder / path, problems) for path in paths]
    columns = {"image": pa.array([str(path) for path in paths]), "text": pa.array(texts, pa.string())}
    if all(text is None for text in texts) and all(len(path.parts) == 2 for path in paths):
        labels = [path.parts[0] for path in paths]
        words = [" ".join(label.replace("_", " ").replace("-", " ").split()) for label in labels]
        columns |= {"text": pa.array(words), "label": pa.array(labels)}
    table = pa.table(columns)
    return _pairs(name, table, FileImages(folder, table["image"]), problems)


def _text_beside(image: Path, problems: list[str]) -> str | None:
    try:
        return text_beside(image)
    except OpenAlignError as error:
        problems.append(str(error))
        return None


def _with_texts(pairs: Pairs) -> Pairs:
    has_text = pc.fill_null(pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(pairs.table["text"])), 0), False)
    kept = np.flatnonzero(has_text.to_numpy())
    if len(kept) == len(pairs):
        return pairs
    if len(kept) == 0:
        first = f". The first problem: {pairs.problems[0]}" if pairs.problems else ""
        raise OpenAlignError(f"{pairs.name} holds {len(pairs)} images but no texts: each image needs one{first}")
    first = pairs.row_name(int(np.flatnonzero(~has_text.to_numpy())[0]))
    sentence = f"{len(pairs) - len(kept)} of {len(pairs)} rows have no text and are left out, the first: {first}"
    return replace(pairs.select(kept), problems=(*pairs.problems, sentence))


def _pairs(name: str, table: pa.Table, images: ImageStore, problems: Sequence[str] = ()) -> Pairs:
    return Pairs(name, table.combine_chunks(), images, np.arange(len(table)), tuple(problems))
