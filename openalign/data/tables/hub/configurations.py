"""The configurations of a dataset on the Hugging Face hub: data sets of their own in one repository, as languages are.

Source: `configs` in the metadata of dataset cards, as `datasets` resolves it: `data_files` is a pattern, a list of
them, patterns by split, or a list of `split` and `path`; without splits all files are `train`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from fsspec.utils import glob_translate

_DEFAULT = "default"
_WITHOUT_SPLIT = "train"
_PARTS = re.compile(r"\d+|(?<![a-z])[0-9a-f]{8,}(?![a-z])")
"""What differs between the names of folders that hold parts of one data set."""


@dataclass(frozen=True)
class Configuration:
    """A configuration: its files by split, "" where none is told."""

    name: str
    files: Mapping[str, Sequence[str]]
    is_default: bool = False
    missing: Sequence[str] = ()
    """Patterns that no file matches."""


def declared(card: Mapping[str, Any], files: Sequence[str], split_of: Callable[[str], str]) -> list[Configuration]:
    """The configurations that a card declares, with those of `files` that belong to each; none if it declares none.

    `split_of`: the split that the name of a file tells, where the card names none.
    """
    configs = card.get("configs")
    entries = [each for each in configs if isinstance(each, dict)] if isinstance(configs, list) else []
    found = []
    for entry in entries:
        name, below = str(entry.get("config_name", _DEFAULT)), str(entry.get("data_dir") or "").strip("./")
        patterns = _patterns(entry.get("data_files"))
        its: dict[str, list[str]] = {}
        missing: list[str] = []
        for split, pattern in patterns:
            matched = _matching(f"{below}/{pattern}" if below else pattern, files)
            its.setdefault(split, []).extend(each for each in matched if each not in its.get(split, ()))
            missing += [] if matched else [pattern]
        if not patterns:
            for file in files:
                if not below or file.startswith(f"{below}/"):
                    its.setdefault(split_of(file), []).append(file)
        is_default = bool(entry.get("default")) or name == _DEFAULT or len(entries) == 1
        found.append(Configuration(name, {split: each for split, each in its.items() if each}, is_default, missing))
    return found


def by_folders(files: Sequence[str], split_of: Callable[[str], str]) -> list[Configuration]:
    """A configuration for each of several folders beside each other, as `data/de/` and `data/en/`; else none.

    Folders of splits, partitions (`lang=en/`) and those whose names differ in numbers hold parts of one data set.
    """
    folders = [
        tuple(each for each in PurePosixPath(file).parts[:-1] if "=" not in each and not split_of(each))
        for file in files
    ]
    first, last = min(folders, default=()), max(folders, default=())
    common = next(
        (place for place, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]),
        min(len(first), len(last)),
    )
    names = [parts[common] if len(parts) > common else "" for parts in folders]
    if "" in names or len({_PARTS.sub("", name.lower()) for name in names}) < 2:
        return []
    found: dict[str, dict[str, list[str]]] = {}
    for name, file in zip(names, files, strict=True):
        found.setdefault(name, {}).setdefault(split_of(file), []).append(file)
    return [Configuration(name, its, name == _DEFAULT) for name, its in found.items()]


def splits_of(configurations: Sequence[Configuration]) -> dict[str, list[str]]:
    """The files of each split: `train` of the default configuration, or the only one, and `de/train` of others.

    Files of several configurations whose names tell no split are `train`, as for `datasets`.
    """
    if len(configurations) == 1:
        return {split: list(files) for split, files in configurations[0].files.items()}
    found: dict[str, list[str]] = {}
    for each in configurations:
        for split, files in each.files.items():
            name = split or _WITHOUT_SPLIT
            found.setdefault(name if each.is_default else f"{each.name}/{name}", []).extend(files)
    return found


def _patterns(data_files: Any) -> list[tuple[str, str]]:
    """(split, pattern) of each pattern."""
    if isinstance(data_files, str):
        return [(_WITHOUT_SPLIT, data_files)]
    if isinstance(data_files, dict):
        return [(str(split), pattern) for split, each in data_files.items() for _, pattern in _patterns(each)]
    found: list[tuple[str, str]] = []
    for each in data_files if isinstance(data_files, list) else ():
        if isinstance(each, dict):
            found += [(str(each.get("split", _WITHOUT_SPLIT)), pattern) for _, pattern in _patterns(each.get("path"))]
        else:
            found += _patterns(each)
    return found


def _matching(pattern: str, files: Sequence[str]) -> list[str]:
    try:
        known = re.compile(glob_translate(pattern.removeprefix("./")))
    except (ValueError, re.error):
        return []
    return [file for file in files if known.match(file)]
