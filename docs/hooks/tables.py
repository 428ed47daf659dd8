"""Rows of Markdown tables, and prose as the pages are wrapped."""

import textwrap


def row(*cells: str) -> str:
    """A row; `|` separates cells except in code, where it stays as it is."""
    return f"| {' | '.join(_escaped(cell) for cell in cells)} |"


def wrapped(prose: str) -> str:
    """Prose in lines of at most 120 characters."""
    return textwrap.fill(prose, 120, break_long_words=False, break_on_hyphens=False)


def _escaped(cell: str) -> str:
    pieces = cell.split("`")
    return "`".join(text if inside % 2 else text.replace("|", "\\|") for inside, text in enumerate(pieces))
