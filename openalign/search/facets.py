"""What an index can be filtered by: the months, values and ranges that its images really have, with counts.

What it costs has a bound: SQLite passes over its own columns a few times, columns of the user's table are looked at in
at most `COUNTED` images, and a column with more than `_MOST_DISTINCT` values is no longer counted.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from openalign.search.query.comparison import COLUMNS
from openalign.search.query.matching import folded, number_of
from openalign.search.store import Store

COUNTED = 100_000
"""Images at even intervals whose columns of the user's table are looked at."""
MOST_VALUES = 50
"""Values of a column, the most frequent ones."""
MOST_COLUMNS = 40
"""Columns of the user's table."""
_MOST_MONTHS = 2400
_MOST_DISTINCT = 2000
_MOST_NUMBERS = 12
"""Different numbers up to which a column of numbers is one of values, such as a rating."""
_LONGEST_VALUE = 120
"""Characters; longer texts are descriptions."""


@dataclass(frozen=True)
class Count:
    """A value, and the number of images that have it."""

    value: str
    images: int


@dataclass(frozen=True)
class Values:
    """A column with few values: `folder`, `label` or one of the user's table."""

    column: str
    """As conditions name it."""
    values: list[Count]
    """The most frequent first."""
    more: bool
    """Whether there are further values."""


@dataclass(frozen=True)
class Range:
    """A column of numbers."""

    column: str
    smallest: float
    largest: float


@dataclass(frozen=True)
class Facets:
    """What the images of an index have."""

    images: int
    counted: int
    """Images in which the columns of the user's table were counted."""
    months: list[Count]
    """`2024-05` and so on, sorted; months without an image are missing."""
    dated: int
    """Images with a date."""
    placed: int
    """Images with a place."""
    duplicates: int
    """Images with near-duplicates."""
    columns: list[Values]
    numbers: list[Range]


def facets_of(store: Store) -> Facets:
    """The facets of an opened index.

    Raises:
        DamagedIndex: the table cannot be read.
    """
    months = _counts(store, "substr(date, 1, 7)", "date <> ''", _MOST_MONTHS)
    own = [_few(name, _counts(store, name, f"{name} <> ''", MOST_VALUES + 1)) for name in ("folder", "label")]
    fields, counted = _fields(store)
    columns = [each.values_of() for each in fields if not each.is_numbers]
    ((duplicates,),) = store.select("SELECT count(*) FROM alike")
    ((placed,),) = store.select("SELECT count(*) FROM images WHERE latitude IS NOT NULL AND longitude IS NOT NULL")
    return Facets(
        images=store.meta.images,
        counted=counted,
        months=sorted(months, key=lambda month: month.value),
        dated=sum(month.images for month in months),
        placed=placed,
        duplicates=duplicates,
        columns=[each for each in [*own, *columns] if each is not None and _distinguishes(each, store.meta.images)],
        numbers=[*_own_ranges(store), *(each.range_of() for each in fields if each.is_numbers)],
    )


def _counts(store: Store, column: str, where: str, most: int) -> list[Count]:
    """The most frequent values of one of our own columns."""
    sql = f"SELECT {column}, count(*) FROM images WHERE {where} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {most}"
    return [Count(value, images) for value, images in store.select(sql)]


def _few(column: str, counts: list[Count]) -> Values | None:
    known = [count for count in counts if _can_be_asked(count.value)]
    return Values(column, known[:MOST_VALUES], len(counts) > MOST_VALUES) if known else None


def _can_be_asked(value: str) -> bool:
    """Whether a condition can name the value: it has no blanks at its ends, and `*` alone stands for all."""
    return value == value.strip() and value not in ("", "*") and len(value) <= _LONGEST_VALUE and value.isprintable()


def _distinguishes(values: Values, images: int) -> bool:
    """Whether it is of use: not the same for all images, nor another for nearly each."""
    most = max(count.images for count in values.values)
    return most < images and (most > 1 or not values.more)


def _own_ranges(store: Store) -> list[Range]:
    names = ("width", "height", "bytes")
    ((*ends,),) = store.select(f"SELECT {', '.join(f'min({name}), max({name})' for name in names)} FROM images")
    pairs = zip(names, ends[::2], ends[1::2], strict=True)
    return [Range(name, small, large) for name, small, large in pairs if small is not None and small < large]


@dataclass
class _Field:
    """What is seen of a column of the user's table."""

    column: str
    texts: Counter[str] = field(default_factory=Counter)
    numbers: list[float] = field(default_factory=list)
    """The smallest and the largest one."""
    has_words: bool = False
    given_up: bool = False

    @property
    def is_numbers(self) -> bool:
        """Whether a range is of more use than values; tables of texts have their numbers as texts."""
        many = self.given_up or len(self.texts) > _MOST_NUMBERS
        return bool(self.numbers) and not self.has_words and many and self.numbers[0] < self.numbers[1]

    def see(self, value: object) -> None:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else number_of(text)
        if value is None or text == "":
            return
        if number is None:
            self.has_words = True
        else:
            self.numbers = [min([number, *self.numbers]), max([number, *self.numbers])]
        if not self.given_up:
            self.texts[text] += 1
            self.given_up = len(self.texts) > _MOST_DISTINCT or not _can_be_asked(text)

    def values_of(self) -> Values | None:
        if self.given_up:
            return None
        ordered = sorted(self.texts.items(), key=lambda each: (-each[1], each[0]))
        return _few(self.column, [Count(value, images) for value, images in ordered])

    def range_of(self) -> Range:
        return Range(self.column, *self.numbers)


def _fields(store: Store) -> tuple[list[_Field], int]:
    """The columns of the user's table, and the number of images that were looked at."""
    own = {folded(name) for name in COLUMNS}
    names = store.meta.columns[:MOST_COLUMNS]
    seen = {name: _Field(f"fields.{name}" if folded(name) in own else name) for name in names}
    if not seen:
        return [], store.meta.images
    looked_at = 0
    for columns in _sample(store):
        looked_at += 1
        for name, value in columns.items():
            if name in seen:
                seen[name].see(value)
    return list(seen.values()), looked_at


def _sample(store: Store) -> Iterator[dict[str, object]]:
    step = -(-store.meta.images // COUNTED)
    for (fields,) in store.select("SELECT fields FROM images WHERE row % ? = 0", max(step, 1)):
        yield json.loads(fields) if fields else {}
