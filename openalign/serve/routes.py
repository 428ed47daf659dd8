"""The routes that need the model: search and labels."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

from fastapi import FastAPI, Request, UploadFile

from openalign.errors import OpenAlignError
from openalign.evaluation.prompts import TEMPLATES
from openalign.evaluation.zero_shot import classify
from openalign.search.index import Index
from openalign.search.query.language import parse_query
from openalign.search.query.terms import Query, Term
from openalign.search.results.against import Against
from openalign.search.results.order import Sort
from openalign.serve.service import (
    FAILURES,
    PREFIXES,
    AgainstField,
    AgainstWhat,
    Fold,
    FoldField,
    LabelsField,
    QueryField,
    QueryText,
    Row,
    RowField,
    Service,
    SortBy,
    SortField,
    Text,
    TextField,
    Texts,
    TextsField,
    Top,
    TopField,
    Upload,
    Uploads,
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
        fold: Fold = True,
        sort: SortBy = "score",
        against: AgainstWhat = "image",
    ) -> Found:
        """Images most similar to a text, to the image of `row`, or to both, with texts added and subtracted.

        `query` is all of it in one text, with weights: `2*at night - people + row:7`.
        """
        asked = Asked(text, query, plus, minus, where, top, fold, sort, against, row=row)
        return await service.queue.run(request, asked.items, partial(_found, service, asked))

    async def search_by_image(
        request: Request,
        plus: TextsField,
        minus: TextsField,
        where: WhereField,
        image: Uploads,
        text: TextField = "",
        query: QueryField = "",
        top: TopField = 24,
        fold: FoldField = True,
        sort: SortField = "score",
        against: AgainstField = "image",
    ) -> Found:
        """As GET, with uploaded images: `img:1` in `query` is the first; those not named there are added."""
        asked = Asked(text, query, plus, minus, where, top, fold, sort, against, images=image)
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
    fold: bool = True
    sort: Sort = "score"
    against: Against = "image"
    row: int | None = None
    images: Sequence[UploadFile] | None = None
    """None in a request that cannot have any."""

    def __post_init__(self) -> None:
        if self.query.strip() and (self.text.strip() or self.plus or self.minus):
            raise OpenAlignError("Give either `query`, which has signs of its own, or `text`, `plus` and `minus`.")

    @cached_property
    def written(self) -> Query:
        """`query`, which may name no file of this machine: an image in it is the number of an upload.

        Raises:
            UsageError: it is no query, or has an image that was not sent.
        """
        return parse_query(self.query, files=self.images is not None)

    @property
    def uploads(self) -> list[UploadFile]:
        """The images that were sent."""
        return list(self.images or ())

    def with_uploads(self) -> Query:
        """`query` with the bytes of uploads in the place of their numbers, and the uploads that it does not name."""
        read = [read_upload(image) for image in self.uploads]
        named = [self._upload(term) for term in self.written.terms]
        terms = [
            term if number is None else replace(term, image=read[number])
            for term, number in zip(self.written.terms, named, strict=True)
        ]
        return Query(tuple(terms)).with_terms([image for number, image in enumerate(read) if number not in named])

    def _upload(self, term: Term) -> int | None:
        if term.image is None:
            return None
        numbers = {str(number + 1): number for number in range(len(self.uploads))}
        if term.path not in numbers:
            raise OpenAlignError(
                f"`img:` is followed by the number of an image of the request, which has {len(numbers)}: the first is "
                "`img:1`."
            )
        return numbers[term.path]

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
        return max(1, texts + sum(map(items_of, self.uploads)))


def _found(service: Service, asked: Asked) -> Found:
    began = time.perf_counter()
    for row in asked.rows:
        service.check(row)
    hits = service.index.search(
        asked.with_uploads(),
        row=asked.row,
        plus=asked.texts,
        minus=asked.minus,
        where=asked.where,
        top=asked.top,
        fold=asked.fold,
        sort=asked.sort,
        against=asked.against,
    )
    found = [Answer.found(hit, service.links) for hit in hits]
    return Found(hits=found, nothing_matches=hits.nothing_matches, note=hits.note, milliseconds=_since(began))


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
