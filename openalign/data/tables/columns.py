"""The image and text columns of a table, by what they hold and their usual names, or as given."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from openalign.errors import OpenAlignError
from openalign.options import option

IMAGE_NAMES = (
    *("image", "img", "images", "picture", "photo", "jpg", "jpeg", "png", "webp"),
    *("file", "filepath", "file_name", "file_path", "filename", "path"),
    *("image_path", "img_path", "image_file", "image_filename", "image_name", "image_url", "img_url", "url", "uri"),
)
_NAMES_OF_BYTES = re.compile(
    r"((image|img|picture|photo|jpe?g|png|webp)[ _-]*)?(bytes|content|contents|data|binary|blob|raw_bytes)",
    re.IGNORECASE,
)
"""Names of columns of bytes that hold images: `content` where Spark read files, `image_bytes`, `jpg_data`."""
TEXT_NAMES = (
    *("text", "caption", "captions", "sentences", "sentence", "raw", "title", "alt", "alt_text"),
    *("description", "prompt", "comment", "caption_str", "regions", "phrase"),
    *("findings", "impression"),
    *("conversations", "conversation", "messages"),
)
LABEL_NAMES = (
    *("label", "labels", "fine_label", "class", "category", "class_name", "label_name", "category_name"),
    *("class_id", "classid", "label_id", "category_id", "class_idx", "label_idx", "wnid", "target"),
)
TEXT_FIELDS = ("raw", "text", "caption", "phrase")
"""Fields of an object whose text is the caption: Karpathy's splits write `raw`, Visual Genome's regions `phrase`."""

_MOST_LISTED = 100


@dataclass(frozen=True)
class Columns:
    """What is taken for what in a table."""

    image: str
    text: str | None
    label: str | None
    notes: tuple[str, ...] = ()
    """What the user should know: other columns that could have been taken."""


def choose_columns(
    schema: pa.Schema,
    image_column: str | None = None,
    text_column: str | None = None,
    *,
    need_text: bool = True,
    where: str = "the table",
) -> Columns:
    """The columns to take: as given, else by what they hold, then by their usual names in order.

    A column that holds pictures comes before columns of paths and URLs, one that holds texts before one of numbers. A
    label is a text only if nothing else is. Raises `OpenAlignError` naming `where` if a column is missing.
    """
    names = schema.names
    pictures = [name for name in names if _holds_pictures(schema, name)]
    texts = [name for name in names if _holds_texts(schema, name)]
    image = image_column or usual_name(pictures, IMAGE_NAMES) or (pictures[0] if len(pictures) == 1 else None)
    usual = usual_name([name for name in names if _can_name_images(schema, name)], IMAGE_NAMES)
    image, _ = find_columns(names, image or usual, need_text=False, where=where)
    others = [name for name in texts if name != image]
    text = text_column or usual_name(others, TEXT_NAMES)
    label = usual_name(names, LABEL_NAMES)
    notes: list[str] = []
    if text is None and need_text and usual_name(names, TEXT_NAMES) is None and label in others:
        text = label
        notes.append(f"{where}: its column `{label}` is taken for the texts, since there is no other")
    _, text = find_columns(names, image, text, need_text=need_text, where=where)
    rivals = [name for name in others if name != text and usual_name([name], TEXT_NAMES)]
    if rivals and text_column is None and text is not None:
        listed = ", ".join(f"`{name}`" for name in rivals)
        notes.append(f"{where}: texts are taken from `{text}`; {listed} could be taken with {option('text_column')}")
    rivals = [name for name in pictures if name != image]
    if rivals and image_column is None:
        listed = ", ".join(f"`{name}`" for name in rivals)
        notes.append(f"{where}: images are taken from `{image}`; {listed} could be taken with {option('image_column')}")
    return Columns(image, text, label, tuple(notes))


def find_columns(
    names: Sequence[str],
    image_column: str | None = None,
    text_column: str | None = None,
    *,
    need_text: bool = True,
    where: str = "the table",
) -> tuple[str, str | None]:
    """The image and the text column among `names`: as given, else the first with a usual name, in any case.

    The text column is None if none is found and `need_text` is false. Raises `OpenAlignError` naming `where`.
    """
    image = _find(names, image_column, IMAGE_NAMES, "image", where)
    if text_column is None and not need_text and not usual_name(names, TEXT_NAMES):
        return image, None
    return image, _find(names, text_column, TEXT_NAMES, "text", where)


def with_named_columns(
    table: pa.Table, where: str, image_column: str | None, text_column: str | None, need_text: bool
) -> pa.Table:
    """The columns `image` and `text` as strings, then the others. Raises `OpenAlignError` naming `where`."""
    names = table.column_names
    image, text = find_columns(names, image_column, text_column, need_text=need_text, where=where)
    columns = {"image": _strings(table, image, where)}
    columns["text"] = pa.nulls(len(table), pa.string()) if text is None else _strings(table, text, where)
    seen: Counter[str] = Counter()
    for name, column in zip(names, table.columns, strict=True):
        if name not in (image, text, "image", "text"):
            seen[name] += 1
            columns.setdefault(f"{name} ({seen[name]})" if seen[name] > 1 else name, column)
    return pa.table(columns)


def usual_name(names: Sequence[str], usual: Sequence[str]) -> str | None:
    """The first of `names` that is called one of `usual`, in the order of `usual`, in any case: `Image Path`."""
    by_lower = {re.sub(r"[\s_-]+", "_", name.strip().lower()): name for name in reversed(names)}
    return next((by_lower[name] for name in usual if name in by_lower), None)


def field_of(table: pa.Table, name: str) -> pa.ChunkedArray:
    """A column; `alt.en` is the field `en` of a column `alt` of objects, if no column has that name."""
    outer, _, inner = (name, "", "") if name in table.column_names else name.partition(".")
    column = table[outer]
    number = column.type.get_field_index(inner) if inner and pa.types.is_struct(column.type) else -1
    # by its number, since a name that begins with a dot would be read as a path
    return column if number < 0 else pc.struct_field(column, number)


def _first_type(schema: pa.Schema, name: str) -> pa.DataType:
    """The type of the first column of that name; `schema.types` would list those of all."""
    return schema.field(schema.get_all_field_indices(name)[0]).type


def _holds_pictures(schema: pa.Schema, name: str) -> bool:
    kind = _first_type(schema, name)
    if is_list(kind):
        kind = kind.value_type
    if pa.types.is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0 and _is_binary(kind.field("bytes").type))
    is_called_so = usual_name([name], IMAGE_NAMES) is not None or _NAMES_OF_BYTES.fullmatch(name.strip()) is not None
    return _is_binary(kind) and is_called_so


def _can_name_images(schema: pa.Schema, name: str) -> bool:
    kind = _first_type(schema, name)
    kind = kind.value_type if is_list(kind) else kind
    return is_text(kind) or pa.types.is_struct(kind)


def _holds_texts(schema: pa.Schema, name: str) -> bool:
    kind = _first_type(schema, name)
    while is_list(kind):
        kind = kind.value_type
    if pa.types.is_struct(kind):
        return any(kind.get_field_index(field) >= 0 for field in TEXT_FIELDS)
    return is_text(kind) and not pa.types.is_null(kind)


def is_list(kind: pa.DataType) -> bool:
    """Whether a type is one of lists."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def is_text(kind: pa.DataType) -> bool:
    """Whether a type is one of texts, of a dictionary of texts, or of nothing but null."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    return any(is_kind(kind) for is_kind in texts)


def _is_binary(kind: pa.DataType) -> bool:
    binaries = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
    return any(is_kind(kind) for is_kind in binaries)


def _strings(table: pa.Table, name: str, where: str) -> pa.ChunkedArray:
    column = field_of(table, name)
    if not is_text(column.type):
        named = pa.types.is_struct(column.type) and len(column.type) > 0
        fields = f": name one of its fields, as {_listed([f'{name}.{column.type[0].name}'])}" if named else ""
        raise OpenAlignError(f"{where}: column {name!r} holds {_type_name(column.type)}, not text{fields}")
    return column.cast(pa.string())


def _type_name(kind: pa.DataType) -> str:
    return "objects" if pa.types.is_struct(kind) else "lists" if pa.types.is_nested(kind) else f"{kind} values"


def _find(names: Sequence[str], given: str | None, usual: Sequence[str], role: str, where: str) -> str:
    found = usual_name(names, usual) if given is None else _given(names, given)
    if found is None and given is not None:
        raise OpenAlignError(f"{where} has no column {given!r}; its columns are {_listed(names)}")
    if found is None:
        raise OpenAlignError(
            f"{where} has no {role} column ({', '.join(usual)}); its columns are {_listed(names)}: "
            f"name one with {option(f'{role}_column')}, or the setting {role}_column"
        )
    if list(names).count(found) > 1:
        raise OpenAlignError(f"{where} has two columns called {found!r}: rename one")
    return found


def _listed(names: Sequence[str]) -> str:
    """The names in a message: in one line, however many there are and whatever they hold."""
    shown = [name if name.isprintable() and len(name) <= 80 else repr(name[:80]) for name in names[:_MOST_LISTED]]
    return ", ".join(shown) + (f" and {len(names) - _MOST_LISTED:,} more" if len(names) > _MOST_LISTED else "")


def _given(names: Sequence[str], given: str) -> str | None:
    """The column that the user named: exactly, or as a field of one, or but for blanks around the name and case."""
    if given in names or given.partition(".")[0] in names:
        return given
    near = [name for name in names if name.strip().lower() == given.strip().lower()]
    return near[0] if len(near) == 1 else None
