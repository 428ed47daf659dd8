"""`openalign evaluate` and `classify`."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from openalign.commands import terminal
from openalign.commands.arguments import (
    ImageColumn,
    Json,
    LayoutName,
    Model,
    Split,
    Strict,
    Templates,
    TextColumn,
    Where,
    comma_separated,
    key_values,
)

Data = Annotated[str, typer.Argument(metavar="DATA", help="Data to evaluate on.", show_default=False)]
ProtocolName = Annotated[Literal["retrieval", "zero-shot"], typer.Option(help="What to measure.")]
JsonFile = Annotated[Path | None, typer.Option(metavar="FILE", help="Also write the metrics to this JSON file.")]
DistinctTexts = Annotated[bool, typer.Option("--distinct-texts", help="Keep only one image of each text.")]
Labels = Annotated[
    str | None,
    typer.Option(metavar="A,B,C", help="Classes to choose from (zero-shot). Default: all of the label column."),
]
LabelColumn = Annotated[str, typer.Option(metavar="COLUMN", help="Column with the true class (zero-shot).")]
BatchSize = Annotated[int, typer.Option(min=1, help="Images embedded at once.")]


def evaluate(
    model: Model,
    data: Data,
    protocol: ProtocolName = "retrieval",
    json: JsonFile = None,
    where: Where = None,
    distinct_texts: DistinctTexts = False,
    labels: Labels = None,
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
    options |= {"labels": comma_separated(labels), "templates": templates}
    report = evaluate(model, data, protocol=protocol, **options)
    terminal.print_table(report_table(report))


def classify(
    model: Model,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="Image files.", show_default=False)],
    labels: Annotated[str, typer.Option(metavar="A,B,C", help="Classes to choose from.", show_default=False)],
    templates: Templates = None,
    top: Annotated[int, typer.Option(min=1, help="Labels shown for each image.")] = 3,
    json: Json = False,
) -> None:
    """Rank the given labels by how well they fit each image.

    The probabilities are a softmax over these labels: they sum to one even where none of the labels fits.

    ```
    openalign classify runs/laptop/model shoe.jpg --labels "running shoe,boot,sandal"
    ```
    """
    from openalign.evaluation.prompts import TEMPLATES, read_templates
    from openalign.evaluation.zero_shot import check_labels, classify
    from openalign.model.hub import load

    classes = comma_separated(labels) or []
    check_labels(classes)  # before a model is loaded
    prompts = read_templates(templates) if templates else TEMPLATES
    ranked = classify(load(model), images, classes, prompts)
    best = {str(image): found[:top] for image, found in zip(images, ranked, strict=True)}
    if json:
        terminal.print_json({"model": model, "images": terminal.labels_json(best)})
    else:
        terminal.print_table(terminal.labels_table(best))
