"""An inspection in the terminal: what was found, what would be left out, and examples with small pictures."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from openalign.commands.output.thumbnails import picture
from openalign.data.announce import is_much
from openalign.inspection.inspection import Inspection
from openalign.inspection.words import facts, headline, losses, remarks

_LONGEST_TEXT = 300
_REMARKS = 8


def print_inspection(found: Inspection) -> None:
    """Print it on standard output; pictures only on a terminal that shows colours."""
    console = Console(highlight=False)
    console.print(Text(found.name, style="bold"), soft_wrap=True)
    console.print(Text(headline(found)), soft_wrap=True)
    console.print(_facts(found))
    if lost := losses(found):
        console.print(Text("\nleft out", style="bold"))
        for kind, number, first in lost:
            style = "bold yellow" if is_much(kind, number, found.rows or 0) else ""
            console.print(Text(f"  {number:,} {kind}: {first}", style=style), soft_wrap=True)
    told = remarks(found)
    if told:
        console.print(Text("\nnotes", style="bold"))
    for remark in told[:_REMARKS]:
        console.print(Text(f"  {remark}"), soft_wrap=True)
    if len(told) > _REMARKS:
        console.print(f"  ... and {len(told) - _REMARKS:,} more")
    if found.examples:
        console.print(Text("\nexamples", style="bold"))
        console.print(_examples(found, pictures=console.is_terminal and console.color_system is not None))


def _facts(found: Inspection) -> Table:
    table = Table.grid(padding=(0, 2))
    for heading, words in facts(found):
        table.add_row(Text(f"  {heading}", style="dim"), Text(words))
    return table


def _examples(found: Inspection, pictures: bool) -> Table:
    table = Table.grid(padding=(0, 2, 1, 2) if pictures else (0, 2))
    for example in found.examples:
        text = example.text if example.text is not None else example.label or "(no text)"
        words = Text(" ".join(text.split())[:_LONGEST_TEXT])
        name = Text(f"  {example.name}" if not pictures else example.name, style="dim", overflow="fold")
        table.add_row(*((picture(example.thumbnail), Text("\n").join([words, name])) if pictures else (name, words)))
    return table
