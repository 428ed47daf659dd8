"""Names of classes where a Hugging Face dataset stores their numbers (`ClassLabel`).

They are in the schema's metadata of Parquet and Arrow files, in `dataset_info.json` of a dataset saved to disk, and in
the YAML at the start of the `README.md` of a dataset on the hub.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from openalign.data.left_out import Kind, LeftOut
from openalign.data.tables.columns import is_list
from openalign.data.tables.hub.card import card_of, content_of

_MOST_CLASSES = 1_000_000
_METADATA = b"huggingface"


def class_names(schema: pa.Schema, folder: Path | None) -> dict[str, list[str]]:
    """The names of the classes of each column that holds their numbers, by number.

    They are those in the metadata of `schema`, else those in a file in `folder`, or in the two folders above it.
    """
    features = _json_features((schema.metadata or {}).get(_METADATA, b""))
    if not any(_names_in(feature) for feature in features.values()) and folder is not None:
        features = _features_of_folder(folder, schema.names)
    found = {name: _names_in(feature) for name, feature in features.items() if name in schema.names}
    return {name: names for name, names in found.items() if names}


def with_class_names(table: pa.Table, names: dict[str, list[str]], where: str, problems: list[str]) -> pa.Table:
    """The table with names in the columns that hold numbers of classes; a number without a name becomes null.

    If there is one such column, or one called `fine_label`, it is also the column `label`. The numbers stay, as
    `label.id`, since two classes may have one name.
    """
    named = []
    for column, classes in names.items():
        at = table.schema.get_field_index(column)
        kind = table.schema.types[at] if at >= 0 else pa.null()
        if not pa.types.is_integer(kind.value_type if is_list(kind) else kind):
            continue
        values, lost = _named(table.column(at), classes)
        if not is_list(kind) and f"{column}.id" not in table.column_names:
            table = table.append_column(f"{column}.id", table.column(at).cast(pa.string()))
        table = table.set_column(at, column, values)
        named.append(column)
        if lost:
            message = (
                f"{where}: {lost:,} numbers in `{column}` are not those of its {len(classes):,} classes "
                "(-1 stands for none), and are left out"
            )
            problems.append(LeftOut(Kind.LABEL_WITHOUT_NAME, message, lost))
    label = named[0] if len(named) == 1 else next((each for each in named if each == "fine_label"), None)
    if label is not None and "label" not in table.column_names:
        table = table.append_column("label", table[label])
        if f"{label}.id" in table.column_names and "label.id" not in table.column_names:
            table = table.append_column("label.id", table[f"{label}.id"])
    return table


def _named(column: pa.ChunkedArray, classes: list[str]) -> tuple[pa.ChunkedArray, int]:
    """The names for numbers or lists of them, and how many numbers have none."""
    if is_list(column.type):
        found: list[list[str | None] | None] = []
        for numbers in column.to_pylist():
            found.append(None if numbers is None else [_name(number, classes) for number in numbers])
        lost = sum(name is None for names in found for name in names or ())
        return pa.chunked_array([pa.array(found, pa.list_(pa.string()))]), lost
    numbers = column.combine_chunks()
    is_class = pc.fill_null(pc.and_(pc.greater_equal(numbers, 0), pc.less(numbers, len(classes))), False)
    places = pc.if_else(is_class, numbers, None).cast(pa.int64())
    lost = len(numbers) - numbers.null_count - int(np.count_nonzero(is_class.to_numpy(zero_copy_only=False)))
    return pa.chunked_array([pa.array(classes, pa.string()).take(places)]), lost


def _name(number: int | None, classes: list[str]) -> str | None:
    return classes[number] if number is not None and 0 <= number < len(classes) else None


def _names_in(feature: Any) -> list[str]:
    """The class names of a feature, or of the items of a list of them; none if it is another feature."""
    while isinstance(feature, list) and len(feature) == 1:
        feature = feature[0]
    while isinstance(feature, dict) and "feature" in feature:
        feature = feature["feature"]
    names = feature.get("names") if isinstance(feature, dict) else None
    if not isinstance(names, list) or feature.get("_type") != "ClassLabel":
        return []
    return [str(name) for name in names]


def _features_of_folder(folder: Path, columns: list[str]) -> dict[str, Any]:
    if features := _json_features(content_of(folder / "dataset_info.json"), top="features"):
        return features
    for parent in (folder, *folder.parents)[:3]:
        if features := _readme_features(card_of(parent, about=b"class_label"), columns):
            return features
    return {}


def _json_features(content: bytes, top: str = "info") -> dict[str, Any]:
    try:
        found = json.loads(content) if content else {}
    except (ValueError, RecursionError):
        return {}
    found = found.get(top) if isinstance(found, dict) else None
    if top == "info" and isinstance(found, dict):
        found = found.get("features")
    return found if isinstance(found, dict) else {}


def _readme_features(card: Mapping[str, Any], columns: list[str]) -> dict[str, Any]:
    """The features in the `dataset_info` of a dataset card, in the form of JSON; configurations must agree."""
    info = card.get("dataset_info")
    found: dict[str, Any] = {}
    for config in info if isinstance(info, list) else [info]:
        for feature in config.get("features", []) if isinstance(config, dict) else []:
            name, names = _readme_feature(feature)
            if names and name in columns and found.setdefault(name, names) != names:
                return {}
    return {name: {"_type": "ClassLabel", "names": names} for name, names in found.items()}


def _readme_feature(feature: Any) -> tuple[str, list[str]]:
    if not isinstance(feature, dict):
        return "", []
    kind = feature.get("dtype") or feature.get("sequence") or feature.get("list")
    label = kind.get("class_label") if isinstance(kind, dict) else None
    names = label.get("names") if isinstance(label, dict) else None
    if not isinstance(names, dict) or not all(str(number).isdigit() for number in names):
        return "", []
    numbered = {int(number): str(name) for number, name in names.items()}
    count = min(max(numbered, default=-1) + 1, _MOST_CLASSES)
    return str(feature.get("name")), [numbered.get(number, str(number)) for number in range(count)]
