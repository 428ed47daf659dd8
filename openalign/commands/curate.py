"""`openalign curate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from openalign.commands import terminal
from openalign.commands.arguments import ImageColumn, TextColumn, key_values
from openalign.progress import list_problems

if TYPE_CHECKING:
    from openalign.curation.recipe import CurateRecipe

Sources = Annotated[
    list[str], typer.Argument(metavar="SOURCE", help="WARC files, folders of pages, tables.", show_default=False)
]
To = Annotated[Path, typer.Option(metavar="DIR", help="Folder to write.", show_default=False)]
TestSets = Annotated[
    list[str] | None, typer.Option(metavar="DATA", help="Drop near-duplicates of these images; repeatable.")
]
UnsafeImages = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="Drop images that this model classifies as pornographic: a Hugging Face image classifier, or nudenet. "
        "Default: no model.",
    ),
]
EngineName = Annotated[Literal["local", "spark"], typer.Option(help="Run on this machine or on a Spark cluster.")]
Master = Annotated[
    str | None, typer.Option(metavar="URL", help="Spark master. Default: that of spark-submit, else this machine.")
]
Workers = Annotated[int | None, typer.Option(min=1, help="Number of processes. Default: one a core.")]
Memory = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE", help="Memory limit of DuckDB or Spark's driver, such as 4GB; what exceeds it goes to disk."
    ),
]
Retry = Annotated[
    Literal["failed"] | None, typer.Option(help="Fetch again the images that could not be fetched last time.")
]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A threshold or another setting; repeatable.")
]


def curate(
    sources: Sources,
    to: To,
    test_set: TestSets = None,
    unsafe_images: UnsafeImages = None,
    engine: EngineName = "local",
    master: Master = None,
    workers: Workers = None,
    memory: Memory = None,
    image_column: ImageColumn = None,
    text_column: TextColumn = None,
    retry: Retry = None,
    changes: Set = None,
) -> None:
    """Turn pages or tables into clean image-text pairs by the paper's rules.

    Writes shards (WebDataset tars), pairs.parquet, dropped.parquet with the reasons, and a report. The same command
    resumes a run that was interrupted, and does nothing after one that has finished.

    Settings: min_words, max_words, max_images_per_text, min_shorter_side, download and others, which the documentation
    lists.

    ```
    openalign curate crawl/*.warc.gz --to curated --test-set flickr30k/
    openalign curate photos.csv --to curated --set min_shorter_side=50
    openalign curate crawl/*.warc.gz --to curated --engine spark --master spark://head:7077
    ```
    """
    options = {"image_column": image_column, "text_column": text_column, "unsafe_images": unsafe_images}
    recipe = curate_recipe(key_values(changes, "--set") | {name: text for name, text in options.items() if text})

    from openalign.curation.pipeline import curate

    resources: dict[str, Any] = {"engine": engine, "master": master, "memory": memory, "workers": workers}
    report = curate(sources, to=to, test_set=test_set or (), recipe=recipe, retry_failed=bool(retry), **resources)
    terminal.print_table(terminal.curated_table(report))
    list_problems(report["problems"]["first"], report["problems"]["count"])


def curate_recipe(given: dict[str, str]) -> "CurateRecipe":
    """The default recipe but for the settings that were given."""
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
