"""A search as a client sends it, in the address of a request or in a form."""

from dataclasses import replace
from functools import cached_property
from typing import Annotated, Any, ClassVar

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field

from openalign.errors import OpenAlignError
from openalign.search.query.language import parse_query
from openalign.search.query.terms import Query, Term
from openalign.search.results.against import Against
from openalign.search.results.order import Sort
from openalign.serve.service import IMAGE, MAX_TEXTS, MAX_TOP, Words
from openalign.serve.work.queueing import items_of

Texts = Annotated[list[Words], Field(max_length=MAX_TEXTS)]


class ListingParameters(BaseModel):
    """What is asked for, and how it is answered: arguments of `Index.listing`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    query: Annotated[
        Words, Field(description="A whole query such as `2*at night - people + row:7`; not beside text, plus or minus")
    ] = ""
    plus: Annotated[Texts, Field(description="Texts to add, literally")] = []
    minus: Annotated[Texts, Field(description="Texts to take away, literally")] = []
    row: Annotated[int | None, Field(ge=0, description="An image of the index to add")] = None
    where: Annotated[Texts, Field(description="Conditions such as `date>=2024-05`; all must hold")] = []
    fold: Annotated[bool, Field(description="Whether near-duplicates of a better image are folded into it")] = True
    sort: Annotated[Sort, Field(description="The order of the images that match")] = "score"
    against: Annotated[
        Against,
        Field(description="Compare with the pictures, with their texts, or both (`/info` has `has_texts`)"),
    ] = "image"

    _TAKES_IMAGES: ClassVar[bool] = False

    @cached_property
    def written(self) -> Query:
        """`query`, which may name no file of this machine: an image in it is the number of an upload.

        Raises:
            UsageError: it is no query, or has an image in a request that cannot have any.
        """
        return parse_query(self.query, files=self._TAKES_IMAGES)

    @property
    def texts(self) -> list[str]:
        """What is added and means itself, whatever it looks like."""
        return self.plus

    @property
    def uploads(self) -> list[UploadFile]:
        """The images that were sent."""
        return []

    @property
    def rows(self) -> list[int]:
        """The rows of the index that it names."""
        named = [term.row for term in self.written.terms if term.row is not None]
        return named if self.row is None else [self.row, *named]

    @property
    def items(self) -> int:
        """Texts and images to embed.

        Raises:
            OpenAlignError: there are two queries: `query` has signs of its own.
        """
        if self.query.strip() and (self.texts or self.minus):
            raise OpenAlignError("Give either `query`, which has signs of its own, or `text`, `plus` and `minus`.")
        texts = len(self.written.terms) + len(self.texts) + len(self.minus)
        return max(1, texts + sum(map(items_of, self.uploads)))

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of `Index.search` and `Index.listing`; reads the uploads."""
        how = {"where": self.where, "fold": self.fold, "sort": self.sort, "against": self.against}
        return {"query": self._with_uploads(), "row": self.row, "plus": self.texts, "minus": self.minus, **how}

    def _with_uploads(self) -> Query:
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


class SearchParameters(ListingParameters):
    """The same for `Index.search`."""

    text: Annotated[Words, Field(description="A text to add, literally")] = ""
    top: Annotated[int, Field(ge=1, le=MAX_TOP, description="How many images")] = 24

    @property
    def texts(self) -> list[str]:
        """What is added and means itself, whatever it looks like."""
        return [self.text, *self.plus] if self.text.strip() else self.plus

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of `Index.search`; reads the uploads."""
        return super().arguments | {"top": self.top}


class ListingForm(ListingParameters):
    """A form with images."""

    image: Annotated[
        list[UploadFile],
        Field(max_length=MAX_TEXTS, description=f"{IMAGE} together; the first is `img:1` in `query`"),
    ] = []

    _TAKES_IMAGES: ClassVar[bool] = True

    @property
    def uploads(self) -> list[UploadFile]:
        """The images that were sent."""
        return self.image


class SearchForm(SearchParameters, ListingForm):
    """A form with images."""


def read_upload(image: UploadFile) -> bytes:
    """The bytes of an uploaded image."""
    return image.file.read()
