"""What a command says of the data that it reads: one line on how, and a line for each kind of thing left out."""

from collections.abc import Mapping, Sequence
from typing import Any

from openalign.data.left_out import Kind, LeftOut, counted
from openalign.data.pairs.layouts.images import Images
from openalign.data.pairs.pairs import Pairs
from openalign.options import option
from openalign.progress import list_notes, say, warn

MUCH = 0.1
"""A larger share of the data that is left out is told in colour."""
_NEVER_DATA = (
    *(Kind.HIDDEN, Kind.FILE_NOT_USED, Kind.MEMBER_NOT_USED, Kind.METADATA_NOT_READ),
    *(Kind.EXTRA_IMAGE, Kind.FURTHER_FRAME),
)
"""Kinds of which no row or image would have been read: they do not count as a share of the data."""
_SHOWN = 3
"""Messages of a kind that are logged."""
_LISTED = 200
"""Messages that are kept in reports."""


def announce(pairs: Pairs, role: str = "") -> None:
    """Log how data were read, and what was left out; `role` says which data, where a command reads several."""
    say(f"{role} read as: {pairs.read_as}".lstrip())
    # A folder of images with anything beside them is also a folder of images.
    fit = ", ".join(other for other in (pairs.reading.others if pairs.reading else ()) if other != Images.name)
    if fit:
        say(f"other layouts that fit: {fit} (choose with {option('layout')}, or the setting `layout`)")
    tell_left_out(pairs.problems, len(pairs))


def tell_left_out(problems: Sequence[str], rows: int, counts: Mapping[str, int] | None = None) -> None:
    """Log a line for each kind of thing that was left out, and its first messages; then the notes.

    `rows` are those that were read. `counts` are the numbers by kind, if `problems` are only the first messages.
    """
    counts = counted(problems) if counts is None else counts
    for kind, number in counts.items():
        tell = warn if is_much(kind, number, rows) else list_notes
        share = f" ({100 * number / (rows + number):.0f} %)" if tell is warn else ""
        messages = [each for each in problems if isinstance(each, LeftOut) and each.kind.value == kind][:_SHOWN]
        more = f": {messages[0]}" if messages else ""
        tell([f"Left out: {number:,} {kind}{share}{more}"])
        list_notes([f"Left out: {message}" for message in messages[1:]])
    list_notes([problem for problem in problems if not isinstance(problem, LeftOut)])


def is_much(kind: str, number: int, rows: int) -> bool:
    """Whether the things of a kind that were left out are a large share of the data, of which `rows` were read."""
    return kind not in {each.value for each in _NEVER_DATA} and number > MUCH * (rows + number)


def described(pairs: Pairs, problems: Sequence[str] = ()) -> dict[str, Any]:
    """How data were read, for reports: `data`, `layout`, `split`, `splits`, `rows`, `columns`, `lost`, `problems`.

    `lost` is the number of things of each kind that were left out. `problems` are added to those of the pairs.
    """
    reading, told = pairs.reading, [*pairs.problems, *problems]
    return {
        "data": pairs.name,
        "layout": reading.layout if reading else None,
        "read_as": pairs.read_as,
        "split": reading.split if reading else "",
        "splits": list(reading.splits) if reading else [],
        "rows": len(pairs),
        "columns": dict(pairs.columns),
        "lost": counted(told),
        "problems": told[:_LISTED],
    }
