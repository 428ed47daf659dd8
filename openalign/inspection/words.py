"""An inspection as lines of a heading and words, for the terminal and the page."""

from collections.abc import Iterator

from openalign.data.left_out import LeftOut
from openalign.data.pairs.reading import Reading
from openalign.inspection.inspection import Inspection
from openalign.inspection.samples import Sizes, Spread

_COLUMNS_NAMED = 30


def headline(found: Inspection) -> str:
    """`read as: table, 24 rows (image: file_name, text: text)`."""
    if found.rows is None:
        return f"read as: {found.title}"
    reading = Reading(found.layout, found.title, found.why)
    return f"read as: {reading.sentence(found.rows, found.columns)}"


def facts(found: Inspection) -> Iterator[tuple[str, str]]:
    """What was found, each with its heading."""
    yield "layout", f"{found.layout} ({found.why})"
    if found.splits:
        yield "splits", ", ".join(f"{split} {rows:,}" for split, rows in found.splits.items())
    if found.columns:
        yield "columns", ", ".join(f"{role}: {column}" for role, column in found.columns.items() if column)
    if found.other_columns:
        named = list(found.other_columns.items())
        more = f" and {len(named) - _COLUMNS_NAMED} more" if len(named) > _COLUMNS_NAMED else ""
        yield "other columns", ", ".join(f"{name} ({kind})" for name, kind in named[:_COLUMNS_NAMED]) + more
    if found.sizes is not None:
        yield "images", _of_sizes(found.sizes)
    if found.languages:
        yield "languages", ", ".join(f"{name} {100 * share:.0f} %" for name, share in found.languages.items())


def losses(found: Inspection) -> list[tuple[str, int, str]]:
    """Each kind of thing that would be left out, with its number and the first message about it."""
    first = {problem.kind.value: problem for problem in reversed(found.problems) if isinstance(problem, LeftOut)}
    return [(kind, number, str(first.get(kind, ""))) for kind, number in found.lost.items()]


def remarks(found: Inspection) -> list[str]:
    """How to choose, what was not sampled, and what is read otherwise than it is written."""
    return [*found.notes, *(str(problem) for problem in found.problems if not isinstance(problem, LeftOut))]


def _of_sizes(sizes: Sizes) -> str:
    formats = ", ".join(f"{number:,} {name}" for name, number in sizes.formats.items())
    width, height = (_span(spread) for spread in (sizes.width, sizes.height))
    kilobytes = _span(Spread(*(max(1, each / 1000) for each in vars(sizes.file_bytes).values())))
    return f"{sizes.images:,} sampled ({formats}): width {width}, height {height} pixels; {kilobytes} kB"


def _span(spread: Spread) -> str:
    """`96 to 1,200 (median 640)`, or the one value that all have."""
    if spread.least == spread.most:
        return f"{spread.least:,.0f}"
    return f"{spread.least:,.0f} to {spread.most:,.0f} (median {spread.median:,.0f})"
