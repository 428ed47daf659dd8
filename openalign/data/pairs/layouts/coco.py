"""Captions in the JSON of COCO, or of Karpathy's splits of COCO, Flickr8k and Flickr30k, and the images they name."""

import mmap
import re
from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import pyarrow as pa

from openalign.data.pairs.combine import combined
from openalign.data.pairs.folder_files import gathered
from openalign.data.pairs.from_tables import pairs_of_table
from openalign.data.pairs.layouts.layout import Finding
from openalign.data.pairs.layouts.source import PathOrUrl, Source
from openalign.data.pairs.layouts.split_column import names_of_splits, rows_of_splits
from openalign.data.pairs.layouts.splits import UNNAMED
from openalign.data.pairs.named_images import NamedImages, folders_up_to
from openalign.data.pairs.options import ReadOptions
from openalign.data.pairs.pairs import Pairs
from openalign.data.split_names import split_of, standard_split_of
from openalign.errors import OpenAlignError

_IMAGES = re.compile(rb'"images"\s*:\s*\[')
_CAPTION = re.compile(rb'"caption"\s*:|"sentences"\s*:')
_SPLIT = re.compile(rb'"split"\s*:\s*(?:"([^"\\]{0,40})"|null)|"file_?name"\s*:')
_NAME = re.compile(rb'"file_?name"\s*:\s*"([^"\\]+)"')
_AN_IMAGE = b"the name of an image"
_MOST_NAMES = 500
_ENDS = 1 << 18
"""Bytes at the start and at the end of a file in which captions are looked for."""
_DEEPEST = 2
"""Folders between the data and a file of captions, and between this file and the folder that its images are below."""


class Coco:
    """Captions in one JSON file for all images. A part is such a file, or FILE#SPLIT if the file tells splits."""

    name = "coco"
    title = "COCO captions"
    recognised_by = "`captions_*.json` or Karpathy's `dataset_*.json`: `images` with `annotations` or `sentences`"

    def find(self, source: Source) -> Finding | None:
        if not isinstance(source.at, Path):
            return None
        names = [file for file in source.others if file.lower().endswith(".json") and file.count("/") <= _DEEPEST]
        images = {image.rpartition(".")[0] for image in source.images} if names else set()
        files = [
            name for name in names if name.rpartition(".")[0] not in images and _holds_captions(_path(source, name))
        ]
        if not files:
            return None
        splits: dict[str, list[PathOrUrl]] = {}
        for file in files:
            path = _path(source, file)
            told = _splits_in(path)
            for split in told:
                splits.setdefault(split, []).append(path.with_name(f"{path.name}#{split}"))
            if not told:
                splits.setdefault(split_of(path.name), []).append(path)
        return Finding(f"{files[0]} holds captions", splits)

    def read(self, name: str, parts: Sequence[PathOrUrl], options: ReadOptions) -> Pairs:
        read = []
        for part in parts:
            file, split = _file_and_split(Path(part))
            named = _images_of(name, file)
            pairs = pairs_of_table(str(file), file, options, named, partial(_rows_of_split, split=split))
            read.append(named.with_unnamed(pairs) if named and not split and _is_alone(file) else pairs)
        if len({_file_and_split(Path(part))[1] or split_of(Path(part).name) for part in parts}) < len(parts):
            files = [_file_and_split(Path(part))[0] for part in parts]
            listed = ", ".join(dict.fromkeys(file.name for file in files))
            raise OpenAlignError(f"{name} holds several files of captions ({listed}): give one of them, as {files[0]}")
        return combined(name, read)


def _path(source: Source, file: str) -> Path:
    return Path(source.child(file))


def _file_and_split(part: Path) -> tuple[Path, str]:
    if part.exists():
        return part, ""
    name, _, split = part.name.rpartition("#")
    return part.with_name(name), split


def _holds_captions(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            start = stream.read(_ENDS)
            if not start.lstrip().startswith(b"{"):
                return False
            stream.seek(max(len(start), file.stat().st_size - _ENDS))
            ends = start + stream.read()
    except OSError:
        return False
    return _CAPTION.search(ends) is not None and (_IMAGES.search(ends) is not None or _has_images(file))


def _has_images(file: Path) -> bool:
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return _IMAGES.search(content) is not None


def _splits_in(file: Path) -> list[str]:
    """The splits that the images of a file belong to, in order; none if it does not say."""
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        found = Counter(each[1] if each[0].startswith(b'"s') else _AN_IMAGE for each in _SPLIT.finditer(content))
    images = found.pop(_AN_IMAGE, 0)
    told = [(value or b"").decode(errors="replace") for value in found]
    names = names_of_splits([*told, *([""] if told and found.total() < images else [])])
    return sorted(dict.fromkeys(names), key=lambda name: name == UNNAMED)


def _rows_of_split(table: pa.Table, split: str) -> pa.Table:
    return table.take(pa.array(rows_of_splits(table).get(split, []), pa.int64())) if split else table


def _images_of(source: str, file: Path) -> NamedImages | None:
    """The images below the folder of a file of captions, or one above it in `source`; None if none of them is there."""
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        names = [found[1].decode(errors="replace") for found in islice(_NAME.finditer(content), _MOST_NAMES)]
    for each in folders_up_to(source, file.parent):
        base, files = gathered([each])
        named = NamedImages(base, files, split_of=standard_split_of)
        if named.are_named_by(names, file):
            return named
    return None


def _is_alone(file: Path) -> bool:
    """Whether no other file of captions lies beside this one, which may name the images that this does not."""
    others = (each for each in file.parent.iterdir() if each.suffix.lower() == ".json" and each != file)
    return not any(_holds_captions(each) for each in others)
