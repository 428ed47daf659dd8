"""Splits that lists tell: `meta/train.txt` and `meta/test.txt`, each with the name of an image in every line.

Sources: the lists of Food-101, Flickr8k and FGVC-Aircraft, and `train_test_split.txt` of CUB-200-2011 and NABirds, in
which an id of `images.txt` is followed by 1 in the training set, else by 0.
"""

import os
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pyarrow as pa

from openalign.data.files import remote
from openalign.data.files.walk import files_below
from openalign.data.pairs.file_images import FileImages
from openalign.data.pairs.named_images import NamedImages
from openalign.data.pairs.pairs import Pairs
from openalign.data.split_names import split_of

_COLUMN = "split"
_DEEPEST = 3
"""Folders between the data and a list."""
_MOST_LISTS = 50
_MOST_BYTES = 64 << 20
_SAMPLE = 200
"""Lines by which is told whether a file is a list of images."""
_BY_ID, _IDS = "train_test_split.txt", "images.txt"
_BY_FLAG = {"1": "train", "0": "test"}
_NEW_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


def with_listed_splits(name: str, pairs: Pairs) -> Pairs:
    """The pairs with a column `split`, where lists in the folder `name` tell the splits of its images.

    Images that are in no list have none. Lists that put an image into two splits tell nothing.
    """
    top = Path(remote.local_path(name) if name.startswith("file://") else name)
    if not isinstance(pairs.images, FileImages) or _COLUMN in pairs.table.column_names or not top.is_dir():
        return pairs
    lists = candidates(files_below(top))
    if not lists:
        return pairs
    split_of_image, used, note = _splits(NamedImages(top, files_below(top)), lists)
    prefix = os.path.relpath(pairs.images.folder, top)
    prefix = "" if prefix == "." else f"{prefix}/"
    found = [
        split_of_image.get(posixpath.normpath(prefix + (image or ""))) for image in pairs.table["image"].to_pylist()
    ]
    told = [f"{name}: {note}"] if note else []
    if len({each for each in found if each}) > 1:
        pairs = replace(pairs, table=pairs.table.append_column(_COLUMN, pa.array(found, pa.string())))
        told = [f"{name}: the splits of its images are told by {', '.join(used)}"]
    return replace(pairs, problems=(*pairs.problems, *told))


def candidates(files: Iterable[str]) -> list[str]:
    """Text files that could be lists of the images of a split, by their names."""
    found = [
        file for file in files if file.endswith((".txt", ".lst")) and file.count("/") <= _DEEPEST and _split_of(file)
    ]
    return found if len(found) <= _MOST_LISTS else []


def are_lists(top: Path, files: Sequence[str], named: NamedImages) -> list[str]:
    """Those of `candidates` that name images that are there, and those that such lists need."""
    found = [file for file in candidates(files) if _images_in(top / file, named, _SAMPLE)]
    beside = {f"{file.removesuffix(_BY_ID)}{_IDS}" for file in found if file.endswith(_BY_ID)}
    return [*found, *sorted(beside)]


def _splits(named: NamedImages, lists: Sequence[str]) -> tuple[dict[str, str], list[str], str]:
    """The split of each image, the lists that tell it, and why none do."""
    splits: dict[str, str] = {}
    used: dict[str, str] = {}
    for file in lists:
        for image, split in _images_in(named.folder / file, named).items():
            used.setdefault(file, split)
            if splits.setdefault(image, split) != split:
                other = next((each for each, its in used.items() if its == splits[image]), file)
                return {}, [], f"{other} and {file} both name {image}, so that they tell no splits"
    return splits, list(used), ""


def _images_in(file: Path, named: NamedImages, most: int | None = None) -> Mapping[str, str]:
    """The split of each image that the first lines of a file name; empty if the file is no list of images."""
    lines = _lines(file, most)
    if file.name == _BY_ID:
        values, splits = _by_id(file, lines)
    else:
        values, splits = lines, [_split_of(file.name)] * len(lines)
    if not values or not named.are_named_by(values[:_SAMPLE], file):
        return {}
    found = zip(named.files_of(values, file), splits, strict=True)
    return {image: split for image, split in found if image in named.images}


def _by_id(file: Path, lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """The images that the ids in `train_test_split.txt` mean, and the split of each."""
    paths = dict(parts for line in _lines(file.with_name(_IDS)) if len(parts := line.split(maxsplit=1)) == 2)
    rows = [parts for line in lines if len(parts := line.split()) == 2 and parts[0] in paths and parts[1] in _BY_FLAG]
    return [paths[id_] for id_, _ in rows], [_BY_FLAG[flag] for _, flag in rows]


def _lines(file: Path, most: int | None = None) -> list[str]:
    try:
        if file.stat().st_size > _MOST_BYTES:
            return []
        with file.open(encoding="utf-8-sig", errors="replace") as stream:
            return list(islice(filter(None, map(str.strip, stream)), most))
    except OSError:
        return []


def _split_of(file: str) -> str:
    """The split that the name of a list tells: `Flickr_8k.trainImages.txt` -> `train`."""
    name = file.rpartition("/")[2]
    return name if name == _BY_ID else split_of(_NEW_WORD.sub(" ", name.rpartition(".")[0]))
