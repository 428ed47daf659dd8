"""The rules that each pair of the miniature web truly breaks, in plain Python independent of `openalign.curation`."""

import unicodedata
from collections.abc import Sequence

import pyarrow as pa

from openalign.demo.pages import Tag

SCHEMA = pa.schema(
    [
        ("image", pa.string()),
        ("text", pa.string()),
        ("page", pa.string()),
        ("scene", pa.int64()),
        ("caption_ok", pa.bool_()),
        ("language", pa.string()),
        ("noise", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("reasons", pa.list_(pa.string())),
    ]
)

WORDS = (3, 20)
IMAGES_PER_TEXT = 10
TEXTS_PER_IMAGE = 1_000
SHORTER_SIDE = 200
ASPECT_RATIO = 3


class Sharing:
    """Numbers of images of a text and of texts of an image, counted up to the limits of the rules."""

    def __init__(self) -> None:
        self._images: dict[str, set[str]] = {}
        self._texts: dict[str, set[str]] = {}

    def add(self, image: str, text: str | None) -> None:
        if text:
            images = self._images.setdefault(text, set())
            texts = self._texts.setdefault(image, set())
            if len(images) <= IMAGES_PER_TEXT:
                images.add(image)
            if len(texts) <= TEXTS_PER_IMAGE:
                texts.add(text)

    def reasons(self, image: str, text: str | None) -> list[str]:
        found = []
        if text and len(self._images[text]) > IMAGES_PER_TEXT:
            found.append("images_per_text")
        if len(self._texts.get(image, ())) > TEXTS_PER_IMAGE:
            found.append("texts_per_image")
        return found


def seen_text(text: str | None) -> str | None:
    """An alt text in normal form: Unicode NFC, single spaces, none at the ends."""
    return None if text is None else " ".join(unicodedata.normalize("NFC", text).split())


def word_count(text: str) -> int:
    """Runs of letters, marks and digits; no caption here is in a script without spaces between words."""
    spaced = "".join(character if unicodedata.category(character)[0] in "LMN" else " " for character in text)
    return len(spaced.split())


def rows_of(tags: Sequence[Tag], page: str) -> list[dict[str, object]]:
    """The rows of a page's tags, without the reasons that depend on the whole web."""
    return [
        {
            "image": tag.image,
            "text": seen_text(tag.text),
            "page": page,
            "scene": tag.scene,
            "caption_ok": tag.caption_ok,
            "language": tag.language,
            "noise": tag.noise,
            "width": tag.width,
            "height": tag.height,
        }
        for tag in tags
    ]


def with_reasons(rows: pa.Table, sharing: Sharing) -> pa.Table:
    """The rows with `reasons`: the rules that each breaks, in their order; `sharing` has counts of the whole web."""
    reasons = [_reasons(row, sharing) for row in rows.to_pylist()]
    return rows.append_column(SCHEMA.field("reasons"), pa.array(reasons, SCHEMA.field("reasons").type))


def _reasons(row: dict[str, object], sharing: Sharing) -> list[str]:
    image, text = str(row["image"]), row["text"]
    words = str(text) if text else None
    found = [] if words else ["no_text"]
    if words and not WORDS[0] <= word_count(words) <= WORDS[1]:
        found.append("word_count")
    found += sharing.reasons(image, words)
    width, height = row["width"], row["height"]
    if not isinstance(width, int) or not isinstance(height, int):
        return [*found, "unreadable_image"]
    if min(width, height) <= SHORTER_SIDE:
        found.append("shorter_side")
    if max(width, height) >= ASPECT_RATIO * min(width, height):
        found.append("aspect_ratio")
    if row["noise"] == "test_near_duplicate":
        found.append("near_duplicate_of_test")
    return found
