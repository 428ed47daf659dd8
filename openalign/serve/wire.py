"""What the service says, as typed JSON."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from openalign.errors import OpenAlignError
from openalign.search.index import Hit, Index
from openalign.search.rows import Row

_EXAMPLES = 6
_LONGEST_EXAMPLE = 40


class Reply(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Problem(Reply):
    """What every failed request gets."""

    error: str
    """One sentence: what was wrong, and what to do."""


class Picture(Reply):
    """One indexed image."""

    row: int
    image: str
    """Path or URL, as its source names it."""
    text: str | None
    page: str | None
    """Only an http or https address, so that it is safe to link to."""
    width: int
    """Pixels; so is `height`."""
    height: int
    thumbnail: str
    """Address here of the small JPEG; it changes when the image does, so it can be cached for good."""
    original: str
    """Address here of the image file."""

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls.model_validate(_fields(row))


class Answer(Picture):
    """One image that was found."""

    score: float
    """Cosine similarity of query and image."""

    @classmethod
    def found(cls, hit: Hit) -> Self:
        return cls.model_validate({**_fields(hit.indexed), "score": hit.score})


class Found(Reply):
    """Answers of a search, best first."""

    hits: list[Answer]
    milliseconds: float
    """From the read request to the last answer."""


class Pictures(Reply):
    """Images without a query."""

    images: list[Picture]


class Label(Reply):
    """A label and how probable it is among those asked about."""

    label: str
    probability: float


class Labels(Reply):
    """All labels, most probable first; the probabilities add up to 1."""

    labels: list[Label]
    milliseconds: float


class Example(Reply):
    """A query to begin with."""

    text: str = ""
    plus: list[str] = []
    minus: list[str] = []
    row: int | None = None


class Info(Reply):
    """What is served."""

    name: str
    rows: int
    model: str
    examples: list[Example]
    credits: str | None
    """Who made the images, if the index folder has a file CREDITS."""


class Health(Reply):
    """The service is up."""

    status: str
    rows: int


def info_of(index: Index) -> Info:
    """What the page shows around the search.

    Raises:
        OpenAlignError: `examples.json` is not a list of examples, or one of them or CREDITS cannot be read.
    """
    folder = index.store.folder
    return Info(
        name=folder.resolve().name.removesuffix(".index"),
        rows=len(index),
        model=Path(index.store.meta.model_name).name,
        examples=_read_examples(folder / "examples.json") or _examples_of(index),
        credits=_read_credits(folder / "CREDITS"),
    )


def _read_credits(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip() if path.is_file() else None
    except UnicodeDecodeError as error:
        raise OpenAlignError(f"{path} is not UTF-8 at byte {error.start}: save it as UTF-8, or remove it.") from None
    except OSError as error:
        raise OpenAlignError(f"{path} cannot be read ({error.strerror}).") from None


def _read_examples(path: Path) -> list[Example]:
    """A JSON list; an element is a text, or an object with `text`, `plus`, `minus` or `row`."""
    if not path.is_file():
        return []
    try:
        listed = TypeAdapter(list[str | Example]).validate_json(path.read_bytes())
    except OSError as error:
        raise OpenAlignError(f"{path} cannot be read ({error.strerror}).") from None
    except ValidationError as error:
        problem = error.errors()[0]
        raise OpenAlignError(
            f"{path}: {problem['msg']} (at {'.'.join(map(str, problem['loc'][:1])) or 'the top'}); write a JSON list "
            'of texts, or of objects such as {"text": "a cat", "minus": ["snow"]}.'
        ) from None
    return [Example(text=each) if isinstance(each, str) else each for each in listed]


def _examples_of(index: Index) -> list[Example]:
    """Texts of the images themselves, short enough for a button."""
    texts = [row.text for row in index.sample(20 * _EXAMPLES) if row.text and len(row.text) <= _LONGEST_EXAMPLE]
    distinct = list(dict.fromkeys(texts))
    return [Example(text=text) for text in distinct[:: max(1, len(distinct) // _EXAMPLES)][:_EXAMPLES]]


def _fields(row: Row) -> dict[str, object]:
    version = row.digest.hex()[:8]
    linked = row.page is not None and row.page.lower().startswith(("http://", "https://"))
    return {
        "row": row.row,
        "image": row.image,
        "text": row.text,
        "page": row.page if linked else None,
        "width": row.width,
        "height": row.height,
        "thumbnail": f"/api/thumbnails/{row.row}?v={version}",
        "original": f"/api/images/{row.row}?v={version}",
    }
