"""What the routes of one service share: index, queue and metrics; parameters with their limits."""

from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import File, Form, Query, UploadFile
from pydantic import AfterValidator, StringConstraints

from openalign.search.index import Index
from openalign.search.results.against import Against
from openalign.search.results.order import Sort
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
MAX_LABELS = 100
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
_ALONE = "A whole query; not beside text, plus or minus"

Text = Annotated[Words, Query()]
Texts = Annotated[list[Words], Query(max_length=MAX_TEXTS, default_factory=list)]
QueryText = Annotated[Words, Query(description=_ALONE)]
Row = Annotated[int | None, Query(ge=0)]
Where = Annotated[
    list[Words],
    Query(max_length=MAX_TEXTS, default_factory=list, description="Conditions such as `date>=2024-05`; all must hold"),
]
Fold = Annotated[bool, Query(description="Whether near-duplicates of a better hit are folded into it")]
AgainstWhat = Annotated[Against, Query(description="Compare with the images, with their texts or with both")]
SortBy = Annotated[Sort, Query(description="The order of the images that match")]
Top = Annotated[int, Query(ge=1, le=MAX_TOP)]

TextField = Annotated[Words, Form()]
TextsField = Annotated[list[Words], Form(max_length=MAX_TEXTS, default_factory=list)]
QueryField = Annotated[Words, Form(description=_ALONE)]
WhereField = Annotated[list[Words], Form(max_length=MAX_TEXTS, default_factory=list)]
FoldField = Annotated[bool, Form()]
AgainstField = Annotated[Against, Form()]
SortField = Annotated[Sort, Form()]
RowField = Annotated[int | None, Form(ge=0)]
TopField = Annotated[int, Form(ge=1, le=MAX_TOP)]
LabelsField = Annotated[list[Words], Form(min_length=1, max_length=MAX_LABELS)]
_IMAGE = "JPEG, PNG, WebP, GIF or BMP, at most 20 MB"
Upload = Annotated[UploadFile | None, File(description=_IMAGE)]
Uploads = Annotated[
    list[UploadFile],
    File(max_length=MAX_TEXTS, default_factory=list, description=f"{_IMAGE} together; the first is `img:1` in `query`"),
]


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
