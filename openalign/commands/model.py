"""`openalign export` and `scales`."""

from pathlib import Path
from typing import Annotated

import typer

from openalign.commands.arguments import MODELS
from openalign.commands.output import terminal
from openalign.progress import say


def export(
    source: Annotated[str, typer.Argument(metavar="MODEL|INDEX", help=f"{MODELS} Or an index.", show_default=False)],
    to: Annotated[
        Path, typer.Option(metavar="PATH", help="Folder to write; of an index, a .parquet file.", show_default=False)
    ],
) -> None:
    """Write both towers of a model as ONNX, for programs without torch; or the images of an index as a table.

    The table is Parquet: thumbnails, texts, what is known of each image, and its place and cluster on the map.

    ```
    openalign export runs/laptop/model --to onnx/
    openalign export photos.index --to photos.parquet
    ```
    """
    if (Path(source) / "rows.sqlite").exists():
        from openalign.search.index import Index

        written = Index.open(source).write_table(to)
        say(f"Wrote {to} with {written:,} images.")
        return

    from openalign.model.export import export

    export(source, to)
    say(f"Wrote {to}.")


def scales() -> None:
    """List the named sizes of both towers: widths, parameters, multiply-adds."""
    from openalign.model.scales import scales_tables

    for table in scales_tables():
        terminal.print_table(table)
