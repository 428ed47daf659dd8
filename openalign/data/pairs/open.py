"""Opening a DATA argument: find out which layout it has, and read that."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from openalign.data.files.remote import is_url, list_tars
from openalign.data.pairs.file_images import FileImages, image_paths, text_beside
from openalign.data.pairs.from_tables import WantedColumns, pairs_of_arrow, pairs_of_parquet, pairs_of_table
from openalign.data.pairs.pairs import Pairs
from openalign.data.shards.index import Tar, check_sidecars, read_indexes
from openalign.data.shards.reader import ShardImages
from openalign.data.shards.sidecar import DIGEST
from openalign.data.tables.combine import concatenated
from openalign.data.tables.datasets import arrow_files, parquet_files, visible_files
from openalign.data.tables.suffixes import TABLE_SUFFIXES, table_suffix
from openalign.errors import OpenAlignError


def open_pairs(
    source: str | Path,
    *,
    image_column: str | None = None,
    text_column: str | None = None,
    need_text: bool = True,
    where: Mapping[str, str] | None = None,
) -> Pairs:
    """Open a DATA argument: a folder of shards (or a curated one), of images or of classes, a table, a saved dataset.

    Shards may be at a URL that fsspec opens (s3://, gs://, http(s)://); everything else must be local. A file, row or
    text that cannot be read gets a message in `Pairs.problems`, and the others are read.

    Args:
        source: path or URL.
        image_column, text_column: columns of a table; default: the first with a usual name.
        need_text: leave out rows without a text, and count them in `problems`.
        where: keep only the rows with this value in each of these columns.

    Raises:
        OpenAlignError: the source does not exist, has no images, texts or such columns, or nothing in it is readable.
    """
    source = str(source).removeprefix("file://")
    columns = WantedColumns(image_column, text_column, need_text)
    pairs = _open_url(source) if is_url(source) else _open_local(source, columns)
    pairs = _with_texts(pairs) if need_text else pairs
    return pairs.where(where or {})


def _open_url(url: str) -> Pairs:
    if table_suffix(url) is not None:
        raise OpenAlignError(f"{url} is the URL of a table: download the table and give the file")
    tars = list_tars(url)
    if not tars:
        raise OpenAlignError(f"{url} holds no shards (.tar): only shards can be read from a URL")
    return _open_shards(url, tars)


def _open_local(name: str, columns: WantedColumns) -> Pairs:
    path = Path(name)
    if not path.exists():
        raise OpenAlignError(f"{path} does not exist")
    return _open_folder(name, path, columns) if path.is_dir() else _open_file(name, path, columns)


def _open_folder(name: str, folder: Path, columns: WantedColumns) -> Pairs:
    for parent in (folder / "shards", folder):
        if (table := _table_called("pairs", parent)) is not None:
            return pairs_of_table(name, table, columns)
        if tars := visible_files(parent, ".tar"):
            return _open_shards(name, tars)
    if (table := _table_called("metadata", folder)) is not None:
        return pairs_of_table(name, table, columns)
    if files := arrow_files(folder):
        return pairs_of_arrow(name, files, columns)
    if files := parquet_files(folder):
        return pairs_of_parquet(name, files, columns)
    return _open_images(name, folder)


def _table_called(stem: str, folder: Path) -> Path | None:
    paths = (folder / f"{stem}{suffix}" for suffix in TABLE_SUFFIXES)
    return next((path for path in paths if path.exists()), None)


def _open_file(name: str, path: Path, columns: WantedColumns) -> Pairs:
    if path.suffix == ".tar":
        return _open_shards(name, [path])
    if table_suffix(path) is not None:
        return pairs_of_table(name, path, columns)
    if any(suffix.lower() in (".warc", ".wat") for suffix in path.suffixes):
        raise OpenAlignError(f"{path} is a crawl: run `openalign curate {path} --to DIR` first, then give DIR")
    raise OpenAlignError(f"{path} is neither a folder nor a table ({', '.join(TABLE_SUFFIXES)}) nor a shard (.tar)")


def _open_shards(name: str, tars: Sequence[Tar]) -> Pairs:
    problems: list[str] = []
    check_sidecars(tars)
    tars, indexes = read_indexes(tars, problems)
    if not any(len(index) for index in indexes):
        raise OpenAlignError(f"{name}: the shards hold no samples with an image")
    index = concatenated(indexes, name)
    columns = {"image": index[_image_column(index)], "text": index["text"]}
    for other in index.column_names:
        if other not in ("image", "image_offset", "image_size", DIGEST):
            columns.setdefault(other, index[other])
    pairs = Pairs.of(name, pa.table(columns), ShardImages.of(tars, indexes), problems)
    has_checksum = "sha256" in columns and _is_string(columns["sha256"].type)
    return replace(pairs, image_key="sha256" if has_checksum else "image")


def _is_string(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _image_column(index: pa.Table) -> str:
    """The column that names the image: the path or URL it came from, else its key in the tar."""
    known = (name for name in ("image", "url") if name in index.column_names and pa.types.is_string(index[name].type))
    return next(known, "key")


def _open_images(name: str, folder: Path) -> Pairs:
    """All images below `folder`, sorted by path: each with its same-named .txt, or with one sub-folder per class."""
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
    return Pairs.of(name, table, FileImages(folder, table["image"]), problems)


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
    problem = f"{len(pairs) - len(kept)} of {len(pairs)} rows have no text and are left out, the first: {first}"
    return replace(pairs.select(kept), problems=(*pairs.problems, problem))
