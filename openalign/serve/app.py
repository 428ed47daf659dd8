"""The search service: a page and a JSON API, on a port of this machine until Ctrl-C."""

import contextlib
import errno
import ipaddress
import socket
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from openalign.errors import OpenAlignError, UsageError
from openalign.model.dual_encoder import DualEncoder
from openalign.model.onnx_encoder import exported
from openalign.options import option
from openalign.progress import console
from openalign.search.index import Index
from openalign.serve.batching import SharedModel
from openalign.serve.connections import ACCEPTED_AT_ONCE, Connections, Server, most_connections, raise_open_files
from openalign.serve.failures import answer_failures
from openalign.serve.guard import LOCAL_NAMES, Guard
from openalign.serve.log import without_repeats
from openalign.serve.routes import add_classify, add_page, add_pictures, add_search
from openalign.version import __version__


def create_app(index: Index, model: DualEncoder | None = None, hosts: Collection[str] | None = None) -> FastAPI:
    """The service of one index. The model is loaded now (unless `model` is given), not at the first query.

    With `hosts`, requests whose host has another name are refused (see `guard.Guard`). Where `MODEL/onnx` holds an
    export of the model (`openalign export`), that is used instead of torch.

    Raises:
        OpenAlignError: the model cannot be loaded, or the index folder has a damaged `examples.json`.
    """
    meta = index.store.meta
    shared = SharedModel(model or exported(meta.model, meta.fingerprint) or index.model)
    index = Index(index.store, shared)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        shared.close()

    # The interactive documentation would load scripts from other hosts, so it is off; /openapi.json stays.
    app = FastAPI(title="openalign", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.add_middleware(Guard, hosts=hosts)
    answer_failures(app)
    add_page(app)
    add_pictures(app, index)
    add_search(app, index)
    add_classify(app, index)
    return app


def serve(
    index_path: str | Path,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    model: str | Path | DualEncoder | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve an index until Ctrl-C or SIGTERM; port 0 takes a free one. The URL is passed to `ready`, else printed.

    Raises:
        OpenAlignError: there is no index, its model is missing or a different one, or the port is taken or forbidden.
    """
    listening = _listen(host, port)  # first: a taken port is reported before a model is loaded
    with contextlib.closing(listening):
        opened = Index.open(index_path, model)
        local = ipaddress.ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback
        hosts = {*LOCAL_NAMES, host.lower()} if local else None
        app = create_app(opened, opened.model if model is not None else None, hosts)
        server = server_of(app, Connections(most_connections(raise_open_files())))
        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{listening.getsockname()[1]}"
        if ready is not None:
            ready(url)
        else:
            console.print(f"{len(opened):,} images at [bold]{url}[/bold]   (Ctrl-C to stop)")
        with (
            without_repeats(),
            contextlib.suppress(KeyboardInterrupt),
        ):  # uvicorn raises the signal again after it has shut down
            server.run(sockets=[listening])


def server_of(app: ASGIApp, connections: Connections) -> Server:
    """A server of `app` with these connection limits."""
    return Server(
        uvicorn.Config(
            app,
            http=connections,  # type: ignore[arg-type]  # called with the arguments of the protocol class
            ws="none",
            log_level="warning",
            timeout_graceful_shutdown=2,
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
