"""Settings are data: frozen and strict. An error names the key, where it was given and what is wrong with it."""

import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from openalign.errors import OpenAlignError, UsageError
from openalign.options import as_given, option
from openalign.toml import parse_value
from openalign.validation import requirement, shown

NEAR = 0.6
"""Least similarity (difflib's ratio) of a misspelled key to a key of the same table that is suggested."""
NEAR_ELSEWHERE = 0.75
"""The same for keys of other tables."""


@dataclass(frozen=True)
class Change:
    """One setting that replaces the one of a file, such as `--set image.min_shorter_side=50`."""

    key: str
    """Full name, with the table: `image.min_shorter_side`."""
    value: Any
    given: str
    """As the user gave it, with the option."""


class Settings(BaseModel):
    """Base of every settings class: immutable, no conversion of types, no extra keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    @classmethod
    def read(cls, values: Mapping[str, Any], where: str, changes: Sequence[Change] = ()) -> Self:
        """Validate `values`, which were found at `where` (a file or an option), after `changes` replaced some of them.

        Raises:
            UsageError: a change names an unknown key or has the wrong type.
            OpenAlignError: likewise for a key at `where`, or a key is missing.
        """
        changed: dict[str, Any] = _with_tuples(values)
        for change in changes:
            _assign(changed, change)
        try:
            return cls.model_validate(changed)
        except ValidationError as error:
            problem = _first_problem(error)
            raise _error(cls, problem, where, changes, _has_problem(cls, values, problem)) from None

    def expect_at_least_1(self, *names: str) -> None:
        """Raise ValueError, which pydantic expects of a validator, for a setting of these that is smaller."""
        for name in names:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")

    def expect_between(self, low: float, high: float, *names: str) -> None:
        """Raise ValueError for a setting of these that is smaller than `low` or larger than `high`."""
        for name in names:
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must lie between {low:g} and {high:g}, not at {getattr(self, name)}")

    def expect_more_than_0(self, *names: str) -> None:
        """Raise ValueError for a setting of these that is 0 or smaller."""
        for name in names:
            if not getattr(self, name) > 0:  # so that NaN is refused as well
                raise ValueError(f"{name} must be more than 0, not {getattr(self, name)}")


def changes_of(settings: type[Settings], given: Mapping[str, Any], name: str = "set") -> list[Change]:
    """The changes given as KEY=VALUE by the option `name`. A key that is unique among all tables needs no table's name.

    Raises:
        UsageError: a key without a table is in several tables, or one change replaces another.
    """
    full = full_keys(settings, given, name)
    return [
        Change(full_key, _given_value(value), as_given(name, key, value))
        for full_key, (key, value) in zip(full, given.items(), strict=True)
    ]


def full_keys(settings: type[Settings], given: Mapping[str, Any], name: str = "set") -> dict[str, Any]:
    """The same values under the full names of their keys: `min_shorter_side` becomes `image.min_shorter_side`.

    A table may be followed by changes of single keys in it, but does not replace changes that came before it.

    Raises:
        UsageError: a key without a table is in several tables, or one change replaces another.
    """
    full: dict[str, Any] = {}
    earlier: dict[str, str] = {}
    for key, value in given.items():
        typed = as_given(name, key, value)
        full_key = _full_key(settings, key, typed)
        for other, other_typed in earlier.items():
            if f"{other}.".startswith(f"{full_key}."):
                raise UsageError(f"{other_typed} and {typed} both give `{other}`: leave one of them out.")
        full[full_key], earlier[full_key] = value, typed
    return full


def _given_value(value: Any) -> Any:
    """A value as it was typed, or as a Python program gives it: a number, a list, a path."""
    if isinstance(value, Path):
        return str(value)
    return _with_tuples(parse_value(value) if isinstance(value, str) else value)


def _full_key(settings: type[Settings], key: str, typed: str) -> str:
    """An unknown key is returned as it is: it fails validation, which suggests another."""
    if key.partition(".")[0] in settings.model_fields:
        return key
    found = [known for known, _ in _known_fields(settings) if known.endswith(f".{key}")]
    if len(found) > 1:
        raise UsageError(f"{typed}: `{key}` could be {' or '.join(f'`{known}`' for known in found)}: name the table.")
    return found[0] if found else key


def _key_parts(key: str) -> list[str]:
    """`where."article type"` -> its table and its key, without the quotation marks that TOML needs there."""
    if '"' not in key and "'" not in key:
        return key.split(".")
    try:
        table: Any = tomllib.loads(f"{key} = 0")
    except ValueError:
        return key.split(".")
    parts: list[str] = []
    while isinstance(table, dict):
        [(name, table)] = table.items()
        parts.append(name)
    return parts


def _assign(values: dict[str, Any], change: Change) -> None:
    *tables, last = _key_parts(change.key)
    for table in tables:
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            raise UsageError(f"{change.given}: `{table}` = {values!r} is not a table.")
    values[last] = change.value


def _with_tuples(value: Any) -> Any:
    """A copy with tuples, which frozen settings hold, for lists, the only sequences of TOML and JSON."""
    if isinstance(value, Mapping):
        return {key: _with_tuples(item) for key, item in value.items()}
    return tuple(_with_tuples(item) for item in value) if isinstance(value, list) else value


def _first_problem(error: ValidationError) -> Any:
    # A misspelled key is both unknown and, if it has no default, missing: the first says what to fix.
    kinds = {"extra_forbidden": 0, "missing": 2}
    return min(error.errors(), key=lambda each: kinds.get(each["type"], 1))


def _has_problem(settings: type[Settings], values: Mapping[str, Any], problem: Any) -> bool:
    """Whether the values have this problem without any changes."""
    try:
        settings.model_validate(_with_tuples(values))
    except ValidationError as error:
        return any(each["loc"] == problem["loc"] and each["msg"] == problem["msg"] for each in error.errors())
    return False


def _error(
    settings: type[Settings], problem: Any, where: str, changes: Sequence[Change], before: bool
) -> OpenAlignError:
    """The error for a problem, which was there `before` the changes or not."""
    key = _dotted(problem["loc"])
    message = _message(settings, problem)
    for change in reversed(changes):
        if overlap(change.key, key):
            return UsageError(f"{change.given}: {message}")
    if before or not changes:
        return OpenAlignError(f"{where}: {message}")
    return UsageError(f"{where} with {' '.join(change.given for change in changes)}: {message}")


def overlap(one: str, other: str) -> bool:
    """Whether two keys are the same, or one is a table that holds the other."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def _message(settings: type[Settings], problem: Any) -> str:
    key = _dotted(problem["loc"])
    if problem["type"] == "extra_forbidden":
        return _unknown_key(settings, key)
    if problem["type"] == "missing":
        examples = dict(_known_fields(settings))[key].examples or ()
        return f"the key `{key}` is missing{''.join(f': give it with {option(set={key: each})}' for each in examples)}."
    if problem["type"] == "value_error":  # raised by a validator, whose message names the keys
        return f"{requirement(problem)}."
    return f"`{key}` = {shown(problem['input'])} is not valid: it {requirement(problem)}."


def _unknown_key(settings: type[Settings], key: str) -> str:
    table, _, name = key.rpartition(".")
    best, best_ratio = "", 0.0
    beside: list[str] = []
    for known, _ in _known_fields(settings):
        known_table, _, known_name = known.rpartition(".")
        same_table = known_table == table
        if same_table:
            beside.append(known_name)
        ratio = difflib.SequenceMatcher(None, name, known_name).ratio()
        if ratio >= (NEAR if same_table else NEAR_ELSEWHERE) and ratio > best_ratio:
            best, best_ratio = known, ratio
    if best:
        return f"unknown key `{key}`; the nearest known key is `{best}`."
    holder = f"the keys of [{table}] are" if table else "the keys are"
    return f"unknown key `{key}`; {holder} {', '.join(beside)}."


def _known_fields(settings: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """All fields by the full names of their keys, tables included."""
    for name, field in settings.model_fields.items():
        yield prefix + name, field
        if (table := _table_type(field.annotation)) is not None:
            yield from _known_fields(table, f"{prefix}{name}.")


def _table_type(annotation: Any) -> type[BaseModel] | None:
    """The settings class of a key that is a table; such a table may be optional."""
    types = (annotation, *get_args(annotation))
    return next((each for each in types if isinstance(each, type) and issubclass(each, BaseModel)), None)


def _dotted(location: Sequence[int | str]) -> str:
    return ".".join(str(part) for part in location)
