"""`openalign export` and `scales`."""

from pathlib import Path
from typing import Annotated

import typer

from openalign.commands.arguments import MODELS
from openalign.commands.output import terminal
from openalign.progress import say


def export(
    source: Annotated[str, typer.Argument(metavar="MODEL|INDEX", help=f"{MODELS} Or an index.", show_default=False)],
    onnx: Annotated[bool, typer.Option("--onnx", help="As ONNX, the one format of a model that there is.")] = True,
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Folder to write, default `MODEL/onnx`; of an index, a .parquet file, default beside it.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write both towers of a model as ONNX, for programs without torch; or the images of an index as a table.

    `index` and `serve` use `MODEL/onnx` if it is faster here. The table is Parquet, with thumbnails, texts, what is
    known of each image, and its place and cluster on the map.

    ```
    openalign export runs/laptop/model --onnx
    openalign export photos.index --to photos.parquet
    ```
    """
    if (Path(source) / "rows.sqlite").exists():
        from openalign.search.index import Index

        to = to or Path(source).resolve().with_suffix(".parquet")
        written = Index.open(source).write_table(to)
        say(f"Wrote {to} with {written:,} images.")
        return

    from openalign.model.onnx.export import export

    say(f"Wrote {export(source, to)}.")


def scales() -> None:
    """List the named sizes of both towers: widths, parameters, multiply-adds."""
    from openalign.model.scales import scales_tables

    for table in scales_tables():
        terminal.print_table(table)
