"""The folder that a table's image paths are relative to."""

import os
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

from openalign.data.files import remote
from openalign.data.files.image_value import Form, existing_file, form_of, local_path

_ROWS_TRIED = 1000
_NAMES_TRIED = 20
_FOLDERS_TRIED = 200
_FOR_ANNOTATIONS = ("annotation", "annotations", "captions", "karpathy", "labels", "meta", "metadata", "texts")

Folder = TypeVar("Folder", Path, str)


def folder_of_images(table: Path, names: Iterable[str | None]) -> Path:
    """The folder that holds the images which a table names by relative paths: the table's own, unless none is there.

    Else it is the one beside the table that holds most of the first images, as Flickr8k has `captions.txt` beside
    `Images/`; or one beside the table's folder, if that is called `annotations` or the like, as COCO has
    `annotations/captions_val2017.json` beside `val2017/`; or the folder around the table's, if the names begin with the
    name of the table's own, as `train/1.jpg` in `train/list.csv`. The table's folder if none holds any.
    """
    tried = _tried(names)
    own = table.parent
    if not tried or _found(own, tried):
        return own
    around = own.absolute().parent
    is_named = any(name.replace("\\", "/").startswith(f"{own.absolute().name}/") for name in tried)
    return _best(own, [*_folders_beside(own), *([around] if is_named else [])], tried)


def url_of_images(table: str, names: Iterable[str | None]) -> str:
    """`folder_of_images` of a table at a URL. Its own folder if the server lists no files, as those of http do not."""
    own = table.rpartition("/")[0]
    tried = _tried(names)
    if not tried or not remote.is_folder(own) or _found(own, tried):
        return own
    around, _, name = own.rpartition("/")
    is_named = any(each.startswith(f"{name}/") for each in tried)
    folders = remote.folders_in(own)[:_FOLDERS_TRIED]
    if name.lower() in _FOR_ANNOTATIONS:
        folders += [around, *remote.folders_in(around)[:_FOLDERS_TRIED]]
    return _best(own, [*folders, *([around] if is_named else [])], tried)


def _tried(names: Iterable[str | None]) -> list[str]:
    """The relative paths among the first names, each once."""
    paths = (
        name
        for name in islice(names, _ROWS_TRIED)
        if name and form_of(name) is Form.PATH and not os.path.isabs(name)  # noqa: PTH117 - ten times as fast
    )
    return list(islice(dict.fromkeys(paths), _NAMES_TRIED))


def _best(own: Folder, folders: Sequence[Folder], tried: Sequence[str]) -> Folder:
    """The first of the folders that hold most of the images; `own` if none holds any."""
    counts = {folder: _found(folder, tried) for folder in folders}
    best = max(counts, key=lambda folder: counts[folder], default=own)
    return best if counts.get(best) else own


def _folders_beside(folder: Path) -> list[Path]:
    """The folders in a folder; if it is one for annotations, also the folder around it, and those in that one."""
    absolute = folder.absolute()
    if absolute.name.lower() not in _FOR_ANNOTATIONS:
        return _folders_in(folder)
    around = absolute.parent
    return list(dict.fromkeys([*_folders_in(folder), around, *_folders_in(around)]))


def _folders_in(folder: Path) -> list[Path]:
    try:
        entries = sorted(islice(folder.iterdir(), 100 * _FOLDERS_TRIED))
        return [each for each in entries if not each.name.startswith(".") and each.is_dir()][:_FOLDERS_TRIED]
    except OSError:
        return []


def _found(folder: Path | str, names: Iterable[str]) -> int:
    return sum(_exists(folder, name) for name in names)


def _exists(folder: Path | str, name: str) -> bool:
    if isinstance(folder, str):
        return remote.exists(f"{folder}/{local_path(name).removeprefix('./')}")
    try:
        return existing_file(folder, name).is_file()
    except (OSError, ValueError):
        return False
