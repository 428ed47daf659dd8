"""What the routes of one service share: index, queue, metrics, and the limits of what clients send."""

from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import AfterValidator, StringConstraints

from openalign.search.index import Index
from openalign.serve.current import CurrentIndex
from openalign.serve.failures import NoSuchRow
from openalign.serve.links import Links
from openalign.serve.metrics import Metrics
from openalign.serve.wire import Problem
from openalign.serve.work.queueing import WorkQueue

MAX_TOP = 200
MAX_TEXT = 1000
"""Characters; the model reads the first 64 word pieces."""
MAX_TEXTS = 16
PREFIXES = ("", "/api")
"""Every route stands under both; the search page asks those under `/api`."""
FAILURES: dict[int | str, dict[str, Any]] = {"4XX": {"model": Problem}, "5XX": {"model": Problem}}


def encodable(text: str) -> str:
    """The text; ValueError if it has half a surrogate pair, which JSON may hold and no tokenizer takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("must be a text in UTF-8") from None
    return text


Words = Annotated[str, StringConstraints(max_length=MAX_TEXT), AfterValidator(encodable)]
"""A text of a client's."""
IMAGE = "JPEG, PNG, WebP, GIF or BMP, at most 20 MB"
FORM = "multipart/form-data"


@dataclass(frozen=True)
class Service:
    """One index folder that is served."""

    current: CurrentIndex
    """Its model is a `SharedModel`."""
    queue: WorkQueue
    metrics: Metrics = field(default_factory=Metrics)
    links: Links = field(default_factory=Links)
    writable: bool = False
    """Whether clients may save queries: those of this machine, or those with the key."""

    @property
    def index(self) -> Index:
        """As it is now; a request that reads more than once keeps it."""
        return self.current.index

    def check(self, row: int) -> None:
        """Raise `NoSuchRow` unless the index has this row."""
        if not self.index.store.holds(row):
            raise NoSuchRow(f"There is no image {row}: the index has 0 to {self.index.store.meta.rows - 1}.")
