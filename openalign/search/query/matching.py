"""How conditions compare values: functions that SQLite calls, for what its own comparisons cannot do.

Texts are compared without regard to upper and lower case, and to how accents are encoded. In a pattern `*` stands for
any characters and `?` for one.
"""

import fnmatch
import math
import re
import sqlite3
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from operator import ge, gt, le, lt
from typing import Any

Number = int | float

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_LONGEST_NUMBER = 40
"""Characters; more digits are an identifier, not a quantity."""
_DATE = re.compile(r"(\d{4}-\d\d(?:-\d\d(?:[T ]\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?)?)?)(?:Z|[+-]\d\d:?\d\d)?", re.ASCII)
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}
AFTER_ALL = "~"
"""Sorts after every character of a date: 2024-05~ follows all that begins with 2024-05."""
_EARTH_KM = 6371.0088
_CACHED = 4096
"""Values whose comparison is remembered: folders and labels come again and again."""


def add_functions(connection: sqlite3.Connection) -> None:
    """Give a connection the functions that the SQL of conditions calls."""
    connection.create_function("openalign_matches", 3, _matches, deterministic=True)
    connection.create_function("openalign_compares", 4, _compares, deterministic=True)
    connection.create_function("openalign_km", 4, _km, deterministic=True)


def folded(text: str) -> str:
    """The same string for texts that differ only in upper and lower case or in how accents are encoded."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def number_of(text: str) -> Number | None:
    """The number that a text is; None if it is none, or too long or too large for one."""
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        return None
    try:
        whole = int(text)
    except ValueError:
        value = float(text)
        return value if math.isfinite(value) else None
    return within_int64(whole)


def within_int64(value: Number) -> Number:
    """A number that SQLite can take: an integer beyond its 64 bits becomes a float."""
    return value if abs(value) < 2**63 else float(value)


def date_of(text: str) -> str | None:
    """A date or a month with or without a time, in the form that sorts, without its offset; None if it is none."""
    found = _DATE.fullmatch(text)
    return found[1].replace(" ", "T") if found else None


def date_compares(date: str, operator: str, wanted: str) -> bool:
    """Compare with all the time that `wanted` stands for: a year, a month, a day, an hour, a minute or a second."""
    if operator == "=":
        return date.startswith(wanted)
    return _ORDERS[operator](date, wanted + AFTER_ALL if operator in ("<=", ">") else wanted)


@lru_cache(maxsize=256)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(folded(text).replace("[", "[[]")))


def _matches(kind: str, pattern: str, value: object) -> bool:
    """Whether a text matches a pattern.

    As `whole` it does as it is, as `lines` by any of its lines, as `path` also by its end after a slash, and as
    `folder` by a run of its parts.
    """
    if not isinstance(value, str):
        return False
    if kind == "folder":
        return _folder_matches(pattern, value)
    compiled, text = _pattern(pattern), folded(value)
    if compiled.match(text):
        return True
    if kind == "lines":
        return any(compiled.match(line) for line in text.split("\n"))
    return kind == "path" and any(compiled.match(text, each.end()) for each in re.finditer("/", text))


@lru_cache(maxsize=_CACHED)
def _folder_matches(pattern: str, folder: str) -> bool:
    patterns = [_pattern(part) for part in pattern.strip("/").split("/")]
    parts = folded(folder).strip("/").split("/")
    starts = range(len(parts) - len(patterns) + 1)
    return any(
        all(each.match(part) for each, part in zip(patterns, parts[start:], strict=False))
        for start in (starts[:1] if pattern.startswith("/") else starts)
    )


@dataclass(frozen=True)
class Wanted:
    """What a condition compares with: a text, which may be a number, a date, or (a year) both."""

    text: str
    number: Number | None
    date: str | None

    @classmethod
    def of(cls, text: str) -> "Wanted":
        year = text if re.fullmatch(r"\d{4}", text, re.ASCII) else None
        return cls(folded(text), number_of(text), date_of(text) or year)


wanted_of = lru_cache(maxsize=256)(Wanted.of)


@lru_cache(maxsize=_CACHED)
def _compares(operator: str, wanted: str, kind: str, value: object) -> bool:
    """Compare a value of a JSON object, whose type there is `kind`: numbers with numbers, dates with dates, texts with
    texts. An equal one may also match as a pattern.
    """
    text = kind if kind in ("true", "false") else str(value)
    given = wanted_of(wanted)
    if operator == "=" and _pattern(wanted).match(folded(text)):
        return True
    number = value if kind in ("integer", "real") else number_of(text)
    if number is not None:
        return given.number is not None and _number_compares(number, operator, given.number)
    date = date_of(text) if kind == "text" else None
    if date is not None:
        return given.date is not None and date_compares(date, operator, given.date)
    is_text = kind == "text" and given.number is None and given.date is None
    return is_text and operator != "=" and _ORDERS[operator](folded(text), given.text)


def _number_compares(number: object, operator: str, wanted: Number) -> bool:
    return number == wanted if operator == "=" else _ORDERS[operator](number, wanted)


def _km(latitude: object, longitude: object, other_latitude: float, other_longitude: float) -> float | None:
    """The distance of two places in kilometres, by the haversine formula on a sphere."""
    if not isinstance(latitude, int | float) or not isinstance(longitude, int | float):
        return None
    here, there = math.radians(latitude), math.radians(other_latitude)
    turned = math.radians(longitude - other_longitude)
    chord = math.sin((here - there) / 2) ** 2 + math.cos(here) * math.cos(there) * math.sin(turned / 2) ** 2
    return 2 * _EARTH_KM * math.asin(math.sqrt(min(1.0, chord)))
