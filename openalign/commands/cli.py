"""One command a stage: each reads its arguments, calls the function of the same name and prints what came of it.

Stages are imported inside their commands, so that `openalign --help` and a mistyped option answer at once.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from openalign import __version__
from openalign.commands import terminal
from openalign.commands.arguments import (
    Host,
    ImageColumn,
    IndexFolder,
    Json,
    Model,
    Port,
    Templates,
    TextColumn,
    Where,
    comma_separated,
    curate_settings,
    key_values,
)
from openalign.commands.exit_status import Commands
from openalign.progress import say

app = typer.Typer(
    cls=Commands,
    help="From a web crawl to a search page: curate noisy image alt-text, learn from it, search by it.\n\n"
    "`openalign demo` walks the whole road on a miniature web.",
    epilog="DATA and SOURCE are a folder of shards, of images with same-named .txt files or of class folders, or a "
    "table (CSV, TSV, JSONL, Parquet) of images and texts; SOURCE may also be WARC files and folders of pages.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """The `openalign` command."""
    app(prog_name="openalign")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"openalign {__version__}")
        raise typer.Exit


@app.callback()
def _openalign(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    pass


@app.command()
def curate(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE", help="WARC files, folders of pages, tables.", show_default=False)
    ],
    to: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write.", show_default=False)],
    test_set: Annotated[
        list[str] | None, typer.Option(metavar="DATA", help="Drop near-duplicates of these images; repeat it.")
    ] = None,
    unsafe_images: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Drop what it takes for pornographic: a Hugging Face classifier, nudenet."),
    ] = None,
    engine: Annotated[str, typer.Option(metavar="local|spark", help="One machine, or a cluster.")] = "local",
    master: Annotated[
        str | None, typer.Option(metavar="URL", help="Spark's; default: spark-submit's, else this machine.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; all cores by default.")] = None,
    memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Most memory for the rules, such as 4GB; beyond it, disk.")
    ] = None,
    image_column: ImageColumn = None,
    text_column: TextColumn = None,
    retry: Annotated[
        str | None, typer.Option(metavar="failed", help="Ask again for images that could not be fetched last time.")
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A threshold or other setting; repeat it.")
    ] = None,
) -> None:
    """Turn pages or tables into clean pairs of image and text, by the paper's rules.

    Writes shards (WebDataset tars), pairs.parquet, dropped.parquet with the reasons, and a report.
    The same command goes on where a run was cut off, and does nothing where one has ended.

    Settings are min_words, max_words, max_images_per_text, min_shorter_side, download and others of docs/curation.md.

    ```
    openalign curate crawl/*.warc.gz --to curated --test-set flickr30k/
    openalign curate photos.csv --to curated --set min_shorter_side=50
    openalign curate crawl/*.warc.gz --to curated --engine spark --master spark://head:7077
    ```
    """
    options = {"image_column": image_column, "text_column": text_column, "unsafe_images": unsafe_images}
    given = {name: value for name, value in options.items() if value is not None}
    settings = curate_settings(key_values(changes, "--set") | given)
    if retry not in (None, "failed"):
        raise typer.BadParameter(f"{retry!r} is not known; there is: failed.", param_hint="--retry")

    from openalign.curation.pipeline import curate

    report = curate(
        sources,
        to=to,
        engine=engine,
        master=master,
        memory=memory,
        test_set=test_set or (),
        workers=workers,
        settings=settings,
        retry_failed=retry is not None,
    )
    terminal.print_table(terminal.curated_table(report))
    terminal.list_problems(report["problems"]["first"], report["problems"]["count"])


@app.command()
def tokenizer(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Whose texts to learn from.", show_default=False)],
    to: Annotated[Path, typer.Option(metavar="FILE", help="The tokenizer.json to write.", show_default=False)],
    size: Annotated[int, typer.Option(min=10, help="Word pieces at most.")] = 100_000,
    where: Where = None,
    text_column: TextColumn = None,
) -> None:
    """Learn a WordPiece vocabulary from the texts of DATA.

    ```
    openalign tokenizer curated --to tokenizer.json --size 30000
    ```
    """
    from openalign.data.pairs.pairs import open_pairs
    from openalign.data.text.tokenizer import train_tokenizer

    pairs = open_pairs(data, text_column=text_column)
    for column, value in key_values(where, "--where").items():
        pairs = pairs.where(column, value)
    texts = pairs.texts()
    say(f"Wrote {train_tokenizer(texts, to, size)} from {len(texts):,} texts.")
    terminal.list_problems(pairs.problems, len(pairs.problems))


@app.command()
def train(
    recipe: Annotated[
        str | None,
        typer.Argument(
            metavar="[RECIPE]",
            help="A TOML file, or one that comes along: laptop. With --resume, the run's own.",
            show_default=False,
        ),
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting of the recipe; repeat it.")
    ] = None,
    to: Annotated[Path | None, typer.Option(metavar="DIR", help="The run's folder; runs/RECIPE by default.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the newest checkpoint in that folder.")] = False,
    on_purpose: Annotated[
        list[str] | None,
        typer.Option("--change", metavar="KEY=VALUE", help="As --set, where a resumed run shall go on otherwise."),
    ] = None,
) -> None:
    """Train both towers from scratch on pairs, as a recipe says.

    Writes DIR/model (a Hugging Face folder), checkpoints, log.jsonl and TensorBoard files. Ctrl-C writes a checkpoint
    first; --resume goes on from it, bit for bit, with the run's own recipe. Settings that decide what is learned are
    then refused unless --change gives them.

    ```
    openalign train laptop --set data=photos.csv --set tokenizer=tokenizer.json --set steps=2000
    openalign train --resume --to runs/laptop
    openalign train --resume --to runs/laptop --change steps=4000
    ```
    """
    settings, changed = key_values(changes, "--set"), key_values(on_purpose, "--change")

    from openalign.training.loop import train

    train(recipe, set=settings, to=to, resume=resume, change=changed)


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Folders of runs.", show_default=False)],
    to: Annotated[Path | None, typer.Option(metavar="FILE", help="The page; RUN/report.html by default.")] = None,
) -> None:
    """Draw a run's curves, settings and checkpoints on one HTML page; several runs are laid over each other.

    A run that still goes on is drawn as far as it has come.

    ```
    openalign report runs/laptop
    openalign report runs/adamw runs/lamb --to compare.html
    ```
    """
    if to is None and len(runs) > 1:
        raise typer.BadParameter("several runs need a page of their own: name it.", param_hint="--to")

    from openalign.training.watch.report import report

    say(f"Wrote {report(runs, to)}.")


@app.command()
def evaluate(
    model: Model,
    data: Annotated[str, typer.Argument(metavar="DATA", help="What to judge it on.", show_default=False)],
    protocol: Annotated[str, typer.Option(metavar="retrieval|zero-shot", help="How to judge it.")] = "retrieval",
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the figures to this file.")] = None,
    where: Where = None,
    distinct_texts: Annotated[bool, typer.Option("--distinct-texts", help="Only one image of each text.")] = False,
    labels: Annotated[str | None, typer.Option(metavar="A,B,C", help="The classes to choose from (zero-shot).")] = None,
    label_column: Annotated[
        str, typer.Option(metavar="COLUMN", help="The column with the true class (zero-shot).")
    ] = "label",
    templates: Templates = None,
    image_column: ImageColumn = None,
    text_column: TextColumn = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images embedded at once.")] = 64,
) -> None:
    """Measure a model: retrieval both ways, or zero-shot classification by class names.

    Prints each figure beside chance. Images that cannot be read are left out and listed.

    ```
    openalign evaluate runs/laptop/model photos.csv --where split=val --distinct-texts
    openalign evaluate runs/laptop/model photos.csv --protocol zero-shot --label-column articleType
    ```
    """
    rows = key_values(where, "--where")

    from openalign.evaluation.run import evaluate, report_table

    report = evaluate(
        model,
        data,
        protocol=protocol,
        json=json,
        where=rows,
        distinct_texts=distinct_texts,
        image_column=image_column,
        text_column=text_column,
        labels=comma_separated(labels),
        label_column=label_column,
        templates=templates,
        batch_size=batch_size,
    )
    terminal.print_table(report_table(report))
    terminal.list_problems(report["problems"], len(report["problems"]))


@app.command()
def index(
    paths: Annotated[list[str], typer.Argument(metavar="PATH", help="Images, as any DATA.", show_default=False)],
    model: Annotated[str, typer.Option(metavar="MODEL", help="The model to embed them with.", show_default=False)],
    to: Annotated[Path, typer.Option(metavar="INDEX", help="The folder to write.", show_default=False)],
) -> None:
    """Embed images and store them for search; texts beside them are shown, not searched.

    Over an older index of the same model, only new and changed images are embedded.

    ```
    openalign index photos/ --model runs/laptop/model --to photos.index
    ```
    """
    from openalign.search.index import Index

    built = Index.build(paths, model=model, to=to)
    say(f"{to} holds {len(built):,} images.")
    terminal.list_problems(built.problems, len(built.problems))


@app.command()
def search(
    index: IndexFolder,
    text: Annotated[str | None, typer.Argument(help="What the image should show.", show_default=False)] = None,
    image: Annotated[Path | None, typer.Option(metavar="FILE", help="An image to start from.")] = None,
    plus: Annotated[list[str] | None, typer.Option(metavar="TEXT", help="Add this to the query; repeat it.")] = None,
    minus: Annotated[list[str] | None, typer.Option(metavar="TEXT", help="Take this away; repeat it.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Answers wanted.")] = 10,
    json: Json = False,
) -> None:
    """Find images by a text, by an image, or by an image plus and minus texts.

    ```
    openalign search photos.index "a red apple" --minus people
    openalign search photos.index --image shoe.jpg --plus "in blue" --json
    ```
    """
    from openalign.search.index import Index

    hits = Index.open(index).search(text, image=image, plus=plus or (), minus=minus or (), top=top)
    if json:
        query = {"text": text, "image": str(image) if image else None, "plus": plus or [], "minus": minus or []}
        terminal.print_json({"index": str(index), "query": query, "hits": [asdict(hit) for hit in hits]})
    else:
        terminal.print_table(terminal.hits_table(hits))


@app.command()
def classify(
    model: Model,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="Image files.", show_default=False)],
    labels: Annotated[str, typer.Option(metavar="A,B,C", help="The classes to choose from.", show_default=False)],
    templates: Templates = None,
    top: Annotated[int, typer.Option(min=1, help="Labels shown for each image.")] = 3,
    json: Json = False,
) -> None:
    """Say which of the labels fits each image best.

    The shares are a softmax over these labels: they sum to one even where none of them fits.

    ```
    openalign classify runs/laptop/model shoe.jpg --labels "running shoe,boot,sandal"
    ```
    """
    from openalign.evaluation.prompts import TEMPLATES, read_templates
    from openalign.evaluation.zero_shot import classify
    from openalign.model.hub import load

    sentences = read_templates(templates) if templates else TEMPLATES
    answers = dict(zip(images, classify(load(model), images, comma_separated(labels) or [], sentences), strict=True))
    if json:
        shown = [
            {"image": str(image), "labels": [{"label": label, "probability": share} for label, share in found[:top]]}
            for image, found in answers.items()
        ]
        terminal.print_json({"model": model, "images": shown})
    else:
        terminal.print_table(terminal.labels_table({str(image): found[:top] for image, found in answers.items()}))


@app.command()
def serve(
    index: IndexFolder,
    host: Host = "127.0.0.1",
    port: Port = 8000,
) -> None:
    """Serve the search page and its REST interface.

    ```
    openalign serve photos.index --port 8000
    ```
    """
    from openalign.serve.app import serve

    serve(index, host=host, port=port)


@app.command()
def export(
    model: Model,
    to: Annotated[Path, typer.Option(metavar="FOLDER", help="The folder to write.", show_default=False)],
) -> None:
    """Write both towers as ONNX, for programs without torch.

    ```
    openalign export runs/laptop/model --to onnx/
    ```
    """
    from openalign.model.export import export

    export(model, to)
    say(f"Wrote {to}.")


@app.command()
def scales() -> None:
    """List the named sizes of both towers: widths, parameters, multiply-adds."""
    from openalign.model.scales import scales_tables

    for table in scales_tables():
        terminal.print_table(table)


@app.command()
def demo(
    to: Annotated[Path, typer.Option(metavar="DIR", help="Where to work; a second run goes on.")] = Path("demo"),
    serve: Annotated[bool, typer.Option(help="Serve the search page at the end.")] = True,
    web_only: Annotated[bool, typer.Option("--web-only", help="Make the miniature web and stop.")] = False,
    scenes: Annotated[int, typer.Option(min=100, help="Scenes drawn.")] = 28_000,
    seed: Annotated[int, typer.Option(min=0, help="Everything random follows from it.")] = 0,
    host: Host = "127.0.0.1",
    port: Port = 8000,
) -> None:
    """Make a miniature web of drawings and walk it from its pages to a search page.

    ```
    openalign demo --no-serve
    ```
    """
    from openalign.demo.run import run_demo

    run_demo(to, serve=serve, web_only=web_only, scenes=scenes, seed=seed, host=host, port=port)
