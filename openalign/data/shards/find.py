"""The tars of a data set by their names: patterns, missing ones, and files of other tools beside them."""

import glob
import re
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

from openalign.data.files import remote
from openalign.data.left_out import Kind, LeftOut
from openalign.errors import OpenAlignError

_COMPRESSED = (".tar.gz", ".tgz", ".tar.zst", ".tar.bz2", ".tar.xz", ".tar.lz4")
_RECORDS = (".tfrecord", ".tfrecords")
_ABOUT = re.compile(r"(?:.*/)?(?:readme|licen[cs]e|changelog|nshards|.*_stats\.json|.*\.md)[^/]*$", re.IGNORECASE)
"""Files about a data set, not of it."""
_OF_TEXTS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".txt")
_ABOUT_TARS = re.compile(
    r".*\.index\.parquet|(?:checksums|sizes|dataset_infos?)\.json|(?:.*class_?names?|classes|labels|.*templates?)\.txt"
)
"""Files that we or other tools write for tars, and names of classes."""
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)(?:\.\.([1-9]\d*))?")
_LAST_NUMBER = re.compile(r"(.*?)(\d+)([^\d/]*)")
_OF = re.compile(r"(.*?)(\d+)(-of-)(\d+)(.*)")
_MOST_NAMES = 1_000_000


def is_tar(name: str) -> bool:
    return name.lower().endswith(".tar")


def is_pattern(name: str) -> bool:
    """Whether a name stands for several: `train-*.tar`, `{0000..0010}.tar`, `{train,val}.tar`."""
    return any(letter in name for letter in "*?[") or expanded(name) != [name]


def expanded(pattern: str) -> list[str]:
    """The names that braces stand for, as in a shell; a pattern without any stands for itself.

    A range keeps its leading zeros, and may have a step: `{000..010..2}`.
    """
    parts = _BRACES.split(pattern)  # literal, inside of braces, literal, ...
    choices = [_choices(part) if place % 2 else [part] for place, part in enumerate(parts)]
    count = 1
    for each in choices:
        count *= len(each)
    if count == 1 or count > _MOST_NAMES:
        return [pattern]
    names = ["".join(each) for each in product(*choices)]
    return list(dict.fromkeys(deeper for name in names for deeper in expanded(name)))


def matching(pattern: str) -> tuple[list[str], list[str]]:
    """The files that a pattern stands for, paths or URLs in its order; and those that its braces name and are missing.

    Files at http(s) URLs are not looked for, since that would take a request each.
    Raises `OpenAlignError` if there is none, or a server has no listing to match a pattern with.
    """
    found: dict[str, None] = {}
    missing = []
    for name in expanded(pattern):
        if remote.is_url(name):
            if glob.has_magic(name) and name.startswith(("http://", "https://")):
                raise OpenAlignError(f"{name}: servers do not list their files: name them with braces, {{0000..0010}}")
            found |= dict.fromkeys(remote.matching(name))
        elif glob.has_magic(name) and not Path(name).exists():
            found |= dict.fromkeys(sorted(glob.glob(name, recursive=True)))  # noqa: PTH207 - absolute patterns
        elif Path(name).exists():
            found[name] = None
        else:
            missing.append(name)
    if not found:
        raise OpenAlignError(f"{pattern} matches no file")
    return list(found), missing


def _choices(inside: str) -> list[str]:
    found = _RANGE.fullmatch(inside)
    if found is None:
        return inside.split(",") if "," in inside else [f"{{{inside}}}"]
    first, last, step = int(found[1]), int(found[2]), int(found[3] or 1)
    if abs(last - first) >= _MOST_NAMES:
        return [f"{{{inside}}}"]
    width = max(len(found[1]), len(found[2])) if any(each[0] == "0" for each in (found[1], found[2])) else 0
    numbers = range(first, last + 1, step) if first <= last else range(first, last - 1, -step)
    return [f"{number:0{width}d}" for number in numbers]


def missing_tars(files: Sequence[str]) -> list[LeftOut]:
    """A message for each series of tars of which some are not among `files` (relative paths of all files).

    Names tell of others: `00003-of-00016.tar`; a gap in the numbers, if more of them are there than not; the
    `00003_stats.json` that img2dataset writes for each tar; and the index that `curate` does.
    """
    tars = [file for file in files if is_tar(file)]
    there = set(tars)
    missing: dict[str, None] = {}
    for names in (_of_totals(tars), _in_gaps(tars), _with_statistics(files, there)):
        missing |= dict.fromkeys(name for name in names if name not in there)
    if not missing:
        return []
    first = min(missing)
    message = f"{len(missing):,} tars are missing that other file names announce, the first: {first}: download them"
    return [LeftOut(Kind.FILE_MISSING, message, len(missing))]


def _of_totals(tars: Sequence[str]) -> Iterator[str]:
    """The names of all parts of `PART-of-TOTAL`, counted from 0, or from 1 if there is a part with the last number."""
    series: dict[tuple[str, str, str], list[str]] = {}
    for tar in tars:
        if found := _OF.fullmatch(tar):
            series.setdefault((found[1], found[4], found[5]), []).append(found[2])
    for (before, total, after), parts in series.items():
        start = int(int(total) in map(int, parts))
        if int(total) > _MOST_NAMES:
            continue
        for number in range(start, int(total) + start):
            yield f"{before}{number:0{len(parts[0])}d}-of-{total}{after}"


def _in_gaps(tars: Sequence[str]) -> Iterator[str]:
    """The names between those whose last number grows by one."""
    series: dict[tuple[str, str], list[str]] = {}
    for tar in tars:
        if not _OF.fullmatch(tar) and (found := _LAST_NUMBER.fullmatch(tar)):
            series.setdefault((found[1], found[3]), []).append(found[2])
    for (before, after), digits in series.items():
        is_padded = any(each.startswith("0") and len(each) > 1 for each in digits)
        width = len(digits[0]) if is_padded else 0
        if is_padded and any(len(each) != width for each in digits):
            continue
        numbers = set(map(int, digits))
        gap = max(numbers) - min(numbers) + 1 - len(numbers)
        if 0 < gap <= len(numbers):
            for number in range(min(numbers), max(numbers)):
                yield f"{before}{number:0{width}d}{after}"


def _with_statistics(files: Sequence[str], tars: set[str]) -> Iterator[str]:
    for ending in ("_stats.json", ".index.parquet"):
        named = [f"{file.removesuffix(ending)}.tar" for file in files if file.endswith(ending)]
        if any(name in tars for name in named):
            yield from named


def beside_tars(files: Sequence[str]) -> list[str]:
    """Messages on files of img2dataset beside the tars, which list the same samples, and on other forms of shards."""
    stems = {file[: -len(".tar")] for file in files if is_tar(file)}
    lists = [file for file in files if _stem_of_list(file) in stems]
    found: list[str] = []
    if lists:
        found.append(f"{len(lists):,} files that describe the tars, such as {lists[0]}, are not read")
    others = [file for file in files if file.lower().endswith((*_COMPRESSED, *_RECORDS))]
    if others:
        message = (
            f"{len(others):,} files such as {others[0]} are shards of a form that is not read: {_advice(others[0])}"
        )
        found.append(LeftOut(Kind.FILE_NOT_USED, message, len(others)))
    return found


def texts_beside_tars(files: Sequence[str]) -> list[str]:
    """A message on tables, JSON and text files beside tars that may hold their texts, but for those about the data."""
    stems = {file[: -len(".tar")] for file in files if is_tar(file)}
    others = [
        file
        for file in files
        if file.lower().endswith(_OF_TEXTS)
        and _stem_of_list(file) not in stems
        and not _ABOUT.match(file)
        and not _ABOUT_TARS.fullmatch(file.rpartition("/")[2].lower())
    ]
    if not others:
        return []
    message = (
        f"{len(others):,} files beside the tars are not read, the first: {others[0]}: if they have the texts of the "
        "images, unpack the tars, and give the folder"
    )
    return [LeftOut(Kind.FILE_NOT_USED, message, len(others))]


def _stem_of_list(file: str) -> str:
    return file.removesuffix("_stats.json").removesuffix(".parquet") if not file.endswith(".index.parquet") else ""


def unread_shards(files: Sequence[str]) -> str:
    """Why a folder of shards in another form, and nothing else, is not read, and what to do; "" for any other."""
    shards = [file for file in files if file.lower().endswith((*_COMPRESSED, *_RECORDS))]
    if not shards:
        return ""
    stems = {_without(file) for file in shards}
    others = [file for file in files if file not in shards and not _ABOUT.match(file)]
    if any(_stem_of_list(file) not in stems for file in others):
        return ""
    return f"{shards[0]} is not read: {_advice(shards[0])}"


def _without(file: str) -> str:
    ending = next(each for each in (*_COMPRESSED, *_RECORDS) if file.lower().endswith(each))
    return file[: -len(ending)]


def _advice(file: str) -> str:
    if file.lower().endswith(_RECORDS):
        return "TFRecord is not a form of shards that is read; make tars (img2dataset: --output_format webdataset)"
    return "no sample can be read by itself out of a compressed tar: decompress it first (images hardly shrink)"
