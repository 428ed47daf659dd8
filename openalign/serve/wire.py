"""The JSON objects of the REST API."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from starlette.types import Scope

from openalign.errors import OpenAlignError
from openalign.search.index import Index
from openalign.search.results.hits import Hit
from openalign.search.rows import Row
from openalign.serve.links import Links
from openalign.validation import requirement

_EXAMPLES = 6
_LONGEST_EXAMPLE = 40


class Reply(BaseModel):
    """Base of all responses."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Problem(Reply):
    """The response to a failed request."""

    error: str
    """What was wrong and what to do."""


class OpenAIError(Reply):
    """What OpenAI's clients read of a failed request."""

    message: str
    type: str
    code: int
    param: str | None


class OpenAIProblem(Reply):
    """The response to a failed request under `/v1`."""

    error: OpenAIError


def failed(scope: Scope, status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The response to a failed request, in the form of the path that it asked for."""
    problem: Reply = Problem(error=message)
    if scope["path"].startswith("/v1/"):
        kind = "invalid_request_error" if status < 500 else "server_error"
        problem = OpenAIProblem(error=OpenAIError(message=message, type=kind, code=status, param=None))
    return JSONResponse(problem.model_dump(), status, headers)


class Picture(Reply):
    """One indexed image."""

    row: int
    image: str
    """Folder and file name, or URL; where the service answers this machine only, the path as in its source."""
    text: str | None
    page: str | None
    """An http or https URL, so that it is safe to link to; others are left out."""
    width: int
    """Pixels; so is `height`."""
    height: int
    date: str | None
    """When it was taken (EXIF), in ISO 8601, local time there."""
    thumbnail: str
    """Path of the small JPEG on this server. It changes when the image does, so it can be cached without limit."""
    original: str
    """Path of the image file on this server."""

    @classmethod
    def of(cls, row: Row, links: Links) -> Self:
        return cls.model_validate(_fields(row, links))


class Answer(Picture):
    """One result of a search."""

    score: float
    """Cosine similarity of query and image."""
    within: bool
    """Whether it lies inside the mark where matches end."""
    alike: int
    """How many near-duplicates are folded into it (`/alike/{row}` lists them); with `against=text`, other images of the
    same text."""
    caption: str | None
    """The text of the image that matched, where it was this and not the picture."""

    @classmethod
    def found(cls, hit: Hit, links: Links) -> Self:
        about = {"score": hit.score, "within": hit.within, "alike": hit.alike, "caption": hit.caption}
        return cls.model_validate({**_fields(hit.indexed, links), **about})


class Found(Reply):
    """The results of a search, best first."""

    hits: list[Answer]
    nothing_matches: bool
    """Whether no image lies inside the mark."""
    note: str | None
    """What to know of the order, for people."""
    milliseconds: float
    """From the parsed request to the last result."""


class Pictures(Reply):
    """Images of the index, without a query."""

    images: list[Picture]


class Listing(Reply):
    """All images in order, one element of each list for an image."""

    rows: list[int]
    ratios: list[float]
    """Width by height."""
    scores: list[float] | None
    """Cosine similarities, if there is a query."""
    alike: list[int]
    """How many near-duplicates are folded into each; empty where none are folded."""
    within: int | None
    """How many lie inside the mark where matches end, if there is a query; they come first."""
    note: str | None
    """What to know of the order, or of the number, for people."""
    milliseconds: float


class Label(Reply):
    """A label and its probability among the given labels."""

    label: str
    probability: float


class Labels(Reply):
    """All labels, most probable first; the probabilities sum to 1."""

    labels: list[Label]
    milliseconds: float


class Example(Reply):
    """An example query."""

    text: str = ""
    plus: list[str] = []
    minus: list[str] = []
    row: int | None = None


class Info(Reply):
    """The index that is served."""

    name: str
    rows: int
    model: str
    examples: list[Example]
    has_map: bool
    """Whether there is a map of the collection, at `/map`."""
    has_texts: bool
    """Whether queries can be compared with the texts of the images (`against`)."""
    credits: str | None
    """Contents of the file CREDITS in the index folder, if there is one."""


class Health(Reply):
    """The service is up."""

    status: str
    rows: int


def info_of(index: Index) -> Info:
    """The texts around the search on the page.

    Raises:
        OpenAlignError: `examples.json` is not a list of examples, or it or CREDITS cannot be read.
    """
    folder = index.store.folder
    return Info(
        name=index.store.title,
        rows=len(index),
        model=Path(index.store.meta.model_name).name,
        examples=(_read_examples(folder / "examples.json") if folder else []) or _examples_of(index),
        has_map=index.map is not None,
        has_texts=index.store.meta.texts > 0,
        credits=_read_credits(folder / "CREDITS") if folder else None,
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
        raise OpenAlignError(
            f"{path}: {_wrong_example(error)}; write a JSON list of texts, or of objects such as "
            '{"text": "a cat", "minus": ["snow"]}.'
        ) from None
    return [Example(text=each) if isinstance(each, str) else each for each in listed]


def _wrong_example(error: ValidationError) -> str:
    problem = error.errors()[0]
    if not problem["loc"]:
        return f"the file {requirement(problem)}"
    return f"element {int(problem['loc'][0]) + 1} is neither a text nor an object with `text`, `plus`, `minus` or `row`"


def _examples_of(index: Index) -> list[Example]:
    """Texts of indexed images that are short enough for a button."""
    sampled = index.sample(20 * _EXAMPLES)
    texts = [row.texts[0] for row in sampled if row.texts and len(row.texts[0]) <= _LONGEST_EXAMPLE]
    distinct = list(dict.fromkeys(texts))
    return [Example(text=text) for text in distinct[:: max(1, len(distinct) // _EXAMPLES)][:_EXAMPLES]]


def _fields(row: Row, links: Links) -> dict[str, object]:
    linked = row.page is not None and row.page.lower().startswith(("http://", "https://"))
    return {
        "row": row.row,
        "image": links.image(row),
        "text": row.text,
        "page": row.page if linked else None,
        "width": row.width,
        "height": row.height,
        "date": row.date,
        "thumbnail": links.thumbnail(row),
        "original": links.original(row),
    }
