"""`openalign export` and `scales`."""

from pathlib import Path
from typing import Annotated

import typer

from openalign.commands.arguments import Model
from openalign.commands.output import terminal
from openalign.progress import say


def export(
    model: Model,
    onnx: Annotated[bool, typer.Option("--onnx", help="As ONNX, the one format that there is.")] = True,
    to: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder to write; default: `MODEL/onnx`.", show_default=False)
    ] = None,
) -> None:
    """Write both towers as ONNX, for programs without torch; `index` and `serve` use `MODEL/onnx` if it is faster here.

    ```
    openalign export runs/laptop/model --onnx
    ```
    """
    from openalign.model.onnx.export import export

    say(f"Wrote {export(model, to)}.")


def scales() -> None:
    """List the named sizes of both towers: widths, parameters, multiply-adds."""
    from openalign.model.scales import scales_tables

    for table in scales_tables():
        terminal.print_table(table)
