"""The search service: a page and a JSON API, on a port of this machine until Ctrl-C."""

import asyncio
import contextlib
import errno
import ipaddress
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from openalign.errors import OpenAlignError, UsageError
from openalign.model.dual_encoder import DualEncoder
from openalign.model.onnx.encoder import exported
from openalign.model.onnx.faster import faster_of
from openalign.options import option
from openalign.progress import console
from openalign.search.index import Index
from openalign.serve.current import CurrentIndex
from openalign.serve.description import describe_once, described
from openalign.serve.failures import answer_failures
from openalign.serve.links import Links
from openalign.serve.log import without_repeats
from openalign.serve.metrics import Measured, Metrics
from openalign.serve.protection.access import LOCAL_NAMES, Access
from openalign.serve.protection.connections import (
    ACCEPTED_AT_ONCE,
    Connections,
    Server,
    most_connections,
    raise_open_files,
)
from openalign.serve.protection.guard import Guard
from openalign.serve.routes.embed import add_embed, add_openai
from openalign.serve.routes.facets import add_facets
from openalign.serve.routes.listing import add_listing
from openalign.serve.routes.map import add_map
from openalign.serve.routes.pictures import add_image_files, add_page, add_pictures, add_state
from openalign.serve.routes.saved import add_saved
from openalign.serve.routes.search import add_classify, add_search
from openalign.serve.service import Service
from openalign.serve.work.batching import SharedModel
from openalign.serve.work.queueing import QueueLimits, WorkQueue

ROUTES = (
    *(add_state, add_pictures, add_image_files, add_facets),
    *(add_search, add_listing, add_saved, add_map, add_classify, add_embed, add_openai),
)
SECONDS_TO_END = 2
"""For requests in work when the service is told to end, and then for the model's last batch."""


def create_app(
    index: Index,
    model: DualEncoder | None = None,
    access: Access | None = None,
    *,
    limits: QueueLimits | None = None,
    whole_paths: bool = False,
) -> FastAPI:
    """The service of one index. The model is loaded now (unless `model` is given), not at the first query.

    Where `MODEL/onnx` holds an export of the model (`openalign export`) that is faster than torch here, that is used.
    While the service runs, the index is opened again after each run that changed it.

    Args:
        access: who is answered; by default everyone.
        limits: how much work may wait.
        whole_paths: whether hits have absolute paths and queries may be saved: it answers this machine only.

    Raises:
        OpenAlignError: the model cannot be loaded, or the index folder has a damaged `examples.json`.
    """
    access = access or Access()
    metrics = Metrics()
    shared = SharedModel(model or _fastest(index), metrics.batch)
    current = CurrentIndex(Index(index.store, shared))
    service = Service(
        current, WorkQueue(limits), metrics, Links(access.key, whole_paths), whole_paths or access.key is not None
    )

    app = described(access.key is not None, _lifespan(current, shared))
    app.add_middleware(Guard, access=access)
    app.add_middleware(Measured, metrics=metrics)
    answer_failures(app, lambda: service.index)
    add_page(app)
    for add in ROUTES:
        add(app, service)
    describe_once(app)
    return app


def _fastest(index: Index) -> DualEncoder:
    """The model of an index, or an export of it that is faster."""
    export = exported(index.store.meta.model, index.store.meta.fingerprint)
    return faster_of(export, lambda: index.model) if export else index.model


def _lifespan(current: CurrentIndex, shared: SharedModel) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Follow the index while the service runs, and end the model's threads after it."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        following = asyncio.create_task(current.follow())
        yield
        following.cancel()
        shared.close(SECONDS_TO_END)

    return lifespan


def serve(
    index_path: str | Path,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    model: str | Path | DualEncoder | None = None,
    allow_host: Sequence[str] = (),
    rate: float | None = None,
    key: str | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve an index until Ctrl-C or SIGTERM; port 0 takes a free one. The URL is passed to `ready`, else printed.

    Args:
        allow_host: further names by which the service may be asked, such as that of a proxy; `*` allows every name and
            every page.
        rate: requests a second that need the model, for each client address.
        key: what requests must send as `Authorization: Bearer KEY` or `X-Api-Key: KEY`.

    Raises:
        OpenAlignError: there is no index, its model is missing or a different one, or the port is taken or forbidden.
        UsageError: the rate is not more than 0, or the key is short or not ASCII.
    """
    listening = _listen(host, port)  # first: a taken port is reported before a model is loaded
    with contextlib.closing(listening):
        local = ipaddress.ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback
        access = Access(_hosts(host, allow_host, local), addresses=not local, key=key, rate=rate)
        opened = Index.open(index_path, model)
        app = create_app(
            opened, opened.model if model is not None else None, access, whole_paths=local and not allow_host
        )
        server = server_of(app, Connections(most_connections(raise_open_files())))
        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{listening.getsockname()[1]}"
        if ready is not None:
            ready(url)
        else:
            console.print(f"{len(opened):,} images at [bold]{url}[/bold]   (Ctrl-C to stop)")
        with without_repeats(), _ends_well():
            server.run(sockets=[listening])


def _hosts(host: str, allowed: Sequence[str], local: bool) -> frozenset[str] | None:
    """The names by which the service may be asked; None for every name."""
    if "*" in allowed:
        return None
    own = () if local else (socket.gethostname(), f"{socket.gethostname()}.local")
    bracketed = f"[{host}]" if ":" in host else host
    return frozenset(name.lower() for name in (*LOCAL_NAMES, bracketed, *own, *allowed))


@contextlib.contextmanager
def _ends_well() -> Iterator[None]:
    """Let a signal that ended the server end nothing more: uvicorn raises it again after it has shut down."""
    in_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, lambda *_: None) if in_main else None
    try:
        with contextlib.suppress(KeyboardInterrupt):
            yield
    finally:
        if in_main:
            signal.signal(signal.SIGTERM, before)


def server_of(app: ASGIApp, connections: Connections) -> Server:
    """A server of `app` with these connection limits."""
    return Server(
        uvicorn.Config(
            app,
            http=connections,  # type: ignore[arg-type]  # called with the arguments of the protocol class
            ws="none",
            log_level="warning",
            timeout_graceful_shutdown=SECONDS_TO_END,
            backlog=ACCEPTED_AT_ONCE,
        )
    )


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65_535:
        raise UsageError(f"{port} is not a port; choose one from 1024 to 65535 with {option('port')}.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(128)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise OpenAlignError(f"Port {port} on {host} is taken; choose another with {option('port')}.") from None
        raise OpenAlignError(
            f"Cannot listen on {host} port {port} ({error.strerror}); "
            f"choose others with {option('host')} and {option('port')}."
        ) from None
    return listening
