"""Every failed request is answered with `{"error": message}`."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from openalign.data.images.header import ImageError
from openalign.errors import OpenAlignError
from openalign.search.watched import DamagedIndex


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
        return JSONResponse({"error": f"{field}: {problem['msg']}."}, 422)

    @app.exception_handler(HTTPException)
    def no_such(request: Request, error: HTTPException) -> JSONResponse:
        message = f"There is nothing at {request.url.path}." if error.status_code == 404 else f"{error.detail}."
        return JSONResponse({"error": message}, error.status_code, error.headers)

    @app.exception_handler(NoSuchRow)
    def no_row(_: Request, error: NoSuchRow) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 404)

    @app.exception_handler(Exception)
    def broken(_: Request, error: Exception) -> JSONResponse:  # the server logs the traceback itself
        return JSONResponse({"error": "The service failed on this request; see its log."}, 500)
