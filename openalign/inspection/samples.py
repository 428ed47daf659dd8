"""What some images and texts of a data set are like: sizes, languages, examples."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np
from PIL import Image

from openalign.data.images.decode import decode, encode_jpeg
from openalign.data.images.frames import frames_in, further_frames
from openalign.data.images.header import read_header
from openalign.data.left_out import Kind, LeftOut
from openalign.data.pairs.pairs import Pairs
from openalign.errors import OpenAlignError
from openalign.extras import EXTRAS, missing

IMAGES = 256
"""Images that are sampled; all of them where there are no more."""
_REMOTE_IMAGES = 8
TEXTS = 300
_EXAMPLES = 5
_THUMBNAIL = 96
"""Longer side of a thumbnail in pixels."""
_LANGUAGES_NAMED = 5


@dataclass(frozen=True)
class Spread:
    """The smallest, the median and the largest of some values."""

    least: float
    median: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of at least one value."""
        return cls(min(values), median(values), max(values))


@dataclass(frozen=True)
class Sizes:
    """The sizes of images, in pixels as stored and in bytes."""

    images: int
    """The number of images that were sampled."""
    width: Spread
    height: Spread
    file_bytes: Spread
    formats: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Example:
    """A pair with a small JPEG of its image; None if that cannot be decoded."""

    name: str
    text: str | None
    label: str | None
    thumbnail: bytes | None


@dataclass(frozen=True)
class Sampled:
    """What was found in the sample."""

    sizes: Sizes | None
    examples: list[Example]
    problems: list[str]
    notes: list[str]


def sample_images(pairs: Pairs) -> Sampled:
    """Sample some of the images. Those that cannot be read are counted where all were sampled, else noted."""
    at_hand = [row for row in evenly(len(pairs), IMAGES) if not pairs.images.location(row).startswith("at://")]
    remote = [row for row in at_hand if "://" in pairs.images.location(row).partition("://")[2]]
    rows = at_hand if not remote else at_hand[:: max(1, len(at_hand) // _REMOTE_IMAGES)]
    notes = [] if at_hand else ["its images are URLs, which `openalign curate` fetches" if len(pairs) else "no rows"]
    unread: list[str] = []
    found: list[tuple[str, int, int, int]] = []
    frames: dict[str, int] = {}
    for row in rows:
        try:
            data = pairs.image_bytes(row)
            header = read_header(data)
            found.append((header.format, header.width, header.height, len(data)))
            if (number := frames_in(data)) > 1:
                frames[pairs.image_name(row)] = number
        except OpenAlignError as error:
            name = pairs.row_name(row)
            unread.append(str(error) if name in str(error) else f"{name}: {error}")
    problems: list[str] = []
    if len(rows) == len(pairs):
        problems = [LeftOut(Kind.IMAGE_NOT_READ, message) for message in unread]
    elif unread:
        notes.append(f"{len(unread):,} of {len(rows):,} sampled images cannot be read, the first: {unread[0]}")
    if len(rows) == len(pairs):
        problems += further_frames(frames, pairs.name)
    else:
        notes += map(str, further_frames(frames, pairs.name, f" of {len(rows):,} sampled rows"))
    return Sampled(_sizes(found), _examples(pairs, rows or evenly(len(pairs), _EXAMPLES)), problems, notes)


def _sizes(found: Sequence[tuple[str, int, int, int]]) -> Sizes | None:
    if not found:
        return None
    formats = dict(Counter(each[0] for each in found).most_common())
    widths, heights, sizes = ([float(side) for side in values] for values in list(zip(*found, strict=True))[1:])
    return Sizes(len(found), Spread.of(widths), Spread.of(heights), Spread.of(sizes), formats)


def _examples(pairs: Pairs, rows: Sequence[int]) -> list[Example]:
    chosen = [rows[number] for number in evenly(len(rows), _EXAMPLES)]
    return [
        Example(
            str(pairs.table["image"][row].as_py()),
            pairs.table["text"][row].as_py(),
            str(pairs.table["label"][row].as_py()) if "label" in pairs.table.column_names else None,
            _thumbnail(pairs, row),
        )
        for row in chosen
    ]


def _thumbnail(pairs: Pairs, row: int) -> bytes | None:
    try:
        image = Image.fromarray(decode(pairs.image_bytes(row), _THUMBNAIL))
    except OpenAlignError:
        return None
    image.thumbnail((_THUMBNAIL, _THUMBNAIL))
    return encode_jpeg(np.asarray(image), 75)


def languages_of(pairs: Pairs) -> tuple[dict[str, float], list[str]]:
    """The most frequent languages of some of the texts with their shares, and notes."""
    texts = [text for text in pairs.texts(np.array(evenly(len(pairs), TEXTS), np.int64)) if text.strip()]
    if not texts:
        return {}, []
    if missing(EXTRAS["curate"]):
        return {}, ["to identify languages, run `pip install 'openalign[curate]'`"]
    from openalign.curation.text.languages import language_of

    counts = Counter(map(language_of, texts))
    return {language: count / len(texts) for language, count in counts.most_common(_LANGUAGES_NAMED)}, []


def evenly(total: int, count: int) -> list[int]:
    """Up to `count` numbers below `total`, at even distances."""
    return np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(np.int64)).tolist() if total else []
