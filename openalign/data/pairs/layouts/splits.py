"""The splits of a data set, by the names of files and folders, and which of them is read."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from openalign.data.split_names import same_split, split_of, standard_word
from openalign.errors import OpenAlignError, UsageError
from openalign.options import option

ALL_SPLITS = "all"
UNNAMED = "unnamed"
"""The split of files whose names tell none, beside others that do."""
_Part = TypeVar("_Part")


def split_folders(folders: Iterable[str]) -> dict[str, list[str]]:
    """The folder of each split among folders with images, given as relative paths with slashes.

    A word names a split only where all folders beside it do, or two of them name different ones: a folder `train`
    beside `airplane` and `boat` holds pictures of trains. Without splits: {"": [the folder that all lie in]}.
    """
    paths = [tuple(filter(None, folder.split("/"))) for folder in folders]
    common = _common(paths)
    for place in range(len(common)):
        if split := split_of(common[place]):
            return {split: ["/".join(common[: place + 1])]}
    beside = {path[len(common)] if len(path) > len(common) else "" for path in paths}
    told = {name: split_of(name) for name in sorted(beside) if name}
    if not any(told.values()) or (
        not all(told.values()) and len({standard_word(split) for split in told.values() if split}) < 2
    ):
        return {"": ["/".join(common)]}
    found: dict[str, list[str]] = {}
    for name, split in told.items():
        found.setdefault(split, []).append("/".join((*common, name)))
    return found


def _common(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    if not paths:
        return ()
    first, last = min(paths), max(paths)
    same = next((place for place, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), None)
    return first[: min(len(first), len(last)) if same is None else same]


def chosen_parts(
    name: str, splits: Mapping[str, Sequence[_Part]], chosen: str | None, *, mixing: bool
) -> tuple[str, list[_Part]]:
    """The split that is read, and its parts; `mixing` takes all splits if none is chosen.

    Raises:
        OpenAlignError: there are several and none is chosen.
        UsageError: the chosen one does not exist.
    """
    splits = {split or UNNAMED: parts for split, parts in splits.items()} if len(splits) > 1 else splits
    known = ", ".join(splits)
    # Splits of other configurations than the default one are read only where they are named.
    own = {split: parts for split, parts in splits.items() if "/" not in split} or splits if chosen is None else splits
    if chosen is None and len(own) > 1 and not mixing:
        raise OpenAlignError(
            f"{name} holds several splits ({known}): choose one with {option('split')} (the setting `split`), "
            f"or all of them with {option(split=ALL_SPLITS)}"
        )
    if chosen in (None, ALL_SPLITS):
        only = next(iter(own), "") if len(own) == 1 else ALL_SPLITS
        return only, [part for parts in own.values() for part in parts]
    found = _meant(list(splits), chosen or "")
    if not found:
        listed = f"its splits are {known}" if any(splits) else "it has no splits"
        raise UsageError(f"{name} has no split {chosen!r}: {listed}")
    split = found[0] if len(found) == 1 else standard_word(found[0])
    return split, [part for each in found for part in splits[each]]


def _meant(splits: Sequence[str], chosen: str) -> list[str]:
    """The splits that a name stands for: that of this very name, else all with another word for it (`val`, `valid`).

    The name of a configuration with one split stands for that: `de` for `de/train`.
    """
    if chosen and chosen in splits:
        return [chosen]
    of_configuration = [split for split in splits if split.partition("/")[0] == chosen]
    same = [split for split in splits if split and same_split(split, chosen)]
    return same or (of_configuration if len(of_configuration) == 1 else [])
