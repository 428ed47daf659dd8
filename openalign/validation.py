"""What a value that pydantic refuses has to be, in our words: its own are about Python, not about what was typed."""

from collections.abc import Callable, Mapping
from typing import Any

_LONGEST_SHOWN = 80
_NOT_A_FILE = "Value error, Expected UploadFile"
"""How FastAPI's message on a text in place of an uploaded file begins, the only one that is not ours."""

_REQUIREMENTS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda _: "is missing",
    "extra_forbidden": lambda _: "is not known",
    "unexpected_keyword_argument": lambda _: "is not known",
    "bool_type": lambda _: "must be true or false",
    "bool_parsing": lambda _: "must be true or false",
    "int_type": lambda _: "must be a whole number",
    "int_parsing": lambda _: "must be a whole number",
    "int_parsing_size": lambda _: "must be a whole number of fewer digits",
    "int_from_float": lambda _: "must be a whole number",
    "float_type": lambda _: "must be a number",
    "float_parsing": lambda _: "must be a number",
    "finite_number": lambda _: "must be a finite number",
    "greater_than": lambda limit: f"must be more than {_number(limit['gt'])}",
    "greater_than_equal": lambda limit: f"must be at least {_number(limit['ge'])}",
    "less_than": lambda limit: f"must be less than {_number(limit['lt'])}",
    "less_than_equal": lambda limit: f"must be at most {_number(limit['le'])}",
    "multiple_of": lambda limit: f"must be a multiple of {_number(limit['multiple_of'])}",
    "string_type": lambda _: "must be a text",
    "string_unicode": lambda _: "must be a text in UTF-8",
    "string_too_long": lambda limit: f"must have at most {limit['max_length']:,} characters",
    "string_too_short": lambda limit: f"must have at least {limit['min_length']:,} characters",
    "too_long": lambda limit: f"must have at most {limit['max_length']:,} values",
    "too_short": lambda limit: f"must have at least {limit['min_length']:,} values",
    "literal_error": lambda limit: f"must be {limit['expected']}",
    "enum": lambda limit: f"must be {limit['expected']}",
    "list_type": lambda _: "must be a list",
    "tuple_type": lambda _: "must be a list",
    "dict_type": lambda _: "must be a table",
    "model_type": lambda _: "must be a table",
    "model_attributes_type": lambda _: "must be a table",
    "dataclass_type": lambda _: "must be a table",
    "none_required": lambda _: "must be left out",
    "json_invalid": lambda _: "is not JSON",
}


def requirement(problem: Mapping[str, Any]) -> str:
    """What is required, to follow the name of the field: `must be at least 1`.

    Args:
        problem: one of `ValidationError.errors()`. The message of a validator of ours is taken as it is.
    """
    kind = problem["type"]
    if kind == "value_error":
        message = str(problem["msg"])
        return "must be an uploaded file" if message.startswith(_NOT_A_FILE) else message.removeprefix("Value error, ")
    found = _REQUIREMENTS.get(kind)
    return found(problem.get("ctx", {})) if found else "has a value or a type that is not possible here"


def shown(value: object) -> str:
    """A value for a message, cut off if it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
