"""WebDataset shards: a curated folder, or the tars of this and other tools."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

import pyarrow as pa

from openalign.data.pairs.layouts.layout import Finding
from openalign.data.pairs.layouts.source import PathOrUrl, Source
from openalign.data.pairs.layouts.splits import split_of
from openalign.data.pairs.options import ReadOptions
from openalign.data.pairs.pairs import Pairs
from openalign.data.shards.index import check_sidecars, read_indexes
from openalign.data.shards.reader import ShardImages
from openalign.data.shards.sidecar import DIGEST
from openalign.data.tables.combine import concatenated
from openalign.errors import OpenAlignError


class WebDataset:
    """Tars of samples: `KEY.jpg`, `KEY.txt`, `KEY.json`."""

    name = "webdataset"
    title = "WebDataset shards"
    recognised_by = "`.tar` files in the folder, in its `shards/`, or in folders below; or one `.tar`"

    def find(self, source: Source) -> Finding | None:
        tars = [file for file in source.files if file.lower().endswith(".tar")]
        if not tars:
            return None
        own = [file for file in tars if file.startswith("shards/")]  # a curated folder
        splits: dict[str, list[PathOrUrl]] = {}
        for file in own or tars:
            splits.setdefault(split_of(file), []).append(source.child(file))
        more = f" and {len(tars) - 1:,} more" if len(tars) > 1 else ""
        return Finding(f"it holds {PurePosixPath(tars[0]).name}{more}", splits)

    def read(self, name: str, parts: Sequence[PathOrUrl], options: ReadOptions) -> Pairs:
        problems: list[str] = []
        check_sidecars(parts)
        tars, indexes = read_indexes(parts, problems)
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
