"""WebDataset shards: a curated folder, or the tars of this and other tools."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pyarrow as pa

from openalign.data.files.remote import is_url
from openalign.data.pairs.layouts.layout import Finding
from openalign.data.pairs.layouts.source import PathOrUrl, Source
from openalign.data.pairs.options import ReadOptions
from openalign.data.pairs.pairs import Pairs
from openalign.data.shards.find import beside_tars, is_pattern, is_tar, missing_tars, texts_beside_tars, unread_shards
from openalign.data.shards.index import check_sidecars, read_indexes
from openalign.data.shards.reader import ShardImages
from openalign.data.shards.rows import MEMBER, SampleOptions, image_names
from openalign.data.shards.sidecar import DIGEST
from openalign.data.split_names import split_of
from openalign.data.tables.combine import concatenated
from openalign.errors import OpenAlignError


class WebDataset:
    """Tars of samples: `KEY.jpg`, `KEY.txt`, `KEY.json`."""

    name = "webdataset"
    title = "WebDataset shards"
    recognised_by = "`.tar` files in the folder, in its `shards/`, or in folders below; or one `.tar`"

    def find(self, source: Source) -> Finding | None:
        tars = [file for file in source.others if is_tar(file)]
        if not tars:
            if source.others and (why := unread_shards(source.files)):
                raise OpenAlignError(f"{source.name}: {why}")
            return None
        own = [file for file in tars if file.startswith("shards/")]  # a curated folder
        splits: dict[str, list[PathOrUrl]] = {}
        for file in own or tars:
            splits.setdefault(split_of(file), []).append(source.child(file))
        more = f" and {len(tars) - 1:,} more" if len(tars) > 1 else ""
        is_whole = source.is_folder and (source.chosen is None or "*" in source.name)
        problems = [*missing_tars(own or source.files), *beside_tars(source.files)] if is_whole else []
        if is_whole and not own:
            problems += [*source.loose_images("shards"), *texts_beside_tars(source.files)]
        return Finding(f"it holds {PurePosixPath(tars[0]).name}{more}", splits, problems=problems)

    def read(self, name: str, parts: Sequence[PathOrUrl], options: ReadOptions) -> Pairs:
        problems: list[str] = []
        check_sidecars(parts)
        wanted = SampleOptions(options.image_column, options.text_column, options.need_text)
        found = read_indexes(parts, problems, wanted)
        tars, indexes = found.tars, found.tables
        if not any(len(index) for index in indexes):
            first = f". The first problem: {problems[0]}" if problems else ""
            raise OpenAlignError(f"{name}: the shards hold no samples with an image{first}")
        index = concatenated([_named(index, tar, name) for tar, index in zip(tars, indexes, strict=True)], name)
        columns = {"image": index["image"], "text": index["text"].cast(pa.string())}
        for other in index.column_names:
            if other not in ("image_offset", "image_size", DIGEST, MEMBER):
                columns.setdefault(other, index[other])
        pairs = Pairs.of(name, pa.table(columns), ShardImages.of(tars, indexes), problems)
        key = "sha256" if _have_checksums(indexes) else "image"
        return replace(pairs, image_key=key, columns=found.taken)


def _named(index: pa.Table, tar: PathOrUrl, source: str) -> pa.Table:
    """The index with the column `image`: TAR/MEMBER relative to the source, or the name in a curated shard."""
    names = image_names(index, _below(str(tar), source.removeprefix("file://")))
    if names is None:
        has_names = "image" in index.column_names and _is_string(index["image"].type)
        return index if has_names else index.append_column("image", index["key"])
    fields = {"json.image" if field == "image" else field: index[field] for field in index.column_names}
    return pa.table({"image": names} | fields)


def _below(tar: str, source: str) -> str:
    """The name of a tar relative to the folder that was given, or that a pattern begins with; of the tar itself."""
    source = source if is_url(source) else str(Path(source))
    if tar == source:
        return tar.rpartition("/")[2]
    folder = re.split(r"[*?\[{]", source)[0] if is_pattern(source) else f"{source.rstrip('/')}/"
    return tar.removeprefix(folder[: folder.rfind("/") + 1])


def _have_checksums(indexes: Sequence[pa.Table]) -> bool:
    """Whether all are indexes of curated shards, whose images have checksums; those of other tools are not trusted."""
    return all(
        DIGEST in index.column_names and "sha256" in index.column_names and _is_string(index["sha256"].type)
        for index in indexes
    )


def _is_string(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
