"""The folder that a table's image paths are relative to."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from openalign.data.files.image_value import Form, existing_file, form_of

_ROWS_TRIED = 1000
_NAMES_TRIED = 20
_FOLDERS_TRIED = 200
_FOR_ANNOTATIONS = ("annotation", "annotations", "captions", "karpathy", "labels", "meta", "metadata", "texts")


def folder_of_images(table: Path, names: Iterable[str | None]) -> Path:
    """The folder that holds the images which a table names by relative paths: the table's own, unless none is there.

    Else it is the one beside the table that holds most of the first images, as Flickr8k has `captions.txt` beside
    `Images/`; or one beside the table's folder, if that is called `annotations` or the like, as COCO has
    `annotations/captions_val2017.json` beside `val2017/`; or the folder around the table's, if the names begin with the
    name of the table's own, as `train/1.jpg` in `train/list.csv`. The table's folder if none holds any.
    """
    paths = (
        name
        for name in islice(names, _ROWS_TRIED)
        if name and form_of(name) is Form.PATH and not Path(name).is_absolute()
    )
    tried = list(islice(dict.fromkeys(paths), _NAMES_TRIED))
    own = table.parent
    if not tried or _found(own, tried):
        return own
    around = own.absolute().parent
    is_named = any(name.replace("\\", "/").startswith(f"{own.absolute().name}/") for name in tried)
    folders = [*_folders_beside(own), *([around] if is_named else [])]
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


def _found(folder: Path, names: Iterable[str]) -> int:
    return sum(_exists(folder, name) for name in names)


def _exists(folder: Path, name: str) -> bool:
    try:
        return existing_file(folder, name).is_file()
    except (OSError, ValueError):
        return False
