"""Texts of samples: in any encoding, one or several in a file or a field."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openalign.data.conversations import caption_of, is_conversation
from openalign.data.files.charset import decode_detected, decode_marked
from openalign.data.images.formats import is_image_name
from openalign.data.prompts import hold_a_tag_a_line, without_settings
from openalign.data.tables.columns import TEXT_NAMES

CAPTION_FIELDS = tuple(
    dict.fromkeys((*TEXT_NAMES, "captions", "texts", "alt_text", "sentences", "description", "prompt"))
)
"""Fields of a `.json`, in any case, that hold the text where no member of the sample does."""
_INNER_FIELDS = ("raw", "caption", "text", "value")
"""Fields of the objects in a list of captions, as COCO and Karpathy's files have."""
_WRAPPED_FROM = 50
"""Characters of the longest line from which lines of nearly equal length are wrapped prose."""
_NEARLY = 0.7
_DEEPEST = 4
"""Objects within objects whose fields get names."""
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def decoded_all(contents: Sequence[bytes]) -> tuple[list[str | None], str]:
    """The texts (None: it is not text), and the encoding of those that are not UTF-8; "" if there are none.

    Those are decoded alike, since the encoding is found better from many texts than from one.
    """
    texts = [_utf8_or_marked(content) for content in contents]
    others = [content for content, text in zip(contents, texts, strict=True) if text is None and not _binary(content)]
    found = decode_detected(b"\n".join(others)) if others else None
    if found is None:
        return texts, ""
    for number, content in enumerate(contents):
        if texts[number] is None and not _binary(content):
            texts[number] = content.decode(found[1], errors="replace")
    return texts, found[1]


def _utf8_or_marked(content: bytes) -> str | None:
    if b"\0" in content and not content.startswith(_UTF16_MARKS):
        return _utf16(content)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        marked = decode_marked(content)
        return marked[0] if marked else None
    return text.removeprefix("\ufeff")


def _utf16(content: bytes) -> str | None:
    """UTF-16 without a mark, of a text that is ASCII for the most part: every other byte is 0."""
    for charset, zeros in (("utf-16-le", content[1::2]), ("utf-16-be", content[::2])):
        if len(content) % 2 == 0 and zeros.count(0) > 0.8 * len(zeros):
            text = content.decode(charset, errors="replace")
            return text if text.replace("\n", " ").replace("\r", " ").replace("\t", " ").isprintable() else None
    return None


def _binary(content: bytes) -> bool:
    return any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in content)


def hold_a_caption_a_line(texts: Sequence[str]) -> bool:
    """Whether each line is a caption of its own, as CLIP_benchmark writes retrieval sets.

    So it is if at least half of the texts have several lines, without empty lines between them as paragraphs have, and
    not all nearly as long as the longest, as wrapped prose is.
    """
    several = [lines for text in texts if len(lines := text.strip().splitlines()) > 1]
    filled = [text for text in texts if text.strip()]
    if not several or 2 * len(several) < len(filled):
        return False
    if 2 * sum(any(not line.strip() for line in lines) for lines in several) > len(several):
        return False
    longest = max(len(line) for lines in several for line in lines)
    before_last = [len(line) for lines in several for line in lines[:-1]]
    full = sum(length >= _NEARLY * longest for length in before_last)
    return longest < _WRAPPED_FROM or full < 0.9 * len(before_last)


@dataclass(frozen=True)
class Divided:
    """Texts of files or members, divided into captions."""

    captions: list[list[str]]
    """Those of each text."""
    by_line: bool
    """Whether each line is a caption."""
    notes: list[str]
    """What else was found in them, as the end of a sentence."""


def divided(texts: Sequence[str]) -> Divided:
    """The captions in each text: each line where most hold a caption a line, else the text itself on one line.

    Tags, one a line, are one text, and of the settings of an image generator only the prompt is a text.
    """
    prompts = [without_settings(text) for text in texts]
    drawn = sum(one != other for one, other in zip(prompts, texts, strict=True))
    notes = [f"{drawn:,} texts end with the settings of an image generator, and are read without them"] if drawn else []
    if 2 * drawn > len(texts) or not hold_a_caption_a_line(prompts):  # a prompt may have several lines
        return Divided([[" ".join(text.split())] for text in prompts], False, notes)
    lines = [lines_of(text) for text in prompts]
    if hold_a_tag_a_line([line for each in lines for line in each]):
        notes.append("each line is a tag, and the tags of an image are one text")
        return Divided([[", ".join(each)] for each in lines], False, notes)
    return Divided(lines, True, notes)


def lines_of(text: str) -> list[str]:
    """The lines that are not blank, without blanks around."""
    return [stripped for line in text.splitlines() if (stripped := line.strip())]


def captions_of(value: Any) -> list[str] | None:
    """The captions in a value of a `.json`: a text, a number, or a list of them or of objects; None in an object.

    Of a conversation it is the answer, if there is one question.
    """
    if value is None:
        return []
    if is_conversation(value):
        return [caption_of(value) or ""]
    if isinstance(value, list):
        inner = [captions_of(_inner(each)) for each in value]
        return [text for each in inner for text in each or () if text.strip()]
    if isinstance(value, dict):
        return None
    return [value if isinstance(value, str) else str(value)]


def _inner(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return next((value[name] for name in _INNER_FIELDS if name in value), None)


def field_at(fields: Mapping[str, Any], path: str) -> Any:
    """The value of a field; `alt.en` is the field `en` of the object `alt`. Raises `KeyError` if there is none."""
    if path in fields:
        return fields[path]
    outer, dot, inner = path.partition(".")
    if dot and isinstance(fields.get(outer), dict):
        return field_at(fields[outer], inner)
    raise KeyError(path)


def with_inner_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields with those of objects among them, named as `field_at` finds them: `meta.caption`."""
    found = dict(fields)
    objects = [("", fields)]
    for _ in range(_DEEPEST):
        objects = [(f"{path}{name}.", each[name]) for path, each in objects for name in each if _is_object(each[name])]
        for path, each in objects:
            found |= {f"{path}{name}": value for name, value in each.items() if f"{path}{name}" not in found}
    return {name: value for name, value in found.items() if not isinstance(value, dict)}


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def usual_field(every: Sequence[Mapping[str, Any]]) -> str | None:
    """The one of `CAPTION_FIELDS` that holds a text in most of these fields, the first of equals; None without one."""
    counts: dict[str, int] = {}
    for fields in every:
        for name, value in fields.items():
            if (
                name.lower() in CAPTION_FIELDS
                and isinstance(value, str | list)
                and any(text.strip() and not _names_a_file(text) for text in captions_of(value) or ())
            ):
                counts[name] = counts.get(name, 0) + 1
    order: Callable[[str], tuple[int, int]] = lambda name: (-counts[name], CAPTION_FIELDS.index(name.lower()))  # noqa: E731
    return min(counts, key=order, default=None)


def _names_a_file(text: str) -> bool:
    """Whether a text is the name of an image, as the `title` of a photo is that nobody gave one."""
    return "." in text and is_image_name(text.strip())


def valid(text: str) -> str:
    """The text with U+FFFD for each half of a surrogate pair, which JSON can escape and UTF-8 cannot encode."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
