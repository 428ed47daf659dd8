"""The files of folders that are read as one, and which of them are images."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from openalign.data.files.walk import files_below
from openalign.data.images.formats import FORMATS, HEAD_BYTES, IMAGE_SUFFIXES, format_of, is_image_name, reading_advice
from openalign.data.images.maps import IMAGE_FOLDERS
from openalign.data.left_out import Kind, LeftOut
from openalign.data.tables.suffixes import table_suffix

TEXT_FOLDERS = frozenset(
    ("caption", "captions", "label", "labels", "text", "texts", "txt", "txts", "annotation", "annotations", "prompts")
)
"""Names of folders, in lower case, that hold the texts of the images in a folder beside them."""
_NOT_DECODED = {suffix for each in FORMATS if not each.is_decoded for suffix in each.suffixes}
_OTHER_IMAGES = frozenset(
    {
        *("jxl", "svg", "svgz", "psd", "xcf", "ai", "eps", "exr", "hdr", "tga", "pcx", "dds", "djvu", "dcm", "pgm"),
        *("raw", "srf", "x3f", "iiq", "mrw", "kdc"),
    }
)
"""Suffixes of further image formats, which are not read."""
_OTHER_DATA = frozenset(
    {
        *("mp4", "mov", "avi", "mkv", "webm", "m4v", "3gp", "mpg", "mpeg", "wmv", "mp3", "wav", "flac", "ogg", "m4a"),
        *("pdf", "zip", "7z", "rar", "tgz", "xz", "bz2", "npy", "npz", "pkl", "h5", "hdf5", "mdb", "lmdb", "tfrecord"),
        *("xlsx", "xls", "ods", "docx", "db", "sqlite", "feather", "avro", "orc"),
        *("xml", "xmp", "mat", "pt", "pth", "safetensors", "idx", "rec", "beton"),
        *("en", "de", "fr", "cs", "es", "it", "ru", "zh", "ja"),  # lines of texts in a language, as Multi30k's
    }
)
"""Suffixes of files that may well be data, and are not read."""


def gathered(folders: Sequence[Path]) -> tuple[Path, list[str]]:
    """The files of several folders, relative to the folder that all lie in, and that folder; sorted.

    Of `.../images/train`, those of `.../captions/train` or `.../labels/train` are among them where there are such.
    """
    every = [each for folder in folders for each in (folder, *_texts_beside(folder))]
    tops = [_top(folder) for folder in folders]
    base = Path(os.path.commonpath(tops))
    if every == [base]:
        return base, files_below(base)
    found: set[str] = set()
    for folder in every:
        below = folder.relative_to(base).as_posix()
        inside = files_below(folder) if folder.is_dir() else [""]
        found.update(name if below == "." else f"{below}/{name}".rstrip("/") for name in inside)
    return base, sorted(found)


def _top(folder: Path) -> Path:
    beside = _texts_beside(folder)
    folder = folder if folder.is_dir() else folder.parent
    return folder if not beside else Path(os.path.commonpath([folder, *beside]))


def _texts_beside(folder: Path) -> list[Path]:
    for place in (folder, folder.parent) if folder.is_dir() else ():
        if place.name.lower() in IMAGE_FOLDERS:
            beside = sorted(each for each in place.parent.iterdir() if each.name.lower() in TEXT_FOLDERS)
            return [each for text in beside if (each := text / folder.relative_to(place)).is_dir()]
    return []


def image_files(files: Iterable[str], folder: Path | None) -> list[str]:
    """Those that are images of a format that can be decoded, by their suffix; `folder` is theirs if it is on disk.

    A file whose suffix tells another format, such as HEIC, is opened, since some are JPEGs under a wrong name.
    """
    files = list(files)
    if are_images(files):
        return files
    suffixes = ((file, file.rpartition(".")[2].lower()) for file in files)
    return [
        file
        for file, suffix in suffixes
        if suffix in IMAGE_SUFFIXES and not (suffix in _NOT_DECODED and _is_undecoded(file, folder))
    ]


def are_images(files: Sequence[str]) -> bool:
    """Whether all files are images that can be decoded, by their suffixes; a quick look at millions of names."""
    suffixes = {file.rpartition(".")[2] for file in files}
    return {suffix.lower() for suffix in suffixes} <= IMAGE_SUFFIXES - _NOT_DECODED


def looks_like_image(file: str) -> bool:
    """Whether a file is an image by its name, of whatever format."""
    return is_image_name(file) or _suffix(file) in _OTHER_IMAGES


def _is_undecoded(file: str, folder: Path | None) -> bool:
    if _suffix(file) not in _NOT_DECODED:
        return False
    if folder is None:
        return True
    try:
        with (folder / file).open("rb") as stream:
            found = format_of(stream.read(HEAD_BYTES))
    except OSError:
        return True
    return found is None or not found.is_decoded


def unread_files(files: Iterable[str], folder: Path | None, name: str) -> list[str]:
    """A message for each suffix of files that may be images or data and are of no kind that is read."""
    found: dict[tuple[Kind, str], list[str]] = {}
    files = list(files)
    if are_images(files):
        return []
    suffixes = [(file, _suffix(file)) for file in files]
    of_tars = any(suffix == "tar" for _, suffix in suffixes)
    for file, suffix in suffixes:
        if of_tars and (".tar." in file or suffix in ("tgz", "tfrecord")):
            continue  # told with the tars
        if suffix in _OTHER_IMAGES or (suffix in _NOT_DECODED and _is_undecoded(file, folder)):
            found.setdefault((Kind.IMAGE_FORMAT, suffix), []).append(file)
        elif suffix in _OTHER_DATA and table_suffix(file, named=len(files) == 1) is None:
            found.setdefault((Kind.FILE_NOT_USED, suffix), []).append(file)
    return [
        LeftOut(kind, f"{name}: {len(those):,} {_what(kind, suffix)}, the first: {those[0]}", len(those))
        for (kind, suffix), those in sorted(found.items())
    ]


def _what(kind: Kind, suffix: str) -> str:
    if kind == Kind.IMAGE_FORMAT:
        return f".{suffix} images are of a format that is not read ({reading_advice([suffix])})"
    if suffix in ("zip", "7z", "rar", "tgz", "xz", "bz2"):
        return f".{suffix} files are not read (unpack them)"
    return f".{suffix} files are of a kind that is not read"


def _suffix(file: str) -> str:
    return file.rpartition("/")[2].rpartition(".")[2].lower()
