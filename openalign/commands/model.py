"""`openalign export` and `scales`."""

from pathlib import Path
from typing import Annotated

import typer

from openalign.commands.arguments import Model
from openalign.commands.output import terminal
from openalign.progress import say


def export(
    model: Model,
    to: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder to write.", show_default=False)],
) -> None:
    """Write both towers as ONNX, for programs without torch.

    ```
    openalign export runs/laptop/model --to onnx/
    ```
    """
    from openalign.model.export import export

    export(model, to)
    say(f"Wrote {to}.")


def scales() -> None:
    """List the named sizes of both towers: widths, parameters, multiply-adds."""
    from openalign.model.scales import scales_tables

    for table in scales_tables():
        terminal.print_table(table)
