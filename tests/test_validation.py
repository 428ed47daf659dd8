"""Whatever pydantic refuses is said in our words."""

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import pytest
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import core_schema

import openalign
from openalign.validation import _REQUIREMENTS, requirement, shown


class Table(BaseModel):
    key: int


@dataclass
class Record:
    key: int


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (int, "many", "must be a whole number"),
        (int, 1.5, "must be a whole number"),
        (float, "x", "must be a number"),
        (bool, "perhaps", "must be true or false"),
        (Annotated[int, Field(ge=1)], 0, "must be at least 1"),
        (Annotated[float, Field(gt=0.5)], 0.5, "must be more than 0.5"),
        (Annotated[int, Field(le=65_536)], 70_000, "must be at most 65,536"),
        (Annotated[int, Field(lt=3)], 3, "must be less than 3"),
        (Annotated[float, Field(allow_inf_nan=False)], float("nan"), "must be a finite number"),
        (Annotated[str, Field(max_length=1000)], "a" * 1001, "must have at most 1,000 characters"),
        (Annotated[str, Field(min_length=1)], "", "must have at least 1 characters"),
        (Annotated[list[int], Field(max_length=1)], [1, 2], "must have at most 1 values"),
        (str, 3, "must be a text"),
        (list[int], 3, "must be a list"),
        (tuple[int, ...], 3, "must be a list"),
        (dict[str, int], 3, "must be a table"),
        (Table, 3, "must be a table"),
        (Record, 3, "must be a table"),
        (Table, {}, "is missing"),
        (Literal["a", "b"], "c", "must be 'a' or 'b'"),
        (bytes, 3, "has a value or a type that is not possible here"),
    ],
)
def test_what_is_required_follows_the_name_of_the_field(kind, value, expected):
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(kind).validate_python(value)
    assert requirement(raised.value.errors()[0]) == expected


KINDS = get_args(core_schema.ErrorType)
CONTEXT = {
    **dict.fromkeys(("gt", "ge", "lt", "le", "multiple_of", "max_length", "min_length"), 3),
    "expected": "'a'",
}


def test_every_kind_that_is_translated_exists():
    assert set(_REQUIREMENTS) <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_of_problem_fails_or_passes_pydantics_message_on(kind):
    said = requirement({"type": kind, "msg": "Value error, raw", "ctx": CONTEXT})
    assert said == "raw" if kind == "value_error" else "raw" not in said and said


@pytest.mark.slow
def test_no_module_passes_a_message_of_pydantic_on():
    """`problem["msg"]` is read in one file only; anything else that shows it would show it raw."""
    readers = [
        path.name
        for path in Path(openalign.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and node.slice.value == "msg"
    ]
    assert sorted(set(readers)) == ["settings.py", "validation.py"]  # the settings compare messages with each other


def test_a_long_value_is_cut_off():
    assert shown("x") == "'x'"
    assert len(shown("x" * 10_000)) == 80
