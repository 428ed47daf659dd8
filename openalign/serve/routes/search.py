"""The routes that need the model: search and labels."""

import math
import time
from functools import partial
from typing import Annotated

from fastapi import FastAPI, File, Form, Query, Request, UploadFile

from openalign.errors import OpenAlignError
from openalign.evaluation.prompts import TEMPLATES
from openalign.evaluation.zero_shot import classify
from openalign.search.index import Index
from openalign.serve.asked import SearchForm, SearchParameters, read_upload
from openalign.serve.service import FAILURES, FORM, IMAGE, PREFIXES, Service, Words
from openalign.serve.wire import Answer, Found, Label, Labels
from openalign.serve.work.queueing import items_of

MAX_LABELS = 100


def add_search(app: FastAPI, service: Service) -> None:
    async def search(request: Request, asked: Annotated[SearchParameters, Query()]) -> Found:
        """Images most similar to texts, to the image of `row`, or to both, with texts added and subtracted."""
        return await service.queue.run(request, asked.items, partial(_found, service, asked))

    async def search_by_image(request: Request, asked: Annotated[SearchForm, Form(media_type=FORM)]) -> Found:
        """As GET, with uploaded images: `img:1` in `query` is the first; those not named there are added."""
        return await service.queue.run(request, asked.items, partial(_found, service, asked))

    for prefix in PREFIXES:
        app.get(f"{prefix}/search", responses=FAILURES)(search)
        app.post(f"{prefix}/search", responses=FAILURES)(search_by_image)


def _found(service: Service, asked: SearchParameters) -> Found:
    began = time.perf_counter()
    for row in asked.rows:
        service.check(row)
    hits = service.index.search(**asked.arguments)
    found = [Answer.found(hit, service.links) for hit in hits]
    return Found(hits=found, nothing_matches=hits.nothing_matches, note=hits.note, milliseconds=_since(began))


LabelsField = Annotated[
    list[Words], Form(min_length=1, max_length=MAX_LABELS, description="Such as `shoe`; repeated for each")
]
ImageField = Annotated[UploadFile | None, File(description=IMAGE)]
RowField = Annotated[int | None, Form(ge=0, description="An image of the index")]


def add_classify(app: FastAPI, service: Service) -> None:
    async def label_image(
        request: Request, labels: LabelsField, image: ImageField = None, row: RowField = None
    ) -> Labels:
        """The probability of each label for an uploaded image or for one of the index."""
        if (image is None) == (row is None):
            raise OpenAlignError("Give one image to label: either `image` or `row`.")
        if row is not None:
            service.check(row)
        items = len(labels) * len(TEMPLATES) + (items_of(image) if image else 1)
        return await service.queue.run(request, items, partial(_labelled, service.index, labels, image, row))

    for prefix in PREFIXES:
        app.post(f"{prefix}/classify", responses=FAILURES)(label_image)


def _labelled(index: Index, labels: list[str], image: UploadFile | None, row: int | None) -> Labels:
    began = time.perf_counter()
    data = read_upload(image) if image else index.original(row or 0)
    (scored,) = classify(index.model, [data], [label.strip() for label in labels])
    if not all(math.isfinite(share) for _, share in scored):
        raise OpenAlignError("The model fails on this image or on a label: the vector is not finite.")
    return Labels(labels=[Label(label=label, probability=share) for label, share in scored], milliseconds=_since(began))


def _since(began: float) -> float:
    return round(1000 * (time.perf_counter() - began), 1)
