"""A dataset's Parquet files, as on the Hugging Face hub or as Spark writes them: in parts, in partitions."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from openalign.data.left_out import Kind, LeftOut
from openalign.data.pairs.from_tables import pairs_of_tables
from openalign.data.pairs.layouts.layout import Finding
from openalign.data.pairs.layouts.source import PathOrUrl, Source
from openalign.data.pairs.options import ReadOptions
from openalign.data.pairs.pairs import Pairs
from openalign.data.split_names import split_of
from openalign.data.tables.datasets import missing_parts
from openalign.data.tables.hub.card import card_of
from openalign.data.tables.hub.configurations import Configuration, by_folders, declared, splits_of
from openalign.errors import OpenAlignError
from openalign.options import option


class ParquetDataset:
    """Parquet files that are parts of one table."""

    name = "parquet"
    title = "Parquet dataset"
    recognised_by = "`.parquet` files in the folder, in its `data/`, or in partitions (`lang=en/`) below"

    def find(self, source: Source) -> Finding | None:
        if not source.is_folder:
            return None
        files = [file for file in source.others if file.lower().endswith(".parquet") and not _is_about(file, source)]
        if not files:
            return None
        problems: list[str] = []
        splits: dict[str, list[PathOrUrl]] = {
            split: source.children(each) for split, each in _splits_of(source, files, problems).items()
        }
        more = f" and {len(files) - 1:,} more" if len(files) > 1 else ""
        return Finding(f"it holds {files[0]}{more}", splits, [*problems, *source.loose_images("Parquet files")])

    def read(self, name: str, parts: Sequence[PathOrUrl], options: ReadOptions) -> Pairs:
        local = [part for part in parts if isinstance(part, Path)]
        if len(local) < len(parts):
            raise OpenAlignError(f"{name} is at a URL: Parquet files there are read by `openalign curate`")
        pairs = pairs_of_tables(name, local, options)
        return replace(pairs, problems=(*missing_parts(map(str, local)), *pairs.problems))


def _splits_of(source: Source, files: Sequence[str], problems: list[str]) -> dict[str, list[str]]:
    """The files of each split; those of configurations, declared in `README.md` or by their folders, stay apart."""
    known = _declared(source, files, problems) or by_folders(files, split_of)
    if len(known) > 1:
        names = ", ".join(f"{each.name} (the default)" if each.is_default else each.name for each in known)
        problems.append(
            f"{source.name} holds several configurations, which are data sets of their own: {names}; "
            f"{option('split')} chooses a split of one"
        )
    if known:
        return splits_of(known)
    splits: dict[str, list[str]] = {}
    for file in files:
        splits.setdefault(split_of(file), []).append(file)
    return splits


def _declared(source: Source, files: Sequence[str], problems: list[str]) -> list[Configuration]:
    """The configurations in `README.md` with the Parquet files of each; files that are in none are told."""
    card = card_of(source.at, about=b"configs") if isinstance(source.at, Path) and source.chosen is None else {}
    ours = set(files)
    known = []
    for each in declared(card, source.files, split_of):
        its = {split: [file for file in some if file in ours] for split, some in each.files.items()}
        known.append(replace(each, files={split: some for split, some in its.items() if some}))
        message = f"{source.name}: README.md names files of `{each.name}` that are not there"
        problems += [LeftOut(Kind.FILE_MISSING, f"{message}: {pattern}") for pattern in each.missing]
    used = {file for each in known for some in each.files.values() for file in some}
    if used and (unused := sorted(ours - used)):
        message = f"{source.name}: {len(unused):,} Parquet files are not in the `configs` of README.md"
        problems.append(LeftOut(Kind.FILE_NOT_USED, f"{message}, the first: {unused[0]}", len(unused)))
    return [each for each in known if each.files]


def _is_about(file: str, source: Source) -> bool:
    """Whether the file describes images that are elsewhere: shards, those of img2dataset, those in the folder."""
    path = PurePosixPath(file)
    beside = str(path.with_suffix(""))
    if path.name.endswith(".index.parquet") or path.stem in ("metadata", "pairs"):
        return True
    if f"{beside}.tar" in source.files or (beside in source.folders and f"{beside}_stats.json" in source.files):
        return True
    if any(each.startswith("shards/") and each.endswith(".tar") for each in source.files):
        return True
    return bool(source.images) and isinstance(source.at, Path) and not _holds_images(source.at / file)


def _holds_images(file: Path) -> bool:
    """Whether a column holds bytes or lists of numbers, alone or in objects; also if the file cannot be read."""
    try:
        schema = pq.read_schema(file)
    except (OSError, pa.ArrowException):
        return True
    kinds = [field.type for field in schema]
    inner = [field.type for kind in kinds if pa.types.is_struct(kind) for field in kind]
    return any(_may_be_images(kind) for kind in (*kinds, *inner))


def _may_be_images(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return bool(pa.types.is_uint8(kind.value_type)) or _may_be_images(kind.value_type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))
