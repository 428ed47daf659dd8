"""The routes that give vectors: `/embed`, and `/v1/embeddings` as OpenAI's clients ask for them."""

import base64
import binascii
import json
import re
from collections.abc import Sequence
from functools import partial
from pathlib import PurePath
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import FastAPI, File, Form, Request, Response, UploadFile
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, field_validator

from openalign.errors import OpenAlignError
from openalign.serve.failures import NoSuchModel
from openalign.serve.service import FAILURES, MAX_TEXT, PREFIXES, Service, Words, encodable
from openalign.serve.wire import OpenAIProblem, Reply
from openalign.serve.work.queueing import items_of

MAX_INPUTS = 2048
"""Texts and images of one request, as OpenAI limits it."""
MAX_FORM_TEXTS = 512
"""In the form of `/embed`: Starlette reads at most 1,000 fields."""
MAX_IMAGES = 64
NO_URL = "this service fetches nothing for a caller; send the image itself, as `data:image/jpeg;base64,...`."

Encoding = Literal["float", "base64"]
Vector = list[float] | str
"""Numbers; or the base64 of float32, little-endian."""
TextsField = Annotated[list[Words], Form(max_length=MAX_FORM_TEXTS, default_factory=list)]
ImagesField = Annotated[list[UploadFile], File(max_length=MAX_IMAGES, default_factory=list)]

_FAILURES: dict[int | str, dict[str, Any]] = {"4XX": {"model": OpenAIProblem}, "5XX": {"model": OpenAIProblem}}
_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


class Vectors(Reply):
    """The embeddings of texts and images, in the order given; unit vectors of one space."""

    model: str
    width: int
    texts: list[Vector]
    images: list[Vector]


class Asked(BaseModel):
    """Base of what a JSON body holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TextInput(Asked):
    """A text."""

    text: Words


class ImageInput(Asked):
    """An image: base64 of the file, with or without `data:image/...;base64,` before it; never a URL."""

    image: str


class EmbeddingRequest(Asked):
    """A request of OpenAI's embeddings API; texts and images may be mixed."""

    input: str | list[str | TextInput | ImageInput]
    """One or several. A text that begins with `data:image/` is an image."""
    model: str | None = None
    """The model that is served; see `/v1/models`."""
    encoding_format: Encoding = "float"
    modality: Literal["text", "image"] | None = None
    """What texts of `input` are, if not to be told from each of them."""
    dimensions: int | None = None
    """Only the model's own width."""
    user: str | None = None
    """Not used."""

    @field_validator("input", mode="before")
    @classmethod
    def _no_tokens(cls, value: Any) -> Any:
        values = value if isinstance(value, list) else [value]
        if isinstance(value, dict) or any(not isinstance(each, str | dict) for each in values):
            raise ValueError('must be a text or a list of texts and of {"image": ...}; tokens are not taken')
        if not values:
            raise ValueError("must have at least 1 value")
        for each in values:
            encodable(each if isinstance(each, str) else "")
        if len(values) > MAX_INPUTS:
            raise ValueError(f"must have at most {MAX_INPUTS:,} values")
        return value


class Embedding(Reply):
    """The embedding of one input."""

    object: Literal["embedding"]
    index: int
    embedding: Vector


class Usage(Reply):
    """Words of the texts; an image counts as one."""

    prompt_tokens: int
    total_tokens: int


class Embeddings(Reply):
    """The embeddings of all inputs, in the order given; unit vectors."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: Usage


class Model(Reply):
    """The model that is served."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class Models(Reply):
    """All models: one."""

    object: Literal["list"]
    data: list[Model]


def add_embed(app: FastAPI, service: Service) -> None:
    async def embed(
        request: Request,
        texts: TextsField,
        images: ImagesField,
        encoding_format: Annotated[Encoding, Form()] = "float",
    ) -> Response:
        """The vectors of texts and of uploaded images."""
        if not texts and not images:
            raise OpenAlignError("Nothing to embed: give `texts`, `images` or both.")

        def work() -> Response:
            files = [image.file.read() for image in images]
            vectors = _embedded(service, [*texts, *files])
            shown = [_encoded(vector_D, encoding_format) for vector_D in vectors]
            return _json(
                {
                    "model": model_name(service),
                    "width": service.index.model.width,
                    "texts": shown[: len(texts)],
                    "images": shown[len(texts) :],
                }
            )

        return await service.queue.run(request, len(texts) + sum(map(items_of, images)), work)

    for prefix in PREFIXES:
        app.post(f"{prefix}/embed", responses={200: {"model": Vectors}, **FAILURES}, response_class=Response)(embed)


def add_openai(app: FastAPI, service: Service) -> None:
    @app.post("/v1/embeddings", responses={200: {"model": Embeddings}, **_FAILURES}, response_class=Response)
    async def create_embeddings(request: Request, asked: EmbeddingRequest) -> Response:
        """The vectors of texts and images in the form of OpenAI's API."""
        _check_model(service, asked)
        count = 1 if isinstance(asked.input, str) else len(asked.input)
        return await service.queue.run(request, count, partial(_openai_answer, service, asked))

    @app.get("/v1/models", responses=_FAILURES)
    async def list_models() -> Models:
        """The model that is served."""
        served = Model(id=model_name(service), object="model", created=0, owned_by="openalign")
        return Models(object="list", data=[served])


def model_name(service: Service) -> str:
    """What answers call the model: the last part of the name it was indexed with."""
    return PurePath(service.index.store.meta.model_name).name


def _check_model(service: Service, asked: EmbeddingRequest) -> None:
    name = model_name(service)
    if asked.model not in (None, name, service.index.store.meta.model_name):
        raise NoSuchModel(f"There is no model {asked.model[:100]!r} here: this service has {name!r}.")
    width = service.index.model.width
    if asked.dimensions not in (None, width):
        raise OpenAlignError(f"dimensions: the model gives {width:,} numbers, no others.")


def _openai_answer(service: Service, asked: EmbeddingRequest) -> Response:
    given = [asked.input] if isinstance(asked.input, str) else asked.input
    items = [_item(each, number, asked.modality) for number, each in enumerate(given)]
    if sum(isinstance(item, bytes) for item in items) > MAX_IMAGES:
        raise OpenAlignError(f"input: must have at most {MAX_IMAGES} images.")
    vectors = _embedded(service, items)
    used = sum(1 if isinstance(item, bytes) else len(item.split()) for item in items)
    return _json(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": number, "embedding": _encoded(vector_D, asked.encoding_format)}
                for number, vector_D in enumerate(vectors)
            ],
            "model": model_name(service),
            "usage": {"prompt_tokens": used, "total_tokens": used},
        }
    )


def _item(given: str | TextInput | ImageInput, number: int, modality: str | None) -> str | bytes:
    """The text, or the bytes of the image."""
    where = f"input.{number}"
    if isinstance(given, ImageInput):
        return _image(given.image, where)
    if isinstance(given, TextInput):
        return given.text
    if modality == "image" or (modality is None and given[:11].lower() == "data:image/"):
        return _image(given, where)
    if len(given) > MAX_TEXT:
        raise OpenAlignError(f"{where}: must have at most {MAX_TEXT:,} characters.")
    return given


def _image(given: str, where: str) -> bytes:
    data = _DATA_URL.match(given)
    if data is None and _SCHEME.match(given):
        raise OpenAlignError(f"{where}: {NO_URL}")
    try:
        return base64.b64decode(given[data.end() if data else 0 :].encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise OpenAlignError(f"{where}: is not base64; {NO_URL}") from None


def _embedded(service: Service, items: Sequence[str | bytes]) -> list[NDArray[np.float32]]:
    """The unit vector (D,) of each item, little-endian."""
    model = service.index.model
    for number, item in enumerate(items):
        if isinstance(item, str) and not item.strip():
            raise OpenAlignError(f"Text {number + 1} is empty.")
    texts = model.embed_texts([item.strip() for item in items if isinstance(item, str)])
    images = model.embed_images([item for item in items if isinstance(item, bytes)])
    of_text, of_image = iter(texts.astype("<f4")), iter(images.astype("<f4"))
    return [next(of_text if isinstance(item, str) else of_image) for item in items]


def _encoded(vector_D: NDArray[np.float32], encoding: Encoding) -> Vector:
    if encoding == "base64":
        return base64.b64encode(vector_D.tobytes()).decode("ascii")
    numbers: list[float] = vector_D.tolist()
    return numbers


def _json(content: dict[str, Any]) -> Response:
    """Written here, in the thread of the request: a large answer would keep the event loop from all others."""
    return Response(json.dumps(content, allow_nan=False, ensure_ascii=False).encode(), media_type="application/json")
