"""Pages of settings, from the fields and attribute docstrings of their classes, and of the bundled recipes."""

import ast
import inspect
import textwrap
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from tables import row, wrapped

from openalign.settings import Settings
from openalign.toml import format_value

_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}
_SIGNS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}


def settings_page(title: str, settings: type[Settings], introduction: str) -> str:
    """Markdown: a table of the settings of a class, then one for each settings class among its fields."""
    return "\n".join([f"# {title}", "", wrapped(introduction), "", *_tables(settings, "", "")]) + "\n"


def recipes_page(folder: Path) -> str:
    """Markdown: each bundled recipe in full. Its header says the command, the time and the result to expect."""
    lines = [
        "# Bundled recipes",
        "",
        "`openalign train NAME` and `openalign curate --recipe NAME` take these by name; a copy of yours by its path.",
        "",
    ]
    for path in sorted(folder.glob("*.toml")):
        lines += [f"## {path.stem}", "", "```toml", path.read_text(encoding="utf-8").rstrip(), "```", ""]
    return "\n".join(lines) + "\n"


def _tables(settings: type[Settings], table: str, meaning: str) -> Iterator[str]:
    if table:
        yield from (f"## `[{table}]`", "")
        about = " ".join([_first_paragraph(settings), meaning]).strip()
        yield from (wrapped(about), "") if about else ()
    meanings = meanings_of(settings)
    nested = {name: inner for name, field in settings.model_fields.items() if (inner := _table_type(field))}
    if len(settings.model_fields) > len(nested):
        yield from ("| key | type | default | meaning |", "|---|---|---|---|")
        for name, field in settings.model_fields.items():
            if name not in nested:
                default = _default(field)
                yield row(f"`{name}`", _type_of(field), f"`{default}`" if default else "required", meanings[name])
        yield ""
    for name, inner in nested.items():
        yield from _tables(inner, f"{table}.{name}" if table else name, meanings[name])


def meanings_of(settings: type[Settings]) -> dict[str, str]:
    """The docstring under each field of a settings class, on one line; "" where there is none."""
    [declared] = ast.parse(textwrap.dedent(inspect.getsource(settings))).body
    assert isinstance(declared, ast.ClassDef), "the source of a class is a class"
    meanings = dict.fromkeys(settings.model_fields, "")
    for field, below in pairwise(declared.body):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            meanings[ast.unparse(field.target)] = " ".join(str(below.value.value).split())
    return meanings


def _first_paragraph(settings: type[Settings]) -> str:
    return " ".join(inspect.cleandoc(settings.__doc__ or "").split("\n\n")[0].split())


def _table_type(field: FieldInfo) -> type[Settings] | None:
    """The settings class of a field that is a table."""
    kinds = (field.annotation, *get_args(field.annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Settings)), None)


def _type_of(field: FieldInfo) -> str:
    """`integer ≥ 1`, `list of strings`, or the choices."""
    return " ".join(filter(None, [_plain(field.annotation), _limits(field.metadata)]))


def _plain(kind: Any, plural: str = "") -> str:
    origin, parts = get_origin(kind), [each for each in get_args(kind) if each is not NoneType]
    if origin in (Union, UnionType):
        return " or ".join(_plain(part, plural) for part in parts)
    if origin is Annotated:
        metadata = [each for part in parts[1:] for each in getattr(part, "metadata", [part])]
        return " ".join(filter(None, [_plain(parts[0], plural), _limits(metadata)]))
    if origin is Literal:
        return " or ".join(f"`{format_value(choice)}`" for choice in parts)
    if origin is tuple:
        return f"list of {_plain(parts[0], 's')}"
    if origin is dict:
        return f"table of {_plain(parts[1], 's')}"
    return _TYPES[kind] + plural


def _limits(metadata: Iterable[Any]) -> str:
    """`≥ 1, ≤ 100`."""
    found = {name: getattr(each, name) for each in metadata for name in _SIGNS if hasattr(each, name)}
    return ", ".join(f"{sign} {found[name]:,}" for name, sign in _SIGNS.items() if name in found)


def _default(field: FieldInfo) -> str:
    """As it is written in TOML; `none` for None, "" where a value is required."""
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return ""
    return "none" if value is None else format_value(value)
