"""`openalign embed`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from openalign.commands.arguments import (
    DATA,
    MODELS,
    EngineName,
    ImageColumn,
    LayoutName,
    Master,
    Split,
    Strict,
    TextColumn,
    Workers,
)
from openalign.commands.lasting import lasting_objects
from openalign.extras import EXTRAS, require
from openalign.progress import say

Data = Annotated[list[str], typer.Argument(metavar="DATA", help=DATA, show_default=False)]
ModelName = Annotated[str, typer.Option(metavar="MODEL", help=MODELS, show_default=False)]
To = Annotated[Path, typer.Option(metavar="DIR", help="Folder of the vectors to write.", show_default=False)]
Memory = Annotated[
    str | None,
    typer.Option(metavar="SIZE", help="Memory limit of Spark's driver, such as 4GB. Default: Spark's."),
]
Rows = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Images of a partition, on average. Default: 64 to 16,384, by their number."),
]
Thumbnails = Annotated[
    bool, typer.Option("--thumbnails/--no-thumbnails", help="Whether to keep a small picture of each image.")
]
Texts = Annotated[bool, typer.Option("--texts", help="Also embed the first text of each image.")]


def embed(
    data: Data,
    model: ModelName,
    to: To,
    engine: EngineName = "local",
    master: Master = None,
    workers: Workers = None,
    memory: Memory = None,
    rows: Rows = None,
    thumbnails: Thumbnails = True,
    texts: Texts = False,
    image_column: ImageColumn = None,
    text_column: TextColumn = None,
    split: Split = None,
    layout: LayoutName = None,
    strict: Strict = False,
) -> None:
    """Embed images into Parquet files, on one machine or on a Spark cluster.

    Writes partitions with a row an image (key, digest, float16 vector, metadata) and manifest.json. Repeated, it
    resumes an interrupted run, and embeds of changed data only the parts that changed.

    ```
    openalign embed photos/ --model runs/laptop/model --to vectors
    openalign embed "shards/*.tar" --model runs/laptop/model --to vectors --engine spark --no-thumbnails
    ```
    """
    if engine == "spark":
        require("spark", "Embedding on Spark", (*EXTRAS["curate"], *EXTRAS["spark"]))
    require("curate", "Embedding in several processes")
    with lasting_objects():
        from openalign.embedding.embed import embed
    given: dict[str, Any] = {"image_column": image_column, "text_column": text_column, "split": split, "layout": layout}
    given |= {"engine": engine, "master": master, "workers": workers, "memory": memory}
    given |= {"thumbnails": thumbnails, "texts": texts, "rows": rows, "strict": strict}
    made = embed(data, model=model, to=to, **given)
    say(f"{to} holds {made.rows:,} vectors of width {made.width} in {len(made.partitions):,} partitions.")
