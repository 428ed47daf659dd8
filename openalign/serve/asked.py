"""A search as a client sends it: what it asks for, and how it is to be answered."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from fastapi import UploadFile

from openalign.errors import OpenAlignError
from openalign.search.query.language import parse_query
from openalign.search.query.terms import Query, Term
from openalign.serve.service import (
    AgainstField,
    AgainstWhat,
    Fold,
    FoldField,
    SortBy,
    SortField,
    Top,
    TopField,
    Where,
    WhereField,
)
from openalign.serve.work.queueing import items_of


@dataclass(frozen=True)
class How:
    """What a search gives back: arguments of `Index.search`, from the address of a request."""

    where: Where
    top: Top = 24
    fold: Fold = True
    sort: SortBy = "score"
    against: AgainstWhat = "image"


@dataclass(frozen=True)
class HowInForm:
    """The same from a form."""

    where: WhereField
    top: TopField = 24
    fold: FoldField = True
    sort: SortField = "score"
    against: AgainstField = "image"


@dataclass(frozen=True)
class Asked:
    """A search, as a client sends it."""

    text: str
    query: str
    plus: list[str]
    minus: list[str]
    how: "How | HowInForm"
    row: int | None = None
    images: Sequence[UploadFile] | None = None
    """None in a request that cannot have any."""

    def __post_init__(self) -> None:
        if self.query.strip() and (self.text.strip() or self.plus or self.minus):
            raise OpenAlignError("Give either `query`, which has signs of its own, or `text`, `plus` and `minus`.")

    @cached_property
    def written(self) -> Query:
        """`query`, which may name no file of this machine: an image in it is the number of an upload.

        Raises:
            UsageError: it is no query, or has an image that was not sent.
        """
        return parse_query(self.query, files=self.images is not None)

    @property
    def uploads(self) -> list[UploadFile]:
        """The images that were sent."""
        return list(self.images or ())

    def with_uploads(self) -> Query:
        """`query` with the bytes of uploads in the place of their numbers, and the uploads that it does not name."""
        read = [read_upload(image) for image in self.uploads]
        named = [self._upload(term) for term in self.written.terms]
        terms = [
            term if number is None else replace(term, image=read[number])
            for term, number in zip(self.written.terms, named, strict=True)
        ]
        return Query(tuple(terms)).with_terms([image for number, image in enumerate(read) if number not in named])

    def _upload(self, term: Term) -> int | None:
        if term.image is None:
            return None
        numbers = {str(number + 1): number for number in range(len(self.uploads))}
        if term.path not in numbers:
            raise OpenAlignError(
                f"`img:` is followed by the number of an image of the request, which has {len(numbers)}: the first is "
                "`img:1`."
            )
        return numbers[term.path]

    @property
    def texts(self) -> list[str]:
        """What is added and means itself, whatever it looks like."""
        return [self.text, *self.plus] if self.text else self.plus

    @property
    def rows(self) -> list[int]:
        """The rows of the index that it names."""
        named = [term.row for term in self.written.terms if term.row is not None]
        return named if self.row is None else [self.row, *named]

    @property
    def items(self) -> int:
        """Texts and images to embed."""
        texts = len(self.written.terms) + len(self.texts) + len(self.minus)
        return max(1, texts + sum(map(items_of, self.uploads)))


def read_upload(image: UploadFile) -> bytes:
    """The bytes of an uploaded image."""
    return image.file.read()
