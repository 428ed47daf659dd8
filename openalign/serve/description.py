"""What `/openapi.json` says of the service, for people and for programs that make clients of it."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from fastapi import Depends, FastAPI
from fastapi.security import APIKeyHeader

from openalign.version import __version__

ABOUT = """Search a collection of images by texts and by images.

Begin with `GET /search?text=a+red+shoe`: each hit has the path of its `thumbnail` and of the `original` file on this
server. `row` is the number of an image, by which other requests ask for it. All requests but `/health`, `/metrics` and
those under `/v1` are answered under `/api` as well. Every error is a JSON object with a sentence in `error`.
"""
_KEY = APIKeyHeader(name="X-Api-Key", auto_error=False, description="Or as `Authorization: Bearer KEY`.")
"""It only describes the key: `protection.access` asks for it."""


def described(has_key: bool, lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]) -> FastAPI:
    """A service without routes; operations are called by their functions."""
    # The interactive documentation would load scripts from other hosts, so it is off; /openapi.json stays.
    return FastAPI(
        title="openalign",
        description=ABOUT,
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        dependencies=[Depends(_KEY)] if has_key else None,
        generate_unique_id_function=lambda route: route.name,
    )


def describe_once(app: FastAPI) -> None:
    """Leave out the routes under `/api`, which are the others once more."""
    for route in app.routes:
        if getattr(route, "path", "").startswith("/api/"):
            route.include_in_schema = False  # type: ignore[attr-defined]
