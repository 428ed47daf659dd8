"""`openalign evaluate` and `classify`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from openalign.commands.arguments import (
    DATA,
    ImageColumn,
    Json,
    LayoutName,
    Model,
    Split,
    Strict,
    Templates,
    TextColumn,
    Where,
    key_values,
)
from openalign.commands.output import terminal
from openalign.errors import OpenAlignError
from openalign.progress import list_problems

if TYPE_CHECKING:
    from openalign.evaluation.labels import Classes

Data = Annotated[str, typer.Argument(metavar="DATA", help=DATA, show_default=False)]
ProtocolName = Annotated[Literal["retrieval", "zero-shot"], typer.Option(help="What to measure.")]
JsonFile = Annotated[Path | None, typer.Option(metavar="FILE", help="Also write the metrics to this JSON file.")]
DistinctTexts = Annotated[bool, typer.Option("--distinct-texts", help="Keep only one image of each text.")]
Labels = Annotated[
    str | None,
    typer.Option(
        metavar="A,B,C",
        help='Classes to choose from (zero-shot); "A, B" in double quotes is one. Default: all of the label column.',
    ),
]
LabelFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Classes to choose from: a name a line, in the order of their numbers, or a table (.csv) of what the "
        "label column or the class folders hold and `name`.",
    ),
]
LabelColumn = Annotated[str, typer.Option(metavar="COLUMN", help="Column with the true class (zero-shot).")]
BatchSize = Annotated[int, typer.Option(metavar="N", min=1, help="Images embedded at once.")]


def evaluate(
    model: Model,
    data: Data,
    protocol: ProtocolName = "retrieval",
    json: JsonFile = None,
    where: Where = None,
    distinct_texts: DistinctTexts = False,
    labels: Labels = None,
    label_file: LabelFile = None,
    label_column: LabelColumn = "label",
    templates: Templates = None,
    image_column: ImageColumn = None,
    text_column: TextColumn = None,
    split: Split = None,
    layout: LayoutName = None,
    strict: Strict = False,
    batch_size: BatchSize = 64,
) -> None:
    """Measure a model: retrieval in both directions, or zero-shot classification by class names.

    Prints each metric beside chance. Images that cannot be read are left out and listed.

    ```
    openalign evaluate runs/laptop/model photos.csv --where split=val --distinct-texts
    openalign evaluate runs/laptop/model photos.csv --protocol zero-shot --label-column articleType
    ```
    """
    rows = key_values(where, "--where")

    from openalign.evaluation.run import evaluate, report_table

    options: dict[str, Any] = {"image_column": image_column, "text_column": text_column, "label_column": label_column}
    options |= {"where": rows, "distinct_texts": distinct_texts, "batch_size": batch_size, "json": json}
    options |= {"split": split, "layout": layout, "strict": strict}
    options |= {"labels": _labels(labels, label_file), "templates": templates}
    report = evaluate(model, data, protocol=protocol, **options)
    terminal.print_table(report_table(report))


def classify(
    model: Model,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="Image files.", show_default=False)],
    labels: Annotated[str | None, typer.Option(metavar="A,B,C", help="Classes to choose from.")] = None,
    label_file: LabelFile = None,
    templates: Templates = None,
    top: Annotated[int, typer.Option(metavar="N", min=1, help="Labels shown for each image.")] = 3,
    json: Json = False,
) -> None:
    """Rank the given labels by how well they fit each image.

    The probabilities are a softmax over these labels: they sum to one even where none of the labels fits.

    ```
    openalign classify runs/laptop/model shoe.jpg --labels "running shoe,boot,sandal"
    ```
    """
    classes = _labels(labels, label_file)
    if classes is None:
        raise typer.BadParameter("give the classes to choose from.", param_hint="--labels or --label-file")

    from openalign.evaluation.prompts import TEMPLATES, read_templates
    from openalign.evaluation.zero_shot import classify
    from openalign.model.hub import load

    prompts = read_templates(templates) if templates else TEMPLATES
    problems: list[str] = []
    ranked = classify(load(model), images, classes, prompts, problems=problems)
    best = {str(image): found[:top] for image, found in zip(images, ranked, strict=True) if found}
    if json:
        terminal.print_json({"model": model, "images": terminal.labels_json(best), "problems": problems})
    elif best:
        terminal.print_table(terminal.labels_table(best))
    if len(problems) > 1:
        list_problems(problems)
    if problems:
        raise OpenAlignError(f"{len(problems)} of {len(images)} images could not be labelled, the first: {problems[0]}")


def _labels(given: str | None, file: Path | None) -> "Classes | None":
    """The classes of `--labels` or of `--label-file`, checked before a model is loaded."""
    from openalign.evaluation.labels import classes_of, labels_in

    if given is not None and file is not None:
        raise typer.BadParameter("give one of the two.", param_hint="--labels and --label-file")
    if given is None:
        return None if file is None else classes_of(file)
    return classes_of(labels_in(given))
