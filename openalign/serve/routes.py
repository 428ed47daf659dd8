"""The routes that need the model: search and labels."""

import math
import time
from dataclasses import dataclass
from functools import cached_property, partial

from fastapi import FastAPI, Request, UploadFile

from openalign.errors import OpenAlignError
from openalign.evaluation.prompts import TEMPLATES
from openalign.evaluation.zero_shot import classify
from openalign.search.index import Index
from openalign.search.query.language import parse_query
from openalign.search.query.terms import Query
from openalign.serve.service import (
    FAILURES,
    PREFIXES,
    LabelsField,
    QueryField,
    QueryText,
    Row,
    RowField,
    Service,
    Text,
    TextField,
    Texts,
    TextsField,
    Top,
    TopField,
    Upload,
    Where,
    WhereField,
)
from openalign.serve.wire import Answer, Found, Label, Labels
from openalign.serve.work.queueing import items_of


def add_search(app: FastAPI, service: Service) -> None:
    async def search(
        request: Request,
        plus: Texts,
        minus: Texts,
        where: Where,
        text: Text = "",
        query: QueryText = "",
        row: Row = None,
        top: Top = 24,
    ) -> Found:
        """Images most similar to a text, to the image of `row`, or to both, with texts added and subtracted.

        `query` is all of it in one text, with weights: `2*at night - people + row:7`.
        """
        asked = Asked(text, query, plus, minus, where, top, row=row)
        return await service.queue.run(request, asked.items, partial(_found, service, asked))

    async def search_by_image(
        request: Request,
        plus: TextsField,
        minus: TextsField,
        where: WhereField,
        text: TextField = "",
        query: QueryField = "",
        image: Upload = None,
        top: TopField = 24,
    ) -> Found:
        """As GET, with an uploaded image."""
        asked = Asked(text, query, plus, minus, where, top, image=image)
        return await service.queue.run(request, asked.items, partial(_found, service, asked))

    for prefix in PREFIXES:
        app.get(f"{prefix}/search", responses=FAILURES)(search)
        app.post(f"{prefix}/search", responses=FAILURES)(search_by_image)


@dataclass(frozen=True)
class Asked:
    """A search, as a client sends it."""

    text: str
    query: str
    plus: list[str]
    minus: list[str]
    where: list[str]
    top: int
    row: int | None = None
    image: UploadFile | None = None

    def __post_init__(self) -> None:
        if self.query.strip() and (self.text.strip() or self.plus or self.minus):
            raise OpenAlignError("Give either `query`, which has signs of its own, or `text`, `plus` and `minus`.")

    @cached_property
    def written(self) -> Query:
        """`query`, which may name no file of this machine; raises UsageError."""
        return parse_query(self.query, files=False)

    @property
    def texts(self) -> list[str]:
        """What is added and means itself, whatever it looks like."""
        return [self.text, *self.plus] if self.text else self.plus

    @property
    def rows(self) -> list[int]:
        """The rows of the index that it names."""
        named = [term.row for term in self.written.terms if term.row is not None]
        return named if self.row is None else [self.row, *named]

    @property
    def items(self) -> int:
        """Texts and images to embed."""
        texts = len(self.written.terms) + len(self.texts) + len(self.minus)
        return max(1, texts + (items_of(self.image) if self.image else 0))


def _found(service: Service, asked: Asked) -> Found:
    began = time.perf_counter()
    for row in asked.rows:
        service.check(row)
    hits = service.index.search(
        asked.written,
        image=read_upload(asked.image) if asked.image else None,
        row=asked.row,
        plus=asked.texts,
        minus=asked.minus,
        where=asked.where,
        top=asked.top,
    )
    found = [Answer.found(hit, service.links) for hit in hits]
    return Found(hits=found, nothing_matches=hits.nothing_matches, milliseconds=_since(began))


def add_classify(app: FastAPI, service: Service) -> None:
    async def labels_of(request: Request, labels: LabelsField, image: Upload = None, row: RowField = None) -> Labels:
        """The probability of each label for an uploaded image or for one of the index."""
        if (image is None) == (row is None):
            raise OpenAlignError("Give one image to label: either `image` or `row`.")
        if row is not None:
            service.check(row)
        items = len(labels) * len(TEMPLATES) + (items_of(image) if image else 1)
        return await service.queue.run(request, items, partial(_labelled, service.index, labels, image, row))

    for prefix in PREFIXES:
        app.post(f"{prefix}/classify", responses=FAILURES)(labels_of)


def _labelled(index: Index, labels: list[str], image: UploadFile | None, row: int | None) -> Labels:
    began = time.perf_counter()
    data = read_upload(image) if image else index.original(row or 0)
    (scored,) = classify(index.model, [data], [label.strip() for label in labels])
    if not all(math.isfinite(share) for _, share in scored):
        raise OpenAlignError("The model fails on this image or on a label: the vector is not finite.")
    return Labels(labels=[Label(label=label, probability=share) for label, share in scored], milliseconds=_since(began))


def read_upload(image: UploadFile) -> bytes:
    """The bytes of an uploaded image."""
    return image.file.read()


def _since(began: float) -> float:
    return round(1000 * (time.perf_counter() - began), 1)
