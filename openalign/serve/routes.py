"""The routes of the service: page, images, search, labels."""

import math
import time
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, File, Form, Query, Response, UploadFile
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from openalign.data.images.header import read_header
from openalign.errors import OpenAlignError
from openalign.evaluation.zero_shot import classify
from openalign.search.index import Index
from openalign.serve.failures import NoSuchRow
from openalign.serve.wire import Answer, Found, Health, Info, Label, Labels, Picture, Pictures, Problem, info_of

PAGE = Path(__file__).parent / "page"
MAX_TOP = 200
MAX_TEXT = 1000
"""Characters; the model reads the first 64 word pieces."""
MAX_TEXTS = 16
MAX_LABELS = 100
_SHOWN_BY_BROWSERS = {"jpeg", "png", "gif", "webp", "bmp"}
_FOR_GOOD = {"cache-control": "public, max-age=31536000, immutable"}
"""For URLs with the version of the image (`v`)."""
_NOT_KEPT = {"cache-control": "no-cache"}
"""After the index is built again, the same row may be another image."""
_FAILURES: dict[int | str, dict[str, object]] = {"4XX": {"model": Problem}, "5XX": {"model": Problem}}

Text = Annotated[str, Query(max_length=MAX_TEXT)]
Texts = Annotated[list[Annotated[str, Query(max_length=MAX_TEXT)]], Query(max_length=MAX_TEXTS, default_factory=list)]
Row = Annotated[int | None, Query(ge=0)]
Top = Annotated[int, Query(ge=1, le=MAX_TOP)]

TextField = Annotated[str, Form(max_length=MAX_TEXT)]
TextsField = Annotated[
    list[Annotated[str, Form(max_length=MAX_TEXT)]], Form(max_length=MAX_TEXTS, default_factory=list)
]
RowField = Annotated[int | None, Form(ge=0)]
TopField = Annotated[int, Form(ge=1, le=MAX_TOP)]
LabelsField = Annotated[list[Annotated[str, Form(max_length=MAX_TEXT)]], Form(min_length=1, max_length=MAX_LABELS)]
Upload = Annotated[UploadFile | None, File(description="JPEG, PNG, WebP, GIF or BMP, at most 20 MB")]


def add_page(app: FastAPI) -> None:
    app.mount("/static", StaticFiles(directory=PAGE), name="static")

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"cache-control": "no-cache"})

    @app.get("/favicon.ico", include_in_schema=False)
    def icon() -> FileResponse:
        return FileResponse(PAGE / "icon.svg")


def add_pictures(app: FastAPI, index: Index) -> None:
    info = info_of(index)

    @app.get("/health")
    def health() -> Health:
        return Health(status="ok", rows=len(index))

    @app.get("/api/info")
    def about() -> Info:
        """The index that is served, and example queries."""
        return info

    @app.get("/api/browse", responses=_FAILURES)
    def browse(count: Top = 24) -> Pictures:
        """Images at even intervals of the index."""
        return Pictures(images=[Picture.of(row) for row in index.sample(count)])

    @app.get("/api/rows/{row}", responses=_FAILURES)
    def one(row: int) -> Picture:
        """One indexed image."""
        known(index, row)
        return Picture.of(index.row(row))

    @app.get("/api/thumbnails/{row}", responses=_FAILURES)
    def thumbnail(row: int, v: str = "") -> Response:
        """A small JPEG whose shorter side has at most 256 pixels."""
        known(index, row)
        return Response(index.thumbnail(row), media_type="image/jpeg", headers=_FOR_GOOD if v else _NOT_KEPT)

    @app.get("/api/images/{row}", responses=_FAILURES)
    def original(row: int, v: str = "") -> Response:
        """The image file; the thumbnail if browsers cannot show its format."""
        known(index, row)
        data = index.original(row)
        shown = read_header(data).format
        if shown not in _SHOWN_BY_BROWSERS:
            data, shown = index.thumbnail(row), "jpeg"
        return Response(data, media_type=f"image/{shown}", headers=_FOR_GOOD if v else _NOT_KEPT)


def add_search(app: FastAPI, index: Index) -> None:
    def found(
        text: str, plus: list[str], minus: list[str], top: int, *, row: int | None = None, image: bytes | None = None
    ) -> Found:
        began = time.perf_counter()
        if row is not None:
            known(index, row)
        hits = index.search(text, image=image, row=row, plus=plus, minus=minus, top=top)
        found = [Answer.found(hit) for hit in hits]
        return Found(hits=found, nothing_matches=hits.nothing_matches, milliseconds=_since(began))

    @app.get("/api/search", responses=_FAILURES)
    def search(plus: Texts, minus: Texts, text: Text = "", row: Row = None, top: Top = 24) -> Found:
        """Images most similar to a text, to the image of `row`, or to both, with texts added and subtracted."""
        return found(text, plus, minus, top, row=row)

    @app.post("/api/search", responses=_FAILURES)
    def search_by_image(
        plus: TextsField, minus: TextsField, text: TextField = "", image: Upload = None, top: TopField = 24
    ) -> Found:
        """As GET, with an uploaded image."""
        return found(text, plus, minus, top, image=_read(image) if image else None)


def add_classify(app: FastAPI, index: Index) -> None:
    @app.post("/api/classify", responses=_FAILURES)
    def labels_of(labels: LabelsField, image: Upload = None, row: RowField = None) -> Labels:
        """The probability of each label for an uploaded image or for one of the index."""
        began = time.perf_counter()
        if (image is None) == (row is None):
            raise OpenAlignError("Give one image to label: either `image` or `row`.")
        if row is not None:
            known(index, row)
        data = _read(image) if image else index.original(row or 0)
        (scored,) = classify(index.model, [data], [label.strip() for label in labels])
        if not all(math.isfinite(share) for _, share in scored):
            raise OpenAlignError("The model fails on this image or on a label: the vector is not finite.")
        return Labels(
            labels=[Label(label=label, probability=share) for label, share in scored], milliseconds=_since(began)
        )


def known(index: Index, row: int) -> None:
    """Raise `NoSuchRow` unless the index has this row."""
    if not index.store.holds(row):
        raise NoSuchRow(f"There is no image {row}: the index has 0 to {index.store.meta.rows - 1}.")


def _read(image: UploadFile) -> bytes:
    return image.file.read()


def _since(began: float) -> float:
    return round(1000 * (time.perf_counter() - began), 1)
