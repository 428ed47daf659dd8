"""`openalign inspect`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openalign.commands.arguments import DATA, ImageColumn, Json, LayoutName, Split, Strict, TextColumn
from openalign.commands.output import terminal
from openalign.progress import say

if TYPE_CHECKING:
    from openalign.inspection.inspection import Inspection

Html = Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with pictures to this file as well.")]


def inspect(
    data: Annotated[str, typer.Argument(metavar="DATA", help=DATA, show_default=False)],
    json: Json = False,
    html: Html = None,
    image_column: ImageColumn = None,
    text_column: TextColumn = None,
    split: Split = None,
    layout: LayoutName = None,
    strict: Strict = False,
) -> None:
    """Show how DATA would be read: the layout and why, columns, rows, splits, and what would be left out.

    Also sizes of images, languages of texts and five examples, from a sample. Nothing is written.

    ```
    openalign inspect photos.csv
    openalign inspect photos.csv --split train --html photos.html
    ```
    """
    from openalign.data.left_out import refuse_left_out
    from openalign.inspection.inspection import inspect

    found = inspect(data, split=split, layout=layout, image_column=image_column, text_column=text_column)
    if html is not None:
        _write_page(found, html)
    if json:
        terminal.print_json(found.as_json())
    else:
        from openalign.commands.output.inspection_text import print_inspection

        print_inspection(found)
    if strict:
        refuse_left_out(found.name, found.problems)


def _write_page(found: "Inspection", file: Path) -> None:
    from openalign.files import whole_file
    from openalign.inspection.page import render_page

    with whole_file(file) as partial:
        partial.write_text(render_page(found), encoding="utf-8", errors="backslashreplace")
    say(f"Wrote {file}.")
