"""Members of a tar, in any order, grouped into samples."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from openalign.data.files.elsewhere import in_other_folders, spelled_otherwise
from openalign.data.images.maps import maps_among, may_be_maps
from openalign.data.shards.members import Member, Part

_NUMBER = re.compile(r"[A-Za-z]?\d+")
"""What stands between two dots of a name and tells samples apart: `img.0002.jpg`, `shop.v2.jpg`."""
_FIRST = 2
"""The highest first number of further texts: 2 where the text without a number is the first."""

Sample = dict[str, Member]
"""The members of one sample by their suffixes."""


Numbered = tuple[int, Member]
"""A member and its place in the tar."""


Held = tuple[bool, bool]
"""Whether there is an image, and whether there are words."""


@dataclass
class Grouped:
    """The samples of a tar in the order of their first members."""

    samples: list[tuple[str, Sample]]
    """Key and members; a key may come more than once."""
    repeated: list[Member]
    """Members whose name comes more than once and that no sample can be told for."""


def grouped(members: Iterable[Member]) -> Grouped:
    """Group members by key.

    A name that comes more than once in a tar, as where tars were joined: if all members with its key stand together
    with an image and a text, each such run is a sample. Else the first members of each suffix are one, the second ones
    another, if there are as many of each; else runs are samples if the members of all other samples stand together.
    What is left is told of, and not used, because it may belong to another image.
    """
    by_key: dict[str, list[Numbered]] = {}
    for number, member in enumerate(members):
        by_key.setdefault(member.key, []).append((number, member))
    _join_parts(by_key)
    _join_maps(by_key)
    _join_texts(by_key)
    found = Grouped([], [])
    starts = []
    repeated: list[str] = []
    for key, numbered in by_key.items():
        sample = {member.suffix: member for _, member in numbered}
        if len(sample) == len(numbered):
            found.samples.append((key, sample))
            starts.append(numbered[0][0])
        else:
            repeated.append(key)
    again = set(repeated)
    in_runs = bool(repeated) and _stand_together(numbered for key, numbered in by_key.items() if key not in again)
    for key in repeated:
        split = _split(by_key[key], in_runs, found.repeated)
        found.samples += [(key, sample) for _, sample in split]
        starts += [start for start, _ in split]
    if starts != sorted(starts):
        found.samples = [found.samples[at] for at in sorted(range(len(starts)), key=starts.__getitem__)]
    return found


def has_image(sample: Iterable[Member]) -> bool:
    return any(member.part is Part.IMAGE for member in sample)


def has_words(sample: Iterable[Member]) -> bool:
    """Whether a sample has a text, a label or fields."""
    return any(member.part in (Part.TEXT, Part.LABEL, Part.FIELDS) for member in sample)


def _join_parts(by_key: dict[str, list[Numbered]]) -> None:
    """Bring `a.seg.png` and `a.meta.json` to the sample `a`, unless `a.seg` has an image and a text of its own.

    `a.0.png` and `a.1.png` come to `a.txt`, and `a.0.txt` to `a.jpg`, unless numbers tell whole samples apart in the
    tar; so does `a.1.txt` beside `a.jpg` and `a.txt`, unless numbers tell images apart. `a.image.jpg` and
    `a.caption.txt` make a sample `a` where the names of all samples are made like that.
    """
    dotted = [key for key in by_key if "." in key.rpartition("/")[2]]
    if not dotted:
        return
    holds = {key: _holds(numbered) for key, numbered in by_key.items()}
    parts = [key for key in dotted if holds[key] != (True, True)]
    by_number = any(_NUMBER.fullmatch(key.rpartition(".")[2]) for key in set(dotted).difference(parts))
    further = set() if by_number else _further_texts(parts, holds)
    lone = {}
    for key in parts:
        parent = next((short for short in _shortened(key) if short in by_key), None)
        if parent is None:
            lone[key] = next(_shortened(key), key)
            continue
        is_numbered = _NUMBER.fullmatch(key[len(parent) + 1 :]) is not None and key not in further
        if is_numbered and (by_number or not _complete(holds[parent], holds[key])):
            continue
        _join(by_key, key, parent)
    for key, parent in _pairs_of_parts(lone, holds).items():
        _join(by_key, key, parent)


def _further_texts(parts: Iterable[str], holds: dict[str, Held]) -> set[str]:
    """The keys `a.1`, `a.2` of texts where `a` is whole; none if an image of the tar has such a name beside another.

    Numbers begin at 0, 1 or 2: `a.7.txt` alone may be the text of an image that is lost.
    """
    numbers: dict[str, dict[int, str]] = {}
    for key in parts:
        parent, _, number = key.rpartition(".")
        if number.isdecimal() and parent in holds:
            if holds[key][0] and holds[parent][0]:
                return set()
            if holds[parent] == (True, True):
                numbers.setdefault(parent, {})[int(number)] = key
    return {key for keys in numbers.values() if min(keys) <= _FIRST for key in keys.values()}


def _join_maps(by_key: dict[str, list[Numbered]]) -> None:
    """Bring masks and the like to the sample of their image, if they have no words: `a_mask.png`, `masks/a.png`.

    Their suffix tells which they are: `mask.png`, `masks.png`.
    """
    if not may_be_maps(by_key):
        return
    images = (member for numbered in by_key.values() for _, member in numbered if member.part is Part.IMAGE)
    key_of = {member.name: member.key for member in images}
    for name, picture in maps_among(key_of).items():
        key, parent = key_of[name], key_of.get(picture)
        if parent is None or key == parent or not {key, parent} <= by_key.keys():
            continue
        if not has_words(_members(by_key[key])):
            _join(by_key, key, parent, _kind_of_map(key, parent))


def _join_texts(by_key: dict[str, list[Numbered]]) -> None:
    """Bring texts to the sample of an image without words that lies in another folder: `texts/a.txt` of `images/a.jpg`.

    Or that is spelled otherwise, `a.txt` of `A.jpg`.
    """
    lone = [key for key, some in by_key.items() if some[0][1].part is not Part.IMAGE and not has_image(_members(some))]
    if not lone:
        return
    members = {key: _members(numbered) for key, numbered in by_key.items()}
    texts = {member.name: key for key in lone for member in members[key] if member.part is Part.TEXT}
    every = [[m for some in members.values() for m in some if m.part is part] for part in (Part.IMAGE, Part.TEXT)]
    images = {m.name: m.key for m in every[0] if not has_words(members[m.key])}
    found = spelled_otherwise(images, texts)
    found = found or in_other_folders(images, texts, *((m.name for m in some) for some in every))
    for text, image in found.items():
        key, parent = texts[text], images[image]
        if key in by_key:
            joined = [(number, member._replace(key=parent)) for number, member in by_key.pop(key)]
            by_key[parent] = sorted(by_key[parent] + joined, key=lambda each: each[0])


def _kind_of_map(key: str, parent: str) -> str:
    """What tells a map from its picture: `mask` of `x/a_mask`, the folder's name of `masks/a`."""
    folder, _, name = key.rpartition("/")
    own = parent.rpartition("/")[2]
    rest = name.removeprefix(own).removesuffix(own).strip("-_. ")
    return (rest if rest and rest != name else folder.rpartition("/")[2] or name).lower().replace(".", "_")


def _members(numbered: Iterable[Numbered]) -> list[Member]:
    return [member for _, member in numbered]


def _join(by_key: dict[str, list[Numbered]], key: str, parent: str, between: str = "") -> None:
    between = between or key[len(parent) + 1 :].lower()
    joined = [
        (number, member._replace(key=parent, suffix=f"{between}.{member.suffix}")) for number, member in by_key.pop(key)
    ]
    by_key[parent] = sorted(by_key.get(parent, []) + joined, key=lambda each: each[0])


def _holds(numbered: Iterable[Numbered]) -> Held:
    members = _members(numbered)
    return has_image(members), has_words(members)


def _complete(one: Held, other: Held) -> bool:
    """Whether one has the image and nothing else, and the other the words."""
    return {one, other} == {(True, False), (False, True)}


def _pairs_of_parts(lone: dict[str, str], holds: dict[str, Held]) -> dict[str, str]:
    """The keys `a.image` and `a.caption` with the key of their sample, if most samples of the tar are made like that.

    What stands between the dots says what a member is, so it comes more than once, and is not a number; names that
    differ between samples, as `shop.red.jpg` and `shop.blue.txt`, may be two samples that lost a member each.
    """
    kinds: dict[str, set[Held]] = {}
    seen = Counter(key.rpartition(".")[2].lower() for key in lone)
    groups: dict[str, list[str]] = {}
    for key, parent in lone.items():
        kinds.setdefault(key.rpartition(".")[2].lower(), set()).add(holds[key])
        groups.setdefault(parent, []).append(key)
    if any(count < 2 or len(kinds[name]) > 1 or _NUMBER.fullmatch(name) for name, count in seen.items()):
        return {}
    both = [keys for keys in groups.values() if {(True, False), (False, True)} <= {holds[key] for key in keys}]
    return lone if 2 * len(both) > len(groups) else {}


def _shortened(key: str) -> Iterator[str]:
    """`x/a.b.c` -> `x/a.b`, `x/a`."""
    while "." in key.rpartition("/")[2].lstrip("."):
        key = key.rpartition(".")[0]
        yield key


def _stand_together(samples: Iterable[Sequence[Numbered]]) -> bool:
    """Whether the members of each sample stand together; false if no sample has several."""
    several = [numbered for numbered in samples if len(numbered) > 1]
    return bool(several) and all(numbered[-1][0] - numbered[0][0] == len(numbered) - 1 for numbered in several)


def _split(numbered: Sequence[Numbered], in_runs: bool, repeated: list[Member]) -> list[tuple[int, Sample]]:
    """The samples of a key of which at least one suffix comes more than once, with the number of their first member."""
    runs: list[list[Numbered]] = []
    for number, member in numbered:
        last = runs[-1] if runs else []
        if not last or last[-1][0] != number - 1 or any(each.suffix == member.suffix for _, each in last):
            runs.append(last := [])
        last.append((number, member))
    whole = [run for run in runs if has_image(each for _, each in run) and has_words(each for _, each in run)]
    counts = Counter(member.suffix for _, member in numbered)
    chosen = whole if in_runs else []
    if len(whole) == len(runs):
        chosen = whole
    elif len(set(counts.values())) == 1:
        by_suffix = {suffix: [each for each in numbered if each[1].suffix == suffix] for suffix in counts}
        chosen = [list(each) for each in zip(*by_suffix.values(), strict=True)]
    used = {number for run in chosen for number, _ in run}
    repeated += [member for number, member in numbered if number not in used]
    return [(min(number for number, _ in run), {member.suffix: member for _, member in run}) for run in chosen]
