"""Tables with a column of 0 and 1 for each class, as those of several labels an image are."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from openalign.data.pairs.class_names import in_words
from openalign.data.tables.columns import IMAGE_NAMES, LABEL_NAMES, TEXT_NAMES, is_text, usual_name

_OTHERS = ("", "id", "index", "unnamed:_0", "split", "fold", "width", "height", *IMAGE_NAMES)
"""Columns that such a table may have besides, and one more that names the images."""
_YES, _NO = ("1", "1.0", "true", "True", "TRUE"), ("0", "0.0", "-1", "false", "False", "FALSE", "")
_SAMPLE = 200
_FEWEST = 2


def classes_in(names: Sequence[str], columns: Sequence[Sequence[str | None]]) -> list[str]:
    """The columns that tell of each image whether it is of a class, by their first values; none if others tell more."""
    if usual_name(names, (*TEXT_NAMES, *LABEL_NAMES)) is not None:
        return []
    classes = [name for name, values in zip(names, columns, strict=True) if _are_marks(values)]
    others = [name for name in names if name not in classes and usual_name([name], _OTHERS) is None]
    has_image = len(names) > len(classes)
    return classes if len(classes) >= _FEWEST and len(others) <= 1 and has_image else []


def with_texts_of_classes(table: pa.Table, problems: list[str], where: str) -> pa.Table:
    """The table with a column `text` that lists the classes of each image, if its columns tell these; else itself.

    An image of no class has no text.
    """
    names = table.column_names
    if len(set(names)) < len(names) or len(names) <= _FEWEST or usual_name(names, (*TEXT_NAMES, *LABEL_NAMES)):
        return table
    firsts = [_written(table[name].slice(0, _SAMPLE)) for name in names]
    classes = classes_in(names, firsts)
    marks = {name: _marks(table[name]) for name in classes}
    if not classes or any(each is None for each in marks.values()):
        return table
    texts = np.full(len(table), "", object)
    for name, is_of_class in marks.items():
        assert is_of_class is not None
        texts[is_of_class] = [f"{text}, {in_words(name)}" if text else in_words(name) for text in texts[is_of_class]]
    shown = f"{', '.join(classes[:3])}{', ...' if len(classes) > 3 else ''}"
    problems.append(
        f"{where}: its columns of 0 and 1 ({shown}) are taken for {len(classes):,} classes, and the names of those "
        "with a 1 for the text of an image"
    )
    return table.append_column("text", pa.array([text or None for text in texts], pa.string()))


def _are_marks(values: Sequence[str | None]) -> bool:
    filled = {value.strip() for value in values if value is not None}
    return bool(filled) and filled <= {*_YES, *_NO} and filled != {""}


def _written(column: pa.ChunkedArray) -> list[str | None]:
    """The values of a column of texts, numbers or booleans as texts; none of any other."""
    kind = column.type
    if not (is_text(kind) or pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return []
    return [None if value is None else str(value) for value in column.to_pylist()]


def _marks(column: pa.ChunkedArray) -> NDArray[np.bool_] | None:
    """(N,) whether each value stands for yes; None if some stand for neither."""
    try:
        values = pc.utf8_trim_whitespace(column.cast(pa.string()))
    except (pa.ArrowException, NotImplementedError):  # lists, objects and the like are no marks
        return None
    known = pc.fill_null(pc.is_in(values, pa.array([*_YES, *_NO])), False)
    if not pc.all(pc.or_(known, pc.is_null(values))).as_py():
        return None
    found: NDArray[np.bool_] = pc.fill_null(pc.is_in(values, pa.array(_YES)), False).to_numpy()
    return found
