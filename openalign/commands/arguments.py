"""The kinds of arguments that commands share, and typed values from what was typed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from openalign.curation.recipe import CurateRecipe

Model = Annotated[
    str, typer.Argument(help="A model folder (RUN/model), or a Hugging Face folder or hub name.", show_default=False)
]
IndexFolder = Annotated[Path, typer.Argument(metavar="INDEX", help="What `openalign index` wrote.", show_default=False)]
ImageColumn = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Of a table: image paths or URLs; found by its usual names.")
]
TextColumn = Annotated[str | None, typer.Option(metavar="COLUMN", help="Of a table: texts; found by its usual names.")]
Where = Annotated[list[str] | None, typer.Option(metavar="COLUMN=VALUE", help="Only rows with this value; repeat it.")]
Templates = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Sentences, one a line, with {} where the class name goes.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
Host = Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 lets other machines in.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")]


def key_values(given: list[str] | None, option: str) -> dict[str, str]:
    """`["a=1", "b=2"]` -> `{"a": "1", "b": "2"}`."""
    for item in given or ():
        if not item.partition("=")[0].strip() or "=" not in item:
            raise typer.BadParameter(f"{item!r} is not of the form name=value.", param_hint=option)
    return {item.partition("=")[0].strip(): item.partition("=")[2] for item in given or ()}


def curate_recipe(given: dict[str, str]) -> "CurateRecipe":
    """A recipe with what was typed; what was not given keeps its default."""
    from pydantic import TypeAdapter, ValidationError

    from openalign.curation.recipe import TABLES, CurateRecipe

    tables: dict[str, dict[str, str]] = {}
    for name, value in given.items():
        if name not in TABLES:
            known = ", ".join(TABLES)
            raise typer.BadParameter(f"there is no setting `{name}`; there are {known}.", param_hint="--set")
        tables.setdefault(TABLES[name], {})[name] = value
    try:
        return TypeAdapter(CurateRecipe).validate_python(tables, strict=False)
    except ValidationError as error:
        problem = error.errors()[0]
        where = "".join(f"`{part}`: " for part in problem["loc"])
        raise typer.BadParameter(f"{where}{problem['msg']}.", param_hint="--set") from None


def comma_separated(given: str | None) -> list[str] | None:
    """`"a, b"` -> `["a", "b"]`."""
    return [item.strip() for item in given.split(",")] if given is not None else None
