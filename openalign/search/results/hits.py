"""One result of a search, and all of them."""

from collections.abc import Iterable
from dataclasses import dataclass

from openalign.search.rows import Row


@dataclass(frozen=True)
class Hit:
    """One result of a search."""

    indexed: Row
    """The image, as the index holds it."""
    score: float
    """Cosine similarity of the query and the image, -1 to 1."""
    within: bool = True
    """Whether the image lies inside the mark where matches end (`openalign.search.mark`)."""
    alike: int = 0
    """How many near-duplicates of it are folded into this hit; they meet the conditions of the search too."""

    caption: str | None = None
    """The text of the image that made it a result, where the query was compared with texts and not with the picture."""

    @property
    def row(self) -> int:
        """The row of the image in the index."""
        return self.indexed.row

    @property
    def image(self) -> str:
        """Path or URL, as the image's source names it."""
        return self.indexed.image

    @property
    def text(self) -> str | None:
        """The texts of the image in its source, one a line, if any."""
        return self.indexed.text

    @property
    def texts(self) -> tuple[str, ...]:
        """All texts of the image in its source; `text` has them one a line."""
        return self.indexed.texts

    @property
    def page(self) -> str | None:
        """The URL of the web page with the image, if known."""
        return self.indexed.page

    @property
    def date(self) -> str | None:
        """When it was taken (EXIF), in ISO 8601, if known."""
        return self.indexed.date


class Hits(list[Hit]):
    """The results of a search, best first or in the order that was asked for."""

    def __init__(self, hits: Iterable[Hit] = (), note: str | None = None) -> None:
        super().__init__(hits)
        self.note = note
        """What to know of their order, if anything."""

    @property
    def nothing_matches(self) -> bool:
        """Whether no image lies inside the mark: these are then the most similar ones, which do not match."""
        return not any(hit.within for hit in self)
