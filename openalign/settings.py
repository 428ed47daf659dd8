"""Settings are data: frozen, strict, and an unknown key is an error that names the nearest known one."""

import difflib
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from openalign.errors import OpenAlignError


class Settings(BaseModel):
    """Base of every settings class: immutable, no conversion of types, no extra keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    @classmethod
    def read(cls, values: Mapping[str, Any], where: str) -> Self:
        """Validate `values` that were found at `where` (a file or an option).

        Raises:
            OpenAlignError: the first key that is unknown, missing or of the wrong type, and what to write instead.
        """
        try:
            return cls.model_validate(_with_tuples(values))
        except ValidationError as error:
            raise OpenAlignError(f"{where}: {_sentence(cls, error)}") from None

    def expect_at_least_1(self, *names: str) -> None:
        """Raise ValueError, which pydantic expects of a validator, for a setting of these that is smaller."""
        for name in names:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")

    def expect_more_than_0(self, *names: str) -> None:
        """Raise ValueError for a setting of these that is 0 or smaller."""
        for name in names:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be more than 0, not {getattr(self, name)}")


def _with_tuples(value: Any) -> Any:
    """TOML and JSON know only lists; frozen settings hold tuples."""
    if isinstance(value, Mapping):
        return {key: _with_tuples(item) for key, item in value.items()}
    return tuple(_with_tuples(item) for item in value) if isinstance(value, list) else value


def _sentence(settings: type[BaseModel], error: ValidationError) -> str:
    # A misspelled key is both unknown and, if it has no default, missing: the first says what to mend.
    problem = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = _known_keys(settings)
        nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
        return f"unknown key `{key}`; the nearest known key is `{nearest[0]}`."
    if problem["type"] == "missing":
        return f"the key `{key}` is missing."
    if problem["type"] == "value_error":  # of a rule that concerns several keys; its message names them
        return f"{problem['msg'].removeprefix('Value error, ')}."
    return f"`{key}` = {problem['input']!r} does not fit: {problem['msg'][0].lower()}{problem['msg'][1:]}."


def _known_keys(settings: type[BaseModel], prefix: str = "") -> list[str]:
    keys: list[str] = []
    for name, field in settings.model_fields.items():
        keys.append(prefix + name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys.extend(_known_keys(field.annotation, f"{prefix}{name}."))
    return keys
