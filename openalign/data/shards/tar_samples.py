"""The samples of a tar without an index: image, texts, fields and label of each."""

import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from openalign.data.left_out import Kind, LeftOut
from openalign.data.shards.captions import decoded_all, valid
from openalign.data.shards.cut_off import Keyed, whole_samples
from openalign.data.shards.grouping import Grouped, grouped
from openalign.data.shards.members import Member, Part
from openalign.data.shards.tar_scan import Scanned, first_ones, scan
from openalign.data.shards.which_image import with_images

CLASS_NAMES = "classnames.txt"
"""The file with the name of each class, one a line, as CLIP_benchmark writes it: in the tar, beside it or above."""


@dataclass
class TarSample:
    """A sample that has an image."""

    key: str
    image: Member
    texts: dict[str, str] = field(default_factory=dict)
    """By suffix, of the members that can be read."""
    fields: dict[str, Any] = field(default_factory=dict)
    """Of the `.json`."""
    label: str | None = None
    """The content of the `.cls`."""
    is_unread: bool = False
    """Whether a text, or the `.json`, cannot be read."""


def samples_of(
    name: str, stream: IO[bytes], problems: list[str], image_column: str | None = None
) -> tuple[list[TarSample], str | None]:
    """The samples of the tar `name` that have an image, in the order of their first members, and its `CLASS_NAMES`.

    `image_column` is the suffix of the image to take (`png`, `seg.png`); by default it is the first of `IMAGE_ORDER`
    that a sample has. What is left out is added to `problems`, by kind.
    Raises `tarfile.ReadError` if no sample is complete, `OSError` if the stream cannot be read, `OpenAlignError` if no
    sample has the image that is asked for.
    """
    scanned = scan(name, stream)
    problems += scanned.problems()
    names = next((each.content for each in scanned.members if each.name.rpartition("/")[2] == CLASS_NAMES), None)
    found = grouped(each for each in scanned.members if each.name.rpartition("/")[2] != CLASS_NAMES)
    problems += _repeated(name, found)
    keyed = _without_cut(name, found.samples, scanned, problems) if scanned.is_cut else found.samples
    lost_images = {each.key for each in scanned.too_large if each.part is Part.IMAGE}
    keyed = [each for each in keyed if each[0] not in lost_images] if lost_images else keyed
    pictured = with_images(name, keyed, None if image_column == "image" else image_column, problems)
    lost_texts = {each.key for each in scanned.too_large}
    samples = [TarSample(valid(key), image, is_unread=key in lost_texts) for key, image, _ in pictured]
    members = [(sample, member) for sample, (*_, others) in zip(samples, pictured, strict=True) for member in others]
    _read_texts(name, [each for each in members if each[1].part is not Part.FIELDS], problems)
    _read_fields(name, [each for each in members if each[1].part is Part.FIELDS], problems)
    return samples, names.decode(errors="replace") if names is not None else None


def _repeated(name: str, found: Grouped) -> list[LeftOut]:
    members = found.repeated
    if not members:
        return []
    return [
        LeftOut(
            Kind.MEMBER_REPEATED,
            f"{name}: {len(members):,} members whose name comes more than once are left out, since they may belong to "
            f"another sample, the first: {valid(members[0].name)}: write the tar again",
            len(members),
        )
    ]


def _without_cut(name: str, keyed: Sequence[Keyed], scanned: Scanned, problems: list[str]) -> list[Keyed]:
    whole, lost = whole_samples(keyed, scanned.cut_member)
    if not whole:
        raise tarfile.ReadError("it is cut off or damaged within its first sample")
    message = f"{name} is cut off or damaged after {len(whole):,} samples, which are used: fetch or write it again"
    problems.append(LeftOut(Kind.SAMPLE_CUT_OFF, message, lost))
    return whole


def _read_texts(name: str, members: Sequence[tuple[TarSample, Member]], problems: list[str]) -> None:
    """Put texts and labels into their samples."""
    texts, charset = decoded_all([member.content or b"" for _, member in members])
    unread = []
    for (sample, member), text in zip(members, texts, strict=True):
        if text is None:
            sample.is_unread = True
            unread.append(f"{name}: {valid(member.name)} is not text, and is left out")
        elif member.part is Part.LABEL:
            sample.label = text.strip()
        else:
            sample.texts[member.suffix] = text
    if charset:
        others = sum(not _is_utf8(member.content) for _, member in members) - len(unread)
        problems.append(f"{name}: {others:,} texts are not UTF-8, and are read as {charset}")
    problems += first_ones(Kind.TEXT_NOT_READ, unread, "texts cannot be read")


def _read_fields(name: str, members: Sequence[tuple[TarSample, Member]], problems: list[str]) -> None:
    """Put the fields of each `.json` into its sample."""
    texts, charset = decoded_all([member.content or b"" for _, member in members])
    unread = []
    for (sample, member), text in zip(members, texts, strict=True):
        fields = "it is not text" if text is None else _parsed(text)
        if isinstance(fields, str):
            sample.is_unread = True
            unread.append(f"{name}: {valid(member.name)} is left out: {fields}")
        elif member.suffix == "json":
            sample.fields |= fields
        else:  # `meta.json` beside `json`
            sample.fields = fields | sample.fields
    if charset:
        problems.append(f"{name}: .json members that are not UTF-8 are read as {charset}")
    problems += first_ones(Kind.METADATA_NOT_READ, unread, ".json members cannot be read")


def _parsed(text: str) -> dict[str, Any] | str:
    """The object that a `.json` holds, or why there is none; a text, or a list of them, is its field `captions`."""
    try:
        fields = json.loads(text)
    except RecursionError:
        return "it is nested too deeply"
    except ValueError as error:
        return str(error)
    if isinstance(fields, str) or (isinstance(fields, list) and all(isinstance(each, str) for each in fields)):
        return {"captions": fields}  # the texts alone
    return fields if isinstance(fields, dict) else "it is not an object"


def _is_utf8(content: bytes | None) -> bool:
    try:
        (content or b"").decode()
    except UnicodeDecodeError:
        return False
    return True
