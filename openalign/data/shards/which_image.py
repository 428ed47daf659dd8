"""The image of each sample: one of several by the order of suffixes, or the one that is asked for."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from openalign.data.images.formats import reading_advice
from openalign.data.left_out import Kind, LeftOut
from openalign.data.shards.captions import valid
from openalign.data.shards.cut_off import Keyed
from openalign.data.shards.grouping import Sample
from openalign.data.shards.members import IMAGE_ORDER, Member, Part, rank
from openalign.errors import OpenAlignError
from openalign.options import option

_MOST_LISTED = 20
_TABLES = frozenset(("jsonl", "ndjson", "csv", "tsv", "parquet"))
Pictured = tuple[str, Member, list[Member]]
"""Key and image of a sample, and those of its other members that have content."""


@dataclass
class _Unused:
    """Counts of what is not used, by suffix."""

    images: Counter[str] = field(default_factory=Counter)
    unread_images: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    samples: list[str] = field(default_factory=list)
    """Keys of samples without the image."""


def with_images(name: str, keyed: Sequence[Keyed], wanted: str | None, problems: list[str]) -> list[Pictured]:
    """The samples with an image; those without, further images and members that are not used are added to `problems`.

    `wanted` is the suffix of the image to take; None takes the first of `IMAGE_ORDER`.
    Raises `OpenAlignError` naming the suffixes there are if no sample has the wanted one.
    """
    suffix = None if wanted is None else wanted.lower().removeprefix(".")
    found: list[Pictured] = []
    unused = _Unused()
    for key, sample in keyed:
        images = [member for member in sample.values() if member.part is Part.IMAGE]
        contents = [member for member in sample.values() if member.content is not None]
        image = _image_of(images, suffix)
        if image is not None:
            found.append((key, image, contents))
        if len(images) + len(contents) < len(sample):
            _count_unused(sample, unused)
        if image is None:
            if (images or contents) and not any(each.part is Part.UNREAD_IMAGE for each in sample.values()):
                unused.samples.append(key)
        elif len(images) > 1:
            unused.images.update(other.suffix for other in images if other is not image)
    if suffix is not None and not found:
        raise OpenAlignError(_no_such_image(name, suffix, keyed))
    problems += _messages(name, unused, suffix or "")
    return found


def _image_of(images: list[Member], suffix: str | None) -> Member | None:
    if suffix is not None:
        return next((image for image in images if image.suffix == suffix), None)
    if len(images) < 2:
        return images[0] if images else None
    return min(images, key=lambda image: rank(image.suffix, IMAGE_ORDER))


def _count_unused(sample: Sample, unused: _Unused) -> None:
    for member in sample.values():
        if member.part is Part.UNREAD_IMAGE:
            unused.unread_images[member.suffix] += 1
        elif member.part is Part.OTHER:
            unused.others[member.suffix] += 1


def _messages(name: str, unused: _Unused, suffix: str) -> list[LeftOut]:
    found = []
    if number := unused.images.total():
        advice = f".{suffix} was asked for" if suffix else f"{option('image_column')} takes another by its suffix"
        message = f"{name}: {number:,} further images of samples ({_listed(unused.images)}) are left out: {advice}"
        found.append(LeftOut(Kind.EXTRA_IMAGE, message, number))
    if number := unused.unread_images.total():
        what = f"images ({_listed(unused.unread_images)}) are of a format that is not read"
        message = f"{name}: {number:,} {what}: {reading_advice(unused.unread_images)}"
        found.append(LeftOut(Kind.IMAGE_FORMAT, message, number))
    if number := unused.others.total():
        message = f"{name}: {number:,} members ({_listed(unused.others)}) are of a kind that is not read"
        if _TABLES.intersection(unused.others):
            message += "; if a table in the tar has the texts, unpack it, and give the folder"
        found.append(LeftOut(Kind.MEMBER_NOT_USED, message, number))
    if unused.samples:
        number = len(unused.samples)
        what = f"image .{suffix}" if suffix else "image"
        message = f"{name}: {number:,} samples have no {what} and are left out, the first: {unused.samples[0]}"
        found.append(LeftOut(Kind.SAMPLE_WITHOUT_IMAGE, valid(message), number))
    return found


def _listed(counts: Counter[str]) -> str:
    """`.npy 12, .mp4 3`"""
    some = [f"{f'.{valid(suffix)}' if suffix else 'no suffix'} {n:,}" for suffix, n in counts.most_common(_MOST_LISTED)]
    return ", ".join(some if len(counts) <= _MOST_LISTED else [*some, "..."])


def _no_such_image(name: str, suffix: str, keyed: Sequence[Keyed]) -> str:
    known = {member.suffix for _, sample in keyed for member in sample.values() if member.part is Part.IMAGE}
    listed = ", ".join(f".{each}" for each in sorted(known, key=lambda each: rank(each, IMAGE_ORDER))[:_MOST_LISTED])
    return f"{name} has no images .{suffix}: its images end with {listed or 'none of the suffixes that are read'}"
