"""The routes for results of any length: all images in order, and what is known of some of them."""

import time
from functools import partial
from typing import Annotated

from fastapi import FastAPI, Query, Request

from openalign.search.ranking import Order
from openalign.serve.routes import Asked, read_upload
from openalign.serve.service import (
    FAILURES,
    MAX_TOP,
    PREFIXES,
    QueryField,
    QueryText,
    Row,
    Service,
    Texts,
    TextsField,
    Upload,
    Where,
    WhereField,
)
from openalign.serve.wire import Listing, Picture, Pictures

Rows = Annotated[list[Annotated[int, Query(ge=0)]], Query(max_length=MAX_TOP, default_factory=list)]


def add_listing(app: FastAPI, service: Service) -> None:
    async def listing(
        request: Request,
        plus: Texts,
        minus: Texts,
        where: Where,
        query: QueryText = "",
        row: Row = None,
        sort: Order = "score",
    ) -> Listing:
        """All images in order: the row, the shape and the score of each, without a query as well."""
        asked = Asked("", query, plus, minus, where, MAX_TOP, row=row)
        return await service.queue.run(request, asked.items, partial(_listing, service, asked, sort))

    async def listing_by_image(
        request: Request,
        plus: TextsField,
        minus: TextsField,
        where: WhereField,
        query: QueryField = "",
        image: Upload = None,
        sort: Order = "score",
    ) -> Listing:
        """As GET, with an uploaded image."""
        asked = Asked("", query, plus, minus, where, MAX_TOP, image=image)
        return await service.queue.run(request, asked.items, partial(_listing, service, asked, sort))

    def rows(row: Rows) -> Pictures:
        """Several indexed images."""
        for each in row:
            service.check(each)
        return Pictures(images=[Picture.of(each, service.links) for each in service.index.store.rows(row)])

    for prefix in PREFIXES:
        app.get(f"{prefix}/listing", responses=FAILURES)(listing)
        app.post(f"{prefix}/listing", responses=FAILURES)(listing_by_image)
        app.get(f"{prefix}/rows", responses=FAILURES)(rows)


def _listing(service: Service, asked: Asked, sort: Order) -> Listing:
    began = time.perf_counter()
    for row in asked.rows:
        service.check(row)
    found = service.index.ranking(
        asked.written,
        image=read_upload(asked.image) if asked.image else None,
        row=asked.row,
        plus=asked.texts,
        minus=asked.minus,
        where=asked.where,
        order=sort,
    )
    return Listing(
        rows=found.rows.tolist(),
        ratios=[round(each, 3) for each in found.ratios.tolist()],
        scores=None if found.scores is None else [round(each, 4) for each in found.scores.tolist()],
        within=found.within,
        milliseconds=round(1000 * (time.perf_counter() - began), 1),
    )
