"""Rows of Markdown tables."""


def row(*cells: str) -> str:
    """A row; `|` separates cells except in code, where it stays as it is."""
    return f"| {' | '.join(_escaped(cell) for cell in cells)} |"


def _escaped(cell: str) -> str:
    pieces = cell.split("`")
    return "`".join(text if inside % 2 else text.replace("|", "\\|") for inside, text in enumerate(pieces))
