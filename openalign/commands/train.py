"""`openalign tokenizer`, `train` and `report`: from texts to a trained model and its curves."""

from pathlib import Path
from typing import Annotated, Any

import typer

from openalign.commands.arguments import (
    DATA,
    ImageColumn,
    LayoutName,
    Set,
    Split,
    Strict,
    TextColumn,
    Where,
    key_values,
)
from openalign.progress import say


def tokenizer(
    data: Annotated[str, typer.Argument(metavar="DATA", help=DATA, show_default=False)],
    to: Annotated[Path, typer.Option(metavar="FILE", help="Tokenizer file to write.", show_default=False)],
    size: Annotated[int, typer.Option(metavar="N", min=10, help="Largest number of word pieces.")] = 100_000,
    where: Where = None,
    image_column: ImageColumn = None,
    text_column: TextColumn = None,
    split: Split = None,
    layout: LayoutName = None,
    strict: Strict = False,
) -> None:
    """Learn a WordPiece vocabulary from the texts of DATA.

    ```
    openalign tokenizer curated --to tokenizer.json --size 30000
    ```
    """
    rows = key_values(where, "--where")

    from openalign.data.announce import announce
    from openalign.data.pairs.open import open_pairs
    from openalign.data.tokenizer.wordpiece import train_tokenizer

    chosen: dict[str, Any] = {"image_column": image_column, "text_column": text_column, "where": rows}
    pairs = open_pairs(data, **chosen, split=split, layout=layout, strict=strict)
    announce(pairs)
    texts = pairs.texts()
    say(f"Wrote {train_tokenizer(texts, to, size)} from {len(texts):,} texts.")


RecipeName = Annotated[
    str | None,
    typer.Argument(
        metavar="RECIPE",
        help="A TOML file, or a bundled recipe such as laptop. Default with --resume: the run's own recipe.",
        show_default=False,
    ),
]
RunFolder = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the run. Default: runs/RECIPE.")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue from the newest checkpoint in that folder.")]
Change = Annotated[
    list[str] | None,
    typer.Option(
        "--change", metavar="KEY=VALUE", help="Change a setting that --resume would refuse from --set; repeatable."
    ),
]


def train(
    recipe: RecipeName = None,
    changes: Set = None,
    to: RunFolder = None,
    resume: Resume = False,
    on_purpose: Change = None,
) -> None:
    """Train both towers on pairs, by a recipe: from scratch, or from the model that `start_from` names.

    Writes DIR/model (a Hugging Face folder), checkpoints, log.jsonl and TensorBoard files. Ctrl-C writes a checkpoint
    first; --resume continues from it, bit for bit, with the run's own recipe. Settings that affect the weights are
    then refused unless --change gives them.

    ```
    openalign train laptop --set data=photos.csv --set tokenizer=tokenizer.json --set steps=2000
    openalign train --resume --to runs/laptop
    openalign train --resume --to runs/laptop --change steps=4000
    ```
    """
    if recipe is None and not (resume and to):
        raise typer.BadParameter("name a recipe to train, or give --resume and --to RUN.", param_hint="RECIPE")
    settings, changed = key_values(changes, "--set"), key_values(on_purpose, "--change")

    from openalign.training.loop import train

    train(recipe, set=settings, to=to, resume=resume, change=changed)


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Folders of runs.", show_default=False)],
    to: Annotated[Path | None, typer.Option(metavar="FILE", help="Page to write. Default: RUN/report.html.")] = None,
) -> None:
    """Draw a run's curves, settings and checkpoints on one HTML page; several runs share the same axes.

    A run that is still training is drawn up to its last logged step.

    ```
    openalign report runs/laptop
    openalign report runs/adamw runs/lamb --to compare.html
    ```
    """
    if to is None and len(runs) > 1:
        raise typer.BadParameter("several runs need a page of their own: name it with --to.", param_hint="--to")

    from openalign.training.watch.report import report

    say(f"Wrote {report(runs, to)}.")
