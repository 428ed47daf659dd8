"""The `openalign` command: every command in its group of the help.

Each command parses its arguments, calls the function of the same name and prints the result. The functions are
imported inside the commands, so that `openalign --help` and a mistyped option respond at once.
"""

from typing import Annotated

import typer

from openalign.commands.curate import curate
from openalign.commands.demo import demo
from openalign.commands.embed import embed
from openalign.commands.evaluate import classify, evaluate
from openalign.commands.exit_status import Command, Commands
from openalign.commands.inspect import inspect
from openalign.commands.lasting import own_process
from openalign.commands.leading_minus import QueryCommand
from openalign.commands.model import export, scales
from openalign.commands.search import index, search, serve
from openalign.commands.train import report, tokenizer, train
from openalign.version import __version__

app = typer.Typer(
    cls=Commands,
    help="From a web crawl to a search page: curate noisy image alt-text, train a dual encoder, search with it.\n\n"
    "`openalign demo` runs every stage on a miniature web.",
    epilog="DATA and SOURCE are images with texts in any common layout: WebDataset shards, tables (CSV, TSV, JSONL, "
    "Parquet), Hugging Face datasets, COCO captions, images with caption files, class folders. SOURCE may also be WARC "
    "files and folders of pages. `openalign inspect DATA` shows how something would be read.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

GROUPS = {
    "Data": (inspect, curate, tokenizer),
    "Model": (train, report, evaluate, classify, export, scales),
    "Search": (embed, index, search, serve),
    "Try it": (demo,),
}
"""The commands in the order of `openalign --help`."""

for _group, _commands in GROUPS.items():
    for _command in _commands:
        app.command(cls=QueryCommand if _command is search else Command, rich_help_panel=_group)(_command)


def main() -> None:
    """Run the command line."""
    with own_process():
        app(prog_name="openalign")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"openalign {__version__}")
        raise typer.Exit


@app.callback()
def _openalign(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass
