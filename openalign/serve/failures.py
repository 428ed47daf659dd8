"""Every failed request is answered with `{"error": message}`."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from openalign.data.images.header import ImageError
from openalign.errors import OpenAlignError
from openalign.search.watched import DamagedIndex
from openalign.validation import requirement


class NoSuchRow(OpenAlignError):
    """A request for a row that the index does not have."""


def answer_failures(app: FastAPI) -> None:
    """Turn every exception of a request into an error message and a status code."""

    @app.exception_handler(ImageError)
    def unreadable(_: Request, error: ImageError) -> JSONResponse:
        return JSONResponse({"error": f"The image cannot be read: {error}."}, 400)

    @app.exception_handler(OpenAlignError)
    def refused(_: Request, error: OpenAlignError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 400)

    @app.exception_handler(DamagedIndex)
    def damaged(_: Request, error: DamagedIndex) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 503)

    @app.exception_handler(RequestValidationError)
    def mistyped(_: Request, error: RequestValidationError) -> JSONResponse:
        problem = error.errors()[0]
        field = ".".join(str(part) for part in problem["loc"][1:])
        # The only validator with a message of its own is FastAPI's, of a text in place of a file.
        wanted = "must be an uploaded file" if problem["type"] == "value_error" else requirement(problem)
        return JSONResponse({"error": f"{field}: {wanted}." if field else f"The request {wanted}."}, 422)

    @app.exception_handler(HTTPException)
    def not_possible(request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": _message(request, error.status_code)}, error.status_code, error.headers)

    @app.exception_handler(NoSuchRow)
    def no_row(_: Request, error: NoSuchRow) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 404)

    @app.exception_handler(Exception)
    def broken(_: Request, error: Exception) -> JSONResponse:  # the server logs the traceback itself
        return JSONResponse({"error": "The service failed on this request; see its log."}, 500)


def _message(request: Request, status: int) -> str:
    """Our message for an error of the libraries under this service, whose own are about their insides."""
    messages = {
        400: "The body of the request cannot be read; send the fields and the image as multipart/form-data.",
        404: f"There is nothing at {request.url.path}.",
        405: f"{request.url.path} does not take the method {request.method}.",
    }
    return messages.get(status, f"The request cannot be answered (HTTP status {status}).")
