"""Every failed request is answered with `{"error": message}`; no message has the path of a folder of this machine."""

import logging
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from openalign.data.images.header import ImageError
from openalign.errors import OpenAlignError
from openalign.search.index import Index
from openalign.search.results.saved import NoSuchQuery
from openalign.search.store.any_store import Unavailable
from openalign.search.watched import DamagedIndex
from openalign.serve.wire import failed
from openalign.serve.work.batching import Abandoned
from openalign.serve.work.queueing import Busy
from openalign.validation import requirement

_ABSOLUTE = re.compile(r"(?<![\w./:~])/(?:[^\s/'\"]+/)+(?=[^\s/'\"]|\s|$)")
"""The folders of an absolute path; `https://host/path` is none."""
_log = logging.getLogger("uvicorn.error")


class NoSuchRow(OpenAlignError):
    """A request for a row that the index does not have."""


class NoMap(OpenAlignError):
    """A request for the map of an index without one."""


class NoSuchModel(OpenAlignError):
    """A request for vectors of another model."""


class NotAllowed(OpenAlignError):
    """A request to change something on a service that only answers."""


class WithoutFolders:
    """Takes folders of this machine out of messages: `/home/me/photos/a.jpg` becomes `photos/a.jpg` or `a.jpg`."""

    def __init__(self, index: Index) -> None:
        meta = index.store.meta
        self._store = index.store
        known = [str(index.store.folder or ""), meta.model, *meta.sources]
        self._folders = sorted(_parents(filter(None, known)), key=len, reverse=True)

    def __call__(self, message: str) -> str:
        """The message for the client; the operator's log gets it whole if that is more."""
        # The address of a database may be of a network that the client does not see.
        short = message if self._store.folder else message.replace(self._store.name, self._store.title)
        for folder in self._folders:  # first, since their names may have spaces
            short = short.replace(folder, "")
        short = _ABSOLUTE.sub("", short)
        if short != message:
            _log.warning("A request was refused: %r", message)  # parts of it are the client's: no line is of its making
        return _encodable(short)


def answer_failures(app: FastAPI, index: Callable[[], Index]) -> None:
    """Turn every exception of a request into an error message and a status code, except bugs (see `guard.Guard`)."""
    statuses: dict[type[OpenAlignError], int] = {
        OpenAlignError: 400,
        NoSuchRow: 404,
        NoMap: 404,
        NoSuchModel: 404,
        NoSuchQuery: 404,
        NotAllowed: 403,
        DamagedIndex: 503,
        Unavailable: 503,
    }

    async def refused(request: Request, error: Exception) -> JSONResponse:
        status = next(statuses[kind] for kind in type(error).__mro__ if kind in statuses)
        return failed(request.scope, status, WithoutFolders(index())(str(error)))

    for kind in statuses:
        app.add_exception_handler(kind, refused)

    @app.exception_handler(ImageError)
    async def unreadable(request: Request, error: ImageError) -> JSONResponse:
        return failed(request.scope, 400, WithoutFolders(index())(f"The image cannot be read: {error}."))

    _answer_the_queue(app)
    _answer_the_libraries(app)


def _answer_the_queue(app: FastAPI) -> None:
    @app.exception_handler(Busy)
    async def busy(request: Request, error: Busy) -> JSONResponse:
        return failed(request.scope, 503, str(error), {"retry-after": str(error.retry_after)})

    @app.exception_handler(Abandoned)
    async def abandoned(_: Request, error: Abandoned) -> Response:
        return Response(status_code=499)  # for the metrics: nobody reads it


def _answer_the_libraries(app: FastAPI) -> None:
    """In our words: theirs are about their insides."""

    @app.exception_handler(RequestValidationError)
    async def mistyped(request: Request, error: RequestValidationError) -> JSONResponse:
        problem = error.errors()[0]
        field = ".".join(str(part) for part in problem["loc"][1:])
        wanted = requirement(problem)
        message = f"{field}: {wanted}." if field and problem["type"] != "json_invalid" else f"The request {wanted}."
        return failed(request.scope, 422, _encodable(message))

    @app.exception_handler(HTTPException)
    async def not_possible(request: Request, error: HTTPException) -> JSONResponse:
        message = _encodable(_message(request, error.status_code))
        headers = {"allow": _methods(request)} if error.status_code == 405 else error.headers
        return failed(request.scope, error.status_code, message, headers)


def _message(request: Request, status: int) -> str:
    """Our message for an error of the libraries under this service, whose own are about their insides."""
    messages = {
        400: "The body of the request cannot be read; send the fields and the image as multipart/form-data.",
        404: f"There is nothing at {request.url.path}; /openapi.json describes all requests.",
        405: f"{request.url.path} does not take the method {request.method}.",
    }
    return messages.get(status, f"The request cannot be answered (HTTP status {status}).")


def _methods(request: Request) -> str:
    """The methods that the path takes: of several routes with one path, the library names those of the first."""
    matching = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    found = {method for route in matching for method in getattr(route, "methods", None) or ("GET", "HEAD")}
    return ", ".join(sorted(found))


def _parents(names: Iterable[str]) -> set[str]:
    """The folders above the names that are paths, each with the slash at its end."""
    folders = {Path(name).absolute().parent for name in names if "://" not in name}
    folders |= {folder.resolve() for folder in folders}
    return {f"{folder}/" for folder in folders if folder != folder.parent}


def _encodable(message: str) -> str:
    """Half a surrogate pair, which JSON may hold and UTF-8 may not, as an escape."""
    return message.encode("utf-8", "backslashreplace").decode("utf-8")
