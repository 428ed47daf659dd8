"""`openalign demo`."""

from pathlib import Path
from typing import Annotated

import typer

from openalign.commands.arguments import Host, Port


def demo(
    to: Annotated[Path, typer.Option(metavar="DIR", help="Folder to work in; a second run continues.")] = Path("demo"),
    serve: Annotated[bool, typer.Option(help="Serve the search page at the end.")] = True,
    web_only: Annotated[bool, typer.Option("--web-only", help="Make the miniature web, then exit.")] = False,
    scenes: Annotated[int, typer.Option(min=100, help="Number of scenes drawn.")] = 28_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    host: Host = "127.0.0.1",
    port: Port = 8000,
) -> None:
    """Make a miniature web of drawings and run every stage on it, from its pages to a search page.

    ```
    openalign demo --no-serve
    ```
    """
    from openalign.demo.run import run_demo

    run_demo(to, serve=serve, web_only=web_only, scenes=scenes, seed=seed, host=host, port=port)
