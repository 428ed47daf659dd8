"""What a user may say about a DATA argument."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReadOptions:
    """What the user says about a DATA argument; None leaves it to what is found there."""

    image_column: str | None = None
    text_column: str | None = None
    need_text: bool = True
    """Leave out rows without a text, and read only one of several splits: what is read is learned from or measured."""
    split: str | None = None
    """The split to read; "all" for every one."""
    layout: str | None = None
    """The name of the layout to read the data in."""
