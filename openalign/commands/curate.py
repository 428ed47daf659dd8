"""`openalign curate`."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from openalign.commands import terminal
from openalign.commands.arguments import ImageColumn, Set, TextColumn, key_values
from openalign.commands.lasting import lasting_objects

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
CacheLimit = Annotated[
    str,
    typer.Option(
        metavar="SIZE",
        help="Size of the cache that stays beside DIR, so that a run with other thresholds is cheap; 0 keeps none.",
    ),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Ignore the cache and a finished run in DIR.")]
Retry = Annotated[
    Literal["failed"] | None, typer.Option(help="Fetch again the images that could not be fetched last time.")
]
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
    cache_limit: CacheLimit = "20GB",
    fresh: Fresh = False,
    retry: Retry = None,
    recipe: RecipeName = None,
    changes: Set = None,
) -> None:
    """Turn pages or tables into clean image-text pairs by the paper's rules.

    Writes shards (WebDataset tars), pairs.parquet, dropped.parquet with the reasons, and a report. Repeated, it
    resumes an interrupted run. The recipe's tables are [pages], [tables], [text], [image], [duplicates],
    [similarity], [unsafe], [watermark], [fetch] and [storage]; --set may leave the table's name out.

    ```
    openalign curate crawl/*.warc.gz --to curated --test-set flickr30k/
    openalign curate photos.csv --to curated --recipe curate-small-photos --set image.min_shorter_side=50
    openalign curate crawl/*.warc.gz --to curated --engine spark --master spark://head:7077
    ```
    """
    settings = key_values(changes, "--set")

    with lasting_objects():
        import ibis.backends.duckdb  # noqa: F401 - a third of all that is imported, otherwise when the engine opens

        from openalign.curation.pipeline import curate
        from openalign.toml import format_value

    options = {"image_column": image_column, "text_column": text_column, "unsafe_images": unsafe_images}
    settings |= {name: format_value(text) for name, text in options.items() if text}
    given: dict[str, Any] = {"recipe": recipe, "set": settings, "test_set": test_set or (), "retry_failed": bool(retry)}
    given |= {"engine": engine, "master": master, "memory": memory, "workers": workers}
    terminal.print_curated(curate(sources, to=to, cache_limit=cache_limit, fresh=fresh, **given))
