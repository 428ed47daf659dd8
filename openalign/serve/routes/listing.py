"""The routes for results of any length: all images in order, and what is known of some of them."""

import time
from functools import partial
from typing import Annotated

from fastapi import FastAPI, Form, Query, Request, Response

from openalign.serve.asked import ListingForm, ListingParameters
from openalign.serve.service import FAILURES, FORM, MAX_TOP, PREFIXES, Service
from openalign.serve.wire import Listing, Picture, Pictures

Rows = Annotated[
    list[Annotated[int, Query(ge=0)]],
    Query(max_length=MAX_TOP, default_factory=list, description="Numbers of images, repeated"),
]


def add_listing(app: FastAPI, service: Service) -> None:
    async def listing(request: Request, asked: Annotated[ListingParameters, Query()]) -> Response:
        """All images that `/search` finds, in order: the row, the shape and the score of each.

        Without a query, all images that meet the conditions.
        """
        return await service.queue.run(request, asked.items, partial(_listing, service, asked), large=True)

    async def listing_by_image(request: Request, asked: Annotated[ListingForm, Form(media_type=FORM)]) -> Response:
        """As GET, with uploaded images, as `/search` takes them."""
        return await service.queue.run(request, asked.items, partial(_listing, service, asked), large=True)

    def describe_images(row: Rows) -> Pictures:
        """Several indexed images, in the order of the numbers."""
        for each in row:
            service.check(each)
        return Pictures(images=[Picture.of(each, service.links) for each in service.index.store.rows(row)])

    for prefix in PREFIXES:
        app.get(f"{prefix}/listing", responses=FAILURES, response_model=Listing)(listing)
        app.post(f"{prefix}/listing", responses=FAILURES, response_model=Listing)(listing_by_image)
        app.get(f"{prefix}/rows", responses=FAILURES)(describe_images)


def _listing(service: Service, asked: ListingParameters) -> Response:
    """Written out here, in a thread: the event loop would be busy with it for a tenth of a second."""
    began = time.perf_counter()
    for row in asked.rows:
        service.check(row)
    found = service.index.listing(**asked.arguments)
    answer = Listing.model_construct(
        rows=found.rows.tolist(),
        ratios=[round(each, 3) for each in found.ratios.tolist()],
        scores=None if found.scores is None else [round(each, 4) for each in found.scores.tolist()],
        alike=[] if found.alike is None else found.alike.tolist(),
        within=found.within,
        note=found.note,
        milliseconds=round(1000 * (time.perf_counter() - began), 1),
    )
    return Response(answer.model_dump_json(), media_type="application/json")
