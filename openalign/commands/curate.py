"""`openalign curate`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from openalign.commands.arguments import (
    EngineName,
    ImageColumn,
    LayoutName,
    Master,
    Set,
    Split,
    Strict,
    TextColumn,
    Workers,
    key_values,
)
from openalign.commands.lasting import lasting_objects
from openalign.commands.output import terminal
from openalign.extras import EXTRAS, require

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE",
        help="A WARC file, a folder of pages or of images, a table, or shards; a pattern in quotes, or a URL.",
        show_default=False,
    ),
]
To = Annotated[Path, typer.Option(metavar="DIR", help="Folder to write.", show_default=False)]
TestSets = Annotated[
    list[str] | None,
    typer.Option(metavar="DATA", help="Drop near-duplicates of these images; repeatable. Default: none."),
]
UnsafeImages = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="Drop images that this model classifies as pornographic: a Hugging Face image classifier, or nudenet. "
        "Default: no model.",
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Memory limit of DuckDB or of Spark's driver, such as 4GB; the rest goes to disk. Default: theirs.",
    ),
]
CacheLimit = Annotated[
    str,
    typer.Option(
        metavar="SIZE",
        help="Most disk space for the cache beside DIR, which makes a run with other thresholds cheap; 0: no cache.",
    ),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Ignore the cache and a finished run in DIR.")]
Retry = Annotated[Literal["failed"] | None, typer.Option(help="Fetch again what could not be fetched last time.")]
RecipeName = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        metavar="RECIPE",
        help="A TOML file, or a bundled recipe such as curate-small-photos. Default: the paper's thresholds.",
    ),
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
    split: Split = None,
    layout: LayoutName = None,
    strict: Strict = False,
    cache_limit: CacheLimit = "20GB",
    fresh: Fresh = False,
    retry: Retry = None,
    recipe: RecipeName = None,
    changes: Set = None,
) -> None:
    """Turn pages or tables into clean image-text pairs by the paper's rules.

    Writes shards (WebDataset tars), pairs.parquet, dropped.parquet with the reasons, and a report. Repeated, it
    resumes an interrupted run. Keys of --set are those of the recipe, with or without the table's name.

    ```
    openalign curate crawl/*.warc.gz --to curated --test-set flickr30k/
    openalign curate photos.csv --to curated --recipe curate-small-photos --set image.min_shorter_side=50
    ```
    """
    asked = {"image_column": image_column, "text_column": text_column, "unsafe_images": unsafe_images}
    _require_extras(engine, unsafe_images)
    settings = _with_options(key_values(changes, "--set"), asked | {"split": split, "layout": layout}, strict)
    with lasting_objects():
        from openalign.curation.pipeline import curate
    given: dict[str, Any] = {"recipe": recipe, "set": settings, "test_set": test_set or (), "retry_failed": bool(retry)}
    given |= {"engine": engine, "master": master, "memory": memory, "workers": workers}
    terminal.print_curated(curate(sources, to=to, cache_limit=cache_limit, fresh=fresh, **given))


def _require_extras(engine: str, unsafe_images: str | None) -> None:
    """Raise MissingExtra for one that brings all that is needed, before curation asks for its own."""
    if engine == "spark":
        require("spark", "Curating on Spark", (*EXTRAS["curate"], *EXTRAS["spark"]))
    if unsafe_images == "nudenet":
        require("nudenet", "Finding unsafe images with nudenet", (*EXTRAS["curate"], *EXTRAS["nudenet"]))


def _with_options(settings: dict[str, str], options: Mapping[str, str | None], strict: bool) -> dict[str, str]:
    """The settings, with those that have an option of their own."""
    settings = settings | _as_settings({name: text for name, text in options.items() if text}, settings)
    return settings | ({"tables.strict": "true"} if strict else {})


def _as_settings(options: dict[str, str], settings: dict[str, str]) -> dict[str, str]:
    """Settings that have an option of their own, as `--set` gives them. Raises BadParameter for one in `settings`."""
    from openalign.curation.recipe import CurateRecipe
    from openalign.settings import full_keys
    from openalign.toml import format_value

    given = dict(zip(full_keys(CurateRecipe, settings), settings, strict=True))
    for (name, value), full in zip(options.items(), full_keys(CurateRecipe, options), strict=True):
        if full in given:
            both = f"--{name.replace('_', '-')} {value} and --set {given[full]}={settings[given[full]]}"
            raise typer.BadParameter(f"{both} both give `{full}`: leave one of them out.")
    return {name: format_value(value) for name, value in options.items()}
