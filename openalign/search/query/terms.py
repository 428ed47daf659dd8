"""What a query consists of: texts, images and rows of the index, each with a weight; and how it is written.

The form is described in `language`, which reads it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from openalign.data.images.read import ImageInput
from openalign.errors import OpenAlignError, UsageError

TEXT_BESIDE_IMAGE = 2.0
"""Weight of a text without one, where the query has an image or a row: the paper's best (section 6)."""
SMALLEST_WEIGHT, LARGEST_WEIGHT = 0.001, 1000

SIGN = re.compile(r"[+-](?=\s|\Z)")
SIGN_AFTER_BLANK = re.compile(r"(?<=\s)[+-](?=\s|\Z)")
WEIGHT = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\*(?=[^\s0-9*])")
PATH = re.compile(r'[^\s"]\S*')
"""A path that needs no quotation marks."""


@dataclass(frozen=True)
class Term:
    """A text, an image or a row of the index: one of the three.

    Raises:
        UsageError: there is none or more than one of them, the text is blank, or the weight is out of bounds.
    """

    text: str | None = None
    image: ImageInput | None = None
    """A path, or what else a program holds an image in."""
    row: int | None = None
    weight: float | None = None
    """0.001 to 1000; None is the usual weight: 1, and 2 for a text of a query that has an image or a row."""
    minus: bool = False
    """Whether the term is taken away."""

    def __post_init__(self) -> None:
        if [self.text is None, self.image is None, self.row is None].count(False) != 1:
            raise UsageError("A term of a query is a text, an image or a row: give one of them.")
        if self.text is not None and not self.text.strip():
            raise UsageError("A text of the query is blank: leave it out.")
        if self.weight is not None and not SMALLEST_WEIGHT <= self.weight <= LARGEST_WEIGHT:
            raise UsageError(f"A weight of the query is {self.weight}: take {SMALLEST_WEIGHT} to {LARGEST_WEIGHT}.")

    @property
    def path(self) -> str:
        """The path of the image; raises OpenAlignError if it has none."""
        if not isinstance(self.image, str | Path):
            raise OpenAlignError("An image that is not a file cannot be written in a query.")
        return str(self.image)

    def written(self) -> str:
        """The term without its sign, as `parse_query` reads it; raises OpenAlignError for an image without a path."""
        weight = "" if self.weight is None else f"{repr(float(self.weight)).removesuffix('.0')}*"
        if self.row is not None:
            return f"{weight}row:{self.row}"
        if self.text is None:
            return f"{weight}img:{self.path if PATH.fullmatch(self.path) else _in_quotes(self.path)}"
        return weight + (self.text if _means_itself(self.text, weighted=bool(weight)) else _in_quotes(self.text))


@dataclass(frozen=True)
class Query:
    """The terms of a query, in the order in which they were given."""

    terms: tuple[Term, ...] = ()

    @property
    def weights(self) -> tuple[float, ...]:
        """The weight of each term with its sign: negative for what is taken away (paper section 6)."""
        beside_image = any(term.text is None for term in self.terms)
        return tuple(
            (-1.0 if term.minus else 1.0)
            * (term.weight or (TEXT_BESIDE_IMAGE if beside_image and term.text is not None else 1.0))
            for term in self.terms
        )

    @property
    def kind(self) -> Literal["text", "image", "both"]:
        """`text` if only texts are added, `image` for one image or row alone; `both` for any other query."""
        if all(term.text is not None and not term.minus for term in self.terms):
            return "text"
        return "image" if len(self.terms) == 1 and self.terms[0].text is None else "both"

    @property
    def rows(self) -> frozenset[int]:
        """The rows of the index among the terms."""
        return frozenset(term.row for term in self.terms if term.row is not None)

    def text(self) -> str:
        """The query as `parse_query` reads it; raises OpenAlignError if an image has no path."""
        written = " ".join(f"{'-' if term.minus else '+'} {term.written()}" for term in self.terms)
        return written.removeprefix("+ ")

    def with_terms(
        self,
        images: Sequence[ImageInput] = (),
        rows: Sequence[int] = (),
        plus: Sequence[str] = (),
        minus: Sequence[str] = (),
    ) -> "Query":
        """This query and more terms of the usual weight; blank texts are left out."""
        added = [
            *(Term(image=image) for image in images),
            *(Term(row=row) for row in rows),
            *(Term(text=text.strip()) for text in plus if text.strip()),
            *(Term(text=text.strip(), minus=True) for text in minus if text.strip()),
        ]
        return replace(self, terms=(*self.terms, *added))


def _means_itself(text: str, *, weighted: bool) -> bool:
    """Whether `text` can stand without quotation marks."""
    if text != text.strip() or text.startswith(('"', "img:", "row:")):
        return False
    is_read_back = WEIGHT.match(f"1*{text}") is not None if weighted else WEIGHT.match(text) is None
    return is_read_back and not (SIGN.match(text) or SIGN_AFTER_BLANK.search(text))


def _in_quotes(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
