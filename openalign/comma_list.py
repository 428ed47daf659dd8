"""Settings that are lists of names: `languages = ["en", "de"]` in a recipe, or `languages=en,de` after `--set`."""

from typing import Annotated, Any

from pydantic import BeforeValidator


def _names(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(name for name in (each.strip() for each in value.split(",")) if name)
    return tuple(value) if isinstance(value, list) else value


CommaList = Annotated[tuple[str, ...], BeforeValidator(_names)]
"""The type of such a setting: a tuple of names. Written to a file it is a list."""
