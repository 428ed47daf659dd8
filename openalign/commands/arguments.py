"""Types of the arguments that several commands share, and the parsing of KEY=VALUE."""

from pathlib import Path
from typing import Annotated, Literal

import typer

MODELS = "A run's model folder (RUN/model), a Hugging Face folder, or a name on the Hugging Face hub."
DATA = "A folder of images or shards, a dataset, a table, or COCO captions; a pattern in quotes, or a URL of shards."

Model = Annotated[
    str,
    typer.Argument(metavar="MODEL", help=MODELS, show_default=False),
]
IndexFolder = Annotated[
    str,
    typer.Argument(
        metavar="INDEX", help="What `openalign index` wrote: a folder, or milvus://HOST/COLLECTION.", show_default=False
    ),
]
IndexToWrite = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="INDEX",
        help="Folder of the index to write or to bring up to date; for vectors, also milvus://HOST/COLLECTION.",
        show_default=False,
    ),
]
ImageColumn = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="Column with image paths, URLs or images. Default: by name and content."),
]
TextColumn = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Column or field with texts. Default: by name and content.")
]
Split = Annotated[
    str | None,
    typer.Option(metavar="SPLIT", help="The split to read where there are several, such as train; all for every one."),
]
LayoutName = Annotated[
    str | None,
    typer.Option(
        "--layout", metavar="LAYOUT", help="Read DATA in this layout. Default: recognised, as `inspect` shows."
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="End with an error if anything in the data is left out.")]
EngineName = Annotated[Literal["local", "spark"], typer.Option(help="This machine, or a Spark cluster.")]
Master = Annotated[
    str | None, typer.Option(metavar="URL", help="Spark master. Default: that of spark-submit, else this machine.")
]
Workers = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Number of processes. Default: one for each core.")
]
Where = Annotated[
    list[str] | None,
    typer.Option(metavar="COLUMN=VALUE", help="Keep only rows with this value; repeatable. Default: all rows."),
]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one setting of the recipe; repeatable.")
]
Templates = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Prompts, one a line, with {} for the class name. Default: 12 generic ones."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
Host = Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 accepts other machines.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")]


def key_values(given: list[str] | None, option: str) -> dict[str, str]:
    """`["a=1", "b=2"]` -> `{"a": "1", "b": "2"}`. Raises BadParameter for another form, and for a key given twice."""
    values: dict[str, str] = {}
    for item in given or ():
        key, equals, value = item.partition("=")
        key = key.strip()
        if not key or not equals:
            raise typer.BadParameter(f"{item!r} is not of the form KEY=VALUE.", param_hint=option)
        if key in values:
            both = f"{option} {key}={values[key]} and {option} {item}"
            raise typer.BadParameter(f"{both} both give `{key}`: leave one of them out.")
        values[key] = value
    return values


ReEmbed = Annotated[
    bool,
    typer.Option("--re-embed", help="Embed all images again, with another model, say; replaces INDEX at the end."),
]
Watch = Annotated[bool, typer.Option("--watch", help="Go on: look for changes every few seconds, until Ctrl-C.")]
MakeMap = Annotated[
    bool | None,
    typer.Option(
        "--map/--no-map",
        help="Lay the map of the collection out anew, or leave it as it is. Default: place new images on it, and lay "
        "it out again when a tenth of the images has changed.",
        show_default=False,
    ),
]
Conditions = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COND",
        help="Only images for which this holds, such as date>=2024-05, folder=holiday* or width>1000; repeatable.",
    ),
]
ModelOfIndex = Annotated[
    str | None, typer.Option("--model", metavar="MODEL", help="The model of INDEX, if it is not where it was.")
]
WrittenQuery = Annotated[
    str | None,
    typer.Argument(
        metavar="QUERY",
        help="What the images should show: texts, img:FILE and row:NUMBER; or saved:NAME.",
        show_default=False,
    ),
]
Plus = Annotated[list[str] | None, typer.Option(metavar="TEXT", help="Add a text, literally; repeatable.")]
Minus = Annotated[list[str] | None, typer.Option(metavar="TEXT", help="Subtract a text, literally; repeatable.")]
Top = Annotated[int, typer.Option(metavar="N", min=1, help="Number of results; those that do not match are left out.")]
Fold = Annotated[
    bool | None,
    typer.Option("--fold/--no-fold", help="Show one of several near-duplicates (the default), or all."),
]
SortBy = Annotated[
    str | None,
    typer.Option(
        "--sort",
        metavar="ORDER",
        help="Order of the images that match: score, date, name or size; -date for the newest first. Default: score.",
    ),
]
AgainstWhat = Annotated[
    str | None,
    typer.Option(
        "--against",
        metavar="WHAT",
        help="What the query is compared with: image, text (after index --embed-texts) or both. Default: image.",
    ),
]
EmbedTexts = Annotated[
    bool | None,
    typer.Option(
        "--embed-texts/--no-embed-texts",
        help="Embed the texts too, so that `search --against text` finds them, or no longer. Default: as INDEX was "
        "made before.",
        show_default=False,
    ),
]
Save = Annotated[str | None, typer.Option(metavar="NAME", help="Keep this query with INDEX; saved:NAME asks it again.")]
ListSaved = Annotated[bool, typer.Option("--list-saved", help="List the saved queries of INDEX, and search nothing.")]
Export = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write the results shown: .csv, .parquet, .jsonl, or .txt for paths."),
]
All = Annotated[bool, typer.Option("--all", help="Also show those of the N most similar images that do not match.")]
