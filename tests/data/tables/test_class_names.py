"""Numbers of classes become names wherever a data set stores the names."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openalign.data.left_out import counted
from openalign.data.pairs.open import open_pairs
from openalign.data.tables.class_names import class_names, with_class_names
from tests.data.tables.datasets import JPEGS, save_to_disk

NAMES = ["apple", "boat", "Bonaire, Saint Eustatius and Saba"]
FEATURES = {"image": {"_type": "Image"}, "label": {"names": NAMES, "_type": "ClassLabel"}}
METADATA = {"huggingface": json.dumps({"info": {"features": FEATURES}})}
CARD = """---
license: mit
dataset_info:
  features:
  - name: image
    dtype: image
  - name: label
    dtype:
      class_label:
        names:
          '0': apple
          '1': boat
          '2': Bonaire, Saint Eustatius and Saba
---
# A data set
"""


def rows(labels: list[int | None]) -> pa.Table:
    return pa.table({"image": pa.array(JPEGS[: len(labels)]), "label": pa.array(labels, pa.int64())})


def in_metadata(folder: Path, table: pa.Table) -> Path:
    pq.write_table(
        table.replace_schema_metadata(METADATA),
        folder / "t.parquet",
    )
    return folder / "t.parquet"


def in_card(folder: Path, table: pa.Table) -> Path:
    (folder / "data").mkdir()
    (folder / "README.md").write_text(CARD)
    pq.write_table(table, folder / "data" / "train-00000-of-00001.parquet")
    return folder


def saved(folder: Path, table: pa.Table) -> Path:
    save_to_disk(folder / "saved", table)
    (folder / "saved" / "dataset_info.json").write_text(json.dumps({"features": FEATURES}))
    return folder / "saved"


@pytest.mark.parametrize("write", [in_metadata, in_card, saved])
def test_labels_are_names_and_numbers_without_one_are_counted(tmp_path: Path, write) -> None:
    pairs = open_pairs(write(tmp_path, rows([2, 0, None, -1, 3, 1])), need_text=False)
    assert pairs.table["label"].to_pylist() == [NAMES[2], "apple", None, None, None, "boat"]
    assert counted(pairs.problems) == {"labels that no class name belongs to": 2}
    assert pairs.columns["label"] == "label"


def test_lists_of_labels_are_lists_of_names() -> None:
    table = pa.table({"labels": pa.array([[0, 1], [], None, [9]], pa.list_(pa.int32()))})
    features = {"labels": {"_type": "List", "feature": {"names": ["a", "b"], "_type": "ClassLabel"}}}
    schema = table.schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    problems: list[str] = []
    named = with_class_names(table, class_names(schema, None), "t", problems)
    assert named["labels"].to_pylist() == [["a", "b"], [], None, [None]]
    assert counted(problems) == {"labels that no class name belongs to": 1}


def test_a_fine_label_is_the_label_where_there_is_a_coarse_one_too() -> None:
    table = pa.table({"img": JPEGS[:1], "fine_label": [1], "coarse_label": [0]})
    named = with_class_names(table, {"fine_label": ["cat", "dog"], "coarse_label": ["animal"]}, "t", [])
    assert named.select(["fine_label", "coarse_label", "label"]).to_pylist() == [
        {"fine_label": "dog", "coarse_label": "animal", "label": "dog"}
    ]


@pytest.mark.parametrize(
    "metadata",
    [b"{", b"[]", b'{"info": 5}', b'{"info": {"features": []}}', b'{"info": {"features": {"label": {"names": 5}}}}'],
)
def test_metadata_of_another_form_name_nothing(tmp_path: Path, metadata: bytes) -> None:
    schema = pa.schema([("label", pa.int64())]).with_metadata({"huggingface": metadata})
    card = "---\ndataset_info: [5, {features: [class_label, {dtype: 5}]}]\n---\nclass_label"
    (tmp_path / "README.md").write_text(card)
    assert class_names(schema, tmp_path) == {}


def test_columns_of_texts_keep_their_texts(tmp_path: Path) -> None:
    table = pa.table({"image": pa.array(JPEGS[:2]), "label": ["0", "1"]})
    assert open_pairs(in_metadata(tmp_path, table), need_text=False).table["label"].to_pylist() == ["0", "1"]
