"""Pages of settings, from the attribute docstrings of their classes, and of the bundled recipes, from their files."""

import re
from collections.abc import Iterator
from pathlib import Path

import griffe
from tables import row

ROOT = Path(__file__).parent.parent.parent
_PACKAGE = griffe.load("openalign", search_paths=[str(ROOT)])


def settings_page(title: str, dotted_path: str, introduction: str) -> str:
    """Markdown: a table of the settings of a class, then one for each settings class among its fields."""
    lines = [f"# {title}", "", introduction, ""]
    lines.extend(_tables(_class(dotted_path), ""))
    return "\n".join(lines) + "\n"


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


def _class(dotted_path: str) -> griffe.Class:
    found = _PACKAGE[dotted_path.removeprefix("openalign.")]
    found = found.final_target if isinstance(found, griffe.Alias) else found
    assert isinstance(found, griffe.Class), f"{dotted_path} is no class"
    return found


def _tables(settings: griffe.Class, table: str) -> Iterator[str]:
    if table:
        yield from (f"## `[{table}]`", "")
        if settings.docstring:
            yield from (" ".join(settings.docstring.value.split("\n\n")[0].split()), "")
    fields = {name: field for name, field in settings.attributes.items() if _is_setting(name, field)}
    nested = {name: inner for name, field in fields.items() if (inner := _settings_class(field)) is not None}
    if len(fields) > len(nested):
        yield from ("| key | type | default | meaning |", "|---|---|---|---|")
        yield from (_row(name, field) for name, field in fields.items() if name not in nested)
        yield ""
    for name, inner in nested.items():
        yield from _tables(inner, f"{table}.{name}" if table else name)


def _is_setting(name: str, field: griffe.Attribute) -> bool:
    is_field = field.annotation is not None and "property" not in field.labels
    return is_field and not name.startswith("_") and "ClassVar" not in str(field.annotation)


def _settings_class(field: griffe.Attribute) -> griffe.Class | None:
    """The settings class of this package that a field holds, where it holds one."""
    names = field.annotation.iterate(flat=True) if isinstance(field.annotation, griffe.Expr) else ()
    for name in names:
        if isinstance(name, griffe.ExprName) and name.canonical_path.startswith("openalign."):
            found = _PACKAGE[name.canonical_path.removeprefix("openalign.")]
            if found.is_class:
                return _class(name.canonical_path)
    return None


def _row(name: str, field: griffe.Attribute) -> str:
    text = " ".join(field.docstring.value.split()) if field.docstring else ""
    default, limits = _default_and_limits(field)
    meaning = f"{text} ({limits})" if text and limits else text or limits
    return row(f"`{name}`", f"`{field.annotation}`", f"`{default}`" if default else "required", meaning)


_SIGNS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}


def _default_and_limits(field: griffe.Attribute) -> tuple[str, str]:
    """The default as it is written, "" for none, and the limits that `Field(...)` gives."""
    value = field.value
    if not (isinstance(value, griffe.ExprCall) and str(value.function).endswith("Field")):
        return _written(str(value)) if value is not None else "", ""
    given = {each.name: str(each.value) for each in value.arguments if isinstance(each, griffe.ExprKeyword)}
    positional = [str(each) for each in value.arguments if not isinstance(each, griffe.ExprKeyword)]
    default = given.get("default", positional[0] if positional else "")
    if "default_factory" in given:
        default = {"dict": "{}", "list": "[]", "tuple": "()"}.get(given["default_factory"], given["default_factory"])
    limits = ", ".join(f"{sign} {given[name]}" for name, sign in _SIGNS.items() if name in given)
    return _written(default), limits


def _written(default: str) -> str:
    """`8 << 20` as the number it is; strings and names as they are written."""
    if re.fullmatch(r"\d[\d_]*( (<<|\*) \d[\d_]*)+", default):
        return str(eval(default))  # digits and two operators, nothing else
    return default
