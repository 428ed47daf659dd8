"""The routes that need no model: the page, the state of the service, the indexed images."""

from pathlib import Path as FilePath
from typing import Annotated

from fastapi import FastAPI, Path, Query, Response
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from openalign.data.images.header import read_header
from openalign.serve.failures import NoSuchRow
from openalign.serve.links import version_of
from openalign.serve.metrics import CONTENT_TYPE
from openalign.serve.service import FAILURES, MAX_TOP, PREFIXES, Service
from openalign.serve.wire import Health, Info, Picture, Pictures

PAGE = FilePath(__file__).parents[1] / "page"
_SHOWN_BY_BROWSERS = {"jpeg", "png", "gif", "webp", "bmp"}
_FOR_GOOD = {"cache-control": "public, max-age=31536000, immutable"}
"""For URLs with the version of the image (`v`)."""
_NOT_KEPT = {"cache-control": "no-cache"}
"""After the index is built again, the same row may be another image."""
RowInPath = Annotated[int, Path(description="The number of the image, as hits have it")]
Version = Annotated[
    str, Query(description="As `thumbnail` and `original` of hits have it: the answer can then be kept for good")
]


def add_page(app: FastAPI) -> None:
    app.mount("/static", StaticFiles(directory=PAGE), name="static")

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"cache-control": "no-cache"})

    @app.get("/favicon.ico", include_in_schema=False)
    def icon() -> FileResponse:
        return FileResponse(PAGE / "icon.svg")


def add_state(app: FastAPI, service: Service) -> None:
    """How the service is. Both answer from the event loop, which no other request keeps busy."""

    @app.get("/health", responses=FAILURES)
    async def health() -> Health:
        """The service is up; answered without the key."""
        return Health(status="ok", rows=len(service.index))

    text = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **FAILURES}

    @app.get("/metrics", responses=text, response_class=Response)
    async def metrics() -> Response:
        """Requests, their seconds, the queue and the model's batches in Prometheus' text format."""
        queue = service.queue
        gauges = {
            "openalign_queue_items": ("Texts and images of requests that are not answered yet.", queue.waiting),
            "openalign_queue_seconds": ("Seconds until these are done, as measured.", round(queue.seconds_waiting, 3)),
            "openalign_index_rows": ("Images in the index.", len(service.index)),
        }
        return Response(service.metrics.exposition(gauges), headers={"content-type": CONTENT_TYPE})


def add_pictures(app: FastAPI, service: Service) -> None:
    links = service.links

    def info() -> Info:
        """The index that is served, and example queries."""
        return service.current.info

    def browse(count: Annotated[int, Query(ge=1, le=MAX_TOP, description="How many")] = 24) -> Pictures:
        """Images at even intervals of the index."""
        return Pictures(images=[Picture.of(row, links) for row in service.index.sample(count)])

    def describe_image(row: RowInPath) -> Picture:
        """One indexed image."""
        service.check(row)
        return Picture.of(service.index.row(row), links)

    def near_duplicates(row: RowInPath) -> Pictures:
        """The near-duplicates of an indexed image, without itself."""
        service.check(row)
        return Pictures(images=[Picture.of(each, links) for each in service.index.alike(row)])

    for prefix in PREFIXES:
        app.get(f"{prefix}/alike/{{row}}", responses=FAILURES)(near_duplicates)
        app.get(f"{prefix}/info", responses=FAILURES)(info)
        app.get(f"{prefix}/browse", responses=FAILURES)(browse)
        app.get(f"{prefix}/rows/{{row}}", responses=FAILURES)(describe_image)


def add_image_files(app: FastAPI, service: Service) -> None:
    def thumbnail(row: RowInPath, v: Version = "") -> Response:
        """A small JPEG whose shorter side has at most 256 pixels."""
        headers = _caching(service, row, v)
        return Response(service.index.thumbnail(row), media_type="image/jpeg", headers=headers)

    def image_file(row: RowInPath, v: Version = "") -> Response:
        """The image file; the thumbnail if browsers cannot show its format."""
        headers = _caching(service, row, v)
        index = service.index
        data = index.original(row)
        shown = read_header(data).format
        if shown not in _SHOWN_BY_BROWSERS:
            data, shown = index.thumbnail(row), "jpeg"
        return Response(data, media_type=f"image/{shown}", headers=headers)

    file = {"schema": {"type": "string", "format": "binary"}}
    jpeg = {200: {"content": {"image/jpeg": file}}, **FAILURES}
    any_format = {200: {"content": {f"image/{name}": file for name in sorted(_SHOWN_BY_BROWSERS)}}, **FAILURES}
    for prefix in PREFIXES:
        app.get(f"{prefix}/thumbnails/{{row}}", responses=jpeg, response_class=Response)(thumbnail)
        app.get(f"{prefix}/images/{{row}}", responses=any_format, response_class=Response)(image_file)


def _caching(service: Service, row: int, version: str) -> dict[str, str]:
    """The headers of an image of the index; raises `NoSuchRow` if the URL is of another image that had this row."""
    service.check(row)
    if not version:
        return _NOT_KEPT
    if version != version_of(service.index.row(row)):
        raise NoSuchRow(f"Row {row} is another image now: search again.")
    return _FOR_GOOD
