"""The classes of zero-shot classification: their names, and what a label column holds for each.

Classes are counted from 0, so that two of them may have the same name, as "missile" and "sunglasses" do among CLIP's
names of the 1,000 classes of ImageNet.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openalign.data.files.json_files import check_file, read_json
from openalign.errors import OpenAlignError, UsageError
from openalign.options import option

MOST_LABEL_BYTES = 16 * 2**20
"""Largest file of labels; one with the 21,841 classes of ImageNet-21k has 1 MB."""
_NUMBER = re.compile(r"-?\d+(\.0*)?")
_ID = re.compile(r"-?\d+(\.0*)?|n\d{8}")
"""Values that name no class: numbers and WordNet ids."""


@dataclass(frozen=True)
class Classes:
    """C classes to choose from."""

    names: tuple[str, ...]
    """(C,) names, as they are put into prompts; a name may occur twice."""
    values: tuple[str, ...] | None = None
    """(C,) what a label column or a class folder holds for each, all different; None: the name, or the number."""

    @property
    def shown(self) -> tuple[str, ...]:
        """(C,) a different name for each class: `crane`, or `crane (134)` if another class is called so too."""
        times = Counter(self.names)
        values = self.values or tuple(str(number) for number in range(len(self.names)))
        shown = zip(self.names, values, strict=True)
        return tuple(name if times[name] == 1 else f"{name} ({value})" for name, value in shown)


Labels = Sequence[str] | Mapping[str, str] | Path | Classes
"""Names in the order of the classes; or value -> name; or a file of either (see `read_labels`)."""


def classes_of(labels: Labels) -> Classes:
    """The classes that a caller gave, checked.

    Raises:
        UsageError: there is no label, or an empty one.
        OpenAlignError: see `read_labels`.
    """
    if isinstance(labels, Classes):
        return labels
    if isinstance(labels, Path):
        return read_labels(labels)
    if isinstance(labels, str) or not isinstance(labels, Sequence | Mapping):
        raise UsageError("Give the labels as a list of names, as a mapping of values to names, or as a pathlib.Path.")
    return _checked(labels, "zero-shot classification", UsageError)


def labels_in(text: str) -> list[str]:
    """`a, b` -> `["a", "b"]`; a name with a comma in it stands in double quotes.

    Raises:
        UsageError: a quotation mark is not closed.
    """
    try:
        rows = list(csv.reader(io.StringIO(" ".join(text.splitlines())), skipinitialspace=True, strict=True))
    except csv.Error:
        raise UsageError(
            f"the labels {text!r} cannot be split: put a name with a comma in it into double quotes, as in "
            'cat,"Bonaire, Saint Eustatius and Saba".'
        ) from None
    return [name.strip() for row in rows for name in row]


def read_labels(path: Path) -> Classes:
    """The classes of a file.

    - `.csv` or `.tsv`: a header, then a class a row; the column `name` has its name, the first other column what the
      label column or the class folder holds for it.
    - `.json`: a list of names, or an object from values to names.
    - any other: a name a line.

    Raises:
        OpenAlignError: the file cannot be read, exceeds 16 MB or is of another form; it has no class, an empty name, or
            a value twice; the message has the line.
    """
    suffix = path.suffix.lower()
    if suffix == ".json":
        return _checked(read_json(path, MOST_LABEL_BYTES), str(path))
    text = _text_of(path)
    if suffix in (".csv", ".tsv"):
        return _classes_of_table(path, text, "\t" if suffix == ".tsv" else ",")
    return _checked([line.strip() for line in text.rstrip().splitlines()], str(path))


def classes_by_id(classes: Classes | None, name_of: Mapping[str, str]) -> Classes | None:
    """The classes by the ids that a label column held before it was read with names; None if they are meant by name.

    Args:
        classes: those that the caller gave; None takes those of the data.
        name_of: id -> name, of the classes in the data.
    """
    ids = sorted(name_of, key=lambda value: (int(value), value) if value.isdecimal() else (0, value))
    own = Classes(tuple(name_of[value] for value in ids), tuple(ids))
    if classes is None or (classes.values is None and classes.names == own.names):
        return own
    if classes.values is not None:
        return classes if set(classes.values) & set(name_of) else None
    other_names = not set(classes.names) & set(own.names)
    if other_names and all(value.isdecimal() and int(value) < len(classes.names) for value in ids):
        return Classes(classes.names, tuple(str(number) for number in range(len(classes.names))))
    return None


def class_numbers(
    classes: Classes | None, values: Iterable[str], where: str
) -> tuple[Classes, dict[str, int], list[str]]:
    """The classes, the number of the class that each of the distinct `values` of a label column means, and notes.

    Args:
        classes: None takes the values as names.
        values: distinct, not empty.
        where: the column, for messages.

    Raises:
        OpenAlignError: the values are numbers or WordNet ids, and `classes` gives no names for them; or they count
            from 1.
    """
    found = sorted(values)
    if classes is None:
        if found and all(_ID.fullmatch(value) for value in found):
            raise OpenAlignError(
                f"{where} holds ids such as {found[0]!r}, not names that a text could have: give the names, in the "
                f"order of the numbers or as a table of ids and names, with {option('label_file')}."
            )
        return Classes(tuple(found), tuple(found)), {value: number for number, value in enumerate(found)}, []
    if classes.values is not None and not set(found) & set(classes.values):  # names, from a table beside the data
        return _classes_by_name(classes, where)
    if classes.values is not None:
        return classes, {value: number for number, value in enumerate(classes.values)}, []
    if all(map(_NUMBER.fullmatch, found)) and not set(found) <= set(classes.names):
        return classes, _numbers_counted_from_0(found, len(classes.names), where), []
    return _classes_by_name(classes, where)


def _classes_by_name(classes: Classes, where: str) -> tuple[Classes, dict[str, int], list[str]]:
    """Classes whose name is what the column holds: those of the same name cannot be told apart, and are one."""
    names = tuple(dict.fromkeys(classes.names))
    repeated = [name for name, times in Counter(classes.names).items() if times > 1]
    notes = []
    if repeated:
        notes.append(
            f"{where} holds names, so that the classes that are both called {repeated[0]!r} count as one; "
            f"{len(names)} classes are left."
        )
    return Classes(names, names), {name: number for number, name in enumerate(names)}, notes


def _numbers_counted_from_0(values: Sequence[str], count: int, where: str) -> dict[str, int]:
    numbers = {value: int(float(value)) for value in values}
    if max(numbers.values()) == count and min(numbers.values()) > 0:
        raise OpenAlignError(
            f"{where} counts from 1 to {count}, and a list of labels counts from 0: give a table of numbers and names."
        )
    return {value: number for value, number in numbers.items() if 0 <= number < count}


def _classes_of_table(path: Path, text: str, delimiter: str) -> Classes:
    rows = csv.reader(io.StringIO(text), delimiter=delimiter)
    header = [name.strip().lower() for name in next(rows, [])]
    if "name" not in header or len(header) < 2:
        raise OpenAlignError(
            f"{path} line 1: a table of labels needs a header with the column `name` and one for the values, such as "
            f"{delimiter.join(('folder', 'name'))!r}; it has {delimiter.join(header)!r}."
        )
    name_at = header.index("name")
    value_at = 1 if name_at == 0 else 0
    found: dict[str, str] = {}
    for row in rows:
        if not any(cell.strip() for cell in row):
            continue
        line = f"{path} line {rows.line_num}"
        if len(row) != len(header):
            raise OpenAlignError(f"{line} has {len(row)} fields where {len(header)} are expected.")
        value = row[value_at].strip()
        if not value or value in found:
            raise OpenAlignError(f"{line}: the value {value!r} is {'given twice' if value else 'empty'}.")
        found[value] = row[name_at]
    return _checked(found, str(path))


def _checked(labels: Any, where: str, error: type[OpenAlignError] = OpenAlignError) -> Classes:
    """A list of names or a mapping of values to names, of any origin, as classes."""
    mapped = isinstance(labels, Mapping)
    if not mapped and (isinstance(labels, str) or not isinstance(labels, Sequence)):
        raise error(f"{where}: must hold a list of names, or an object from values to names.")
    names = list(labels.values()) if mapped else list(labels)
    if not names:
        raise error(f"{where}: needs at least one label.")
    for number, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            key = repr(list(labels)[number]) if mapped else f"{number}, counted from 0,"
            raise error(f"{where}: the label of class {key} is {name!r}; it must be a text that is not empty.")
    values = tuple(str(value).strip() for value in labels) if mapped else None
    return Classes(tuple(name.strip() for name in names), values)


def _text_of(path: Path) -> str:
    check_file(path, MOST_LABEL_BYTES)
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise OpenAlignError(f"{path}: not UTF-8 at byte {error.start}: save it as UTF-8.") from None
    except OSError as error:
        raise OpenAlignError(f"{path}: cannot be read ({error.strerror}).") from None
