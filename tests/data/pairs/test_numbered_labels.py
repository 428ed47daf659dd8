"""Labels that are numbers get the names of a file beside the table; without one they are no texts."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openalign.data.left_out import Kind, counted
from openalign.data.pairs.open import open_pairs
from openalign.errors import OpenAlignError
from tests.data.pairs.folders import put


def table(folder: Path, labels: list[object], column: str = "label", name: str = "t.csv") -> Path:
    put(folder, **{f"i{number}": None for number in range(len(labels))})
    names = [f"i{number}.jpg" for number in range(len(labels))]
    path = folder / name
    if name.endswith(".parquet"):
        pq.write_table(pa.table({"image": names, column: labels}), path)
    elif name.endswith(".jsonl"):
        path.write_text("".join(json.dumps({"image": n, column: v}) + "\n" for n, v in zip(names, labels, strict=True)))
    else:
        rows = [f"{n},{'' if v is None else v}" for n, v in zip(names, labels, strict=True)]
        path.write_text("\n".join([f"image,{column}", *rows]))
    return path


NAMES = {
    "classes.txt": "heron\nspoonbill\negret\n",
    "labels.txt": "0 heron\n1 spoonbill\n2 egret\n",
    "class_names.txt": "2: egret\n1: spoonbill\n0: heron\n",
    "classes.json": '["heron", "spoonbill", "egret"]',
    "label_map.json": '{"heron": 0, "spoonbill": 1, "egret": 2}',
    "id2label.json": '{"id2label": {"0": "heron", "1": "spoonbill", "2": "egret"}}',
    "categories.json": '[{"id": 0, "name": "heron"}, {"id": 1, "name": "spoonbill"}, {"id": 2, "name": "egret"}]',
    "classes.csv": "class,id\nheron,0\nspoonbill,1\negret,2\n",
    "names.csv": "name\nheron\nspoonbill\negret\n",
    "label_map.pbtxt": "item {\n name: 'heron'\n id: 0\n}\nitem {\n id: 1\n name: \"spoonbill\"\n}\n"
    "item { id: 2 name: 'egret' }",
}


@pytest.mark.parametrize(
    ("names", "name"),
    [*((names, "t.csv") for names in NAMES), ("classes.txt", "t.jsonl"), ("id2label.json", "t.parquet")],
)
def test_numbers_are_named_by_the_file_beside_the_table(tmp_path: Path, names: str, name: str) -> None:
    path = table(tmp_path, [2, 0, 0, 1], name=name)
    (tmp_path / names).write_text(NAMES[names])
    for source in (path, tmp_path):
        pairs = open_pairs(source)
        assert pairs.texts() == ["egret", "heron", "heron", "spoonbill"]
        assert pairs.table["label.id"].to_pylist() == ["2", "0", "0", "1"]
        assert any(f"are named by {tmp_path / names}" in each for each in pairs.problems)


@pytest.mark.parametrize(
    ("labels", "texts"),
    [([1, 3], ["heron", "egret"]), ([0, 1], ["heron", "spoonbill"]), (["0", "2.0", -1], ["heron", "egret"])],
)
def test_a_list_of_names_is_counted_from_0_or_from_1_by_what_is_there(
    tmp_path: Path, labels: list[object], texts: list[str]
) -> None:
    path = table(tmp_path, labels)
    (tmp_path / "classes.txt").write_text(NAMES["classes.txt"])
    assert open_pairs(path).texts() == texts


@pytest.mark.parametrize("labels", [[1, 2], [1], [0, 3], [7, 9]])
def test_a_list_of_names_that_does_not_fit_is_refused(tmp_path: Path, labels: list[object]) -> None:
    path = table(tmp_path, labels)
    (tmp_path / "classes.txt").write_text(NAMES["classes.txt"])
    with pytest.raises(OpenAlignError, match=r"classes\.txt (could name them from 0|has 3 names, too few)"):
        open_pairs(path)


@pytest.mark.parametrize("column", ["label", "class_id", "Target"])
@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_numbers_without_names_are_no_texts(tmp_path: Path, column: str, name: str) -> None:
    path = table(tmp_path, [4, 0, 1], column, name)
    (tmp_path / "labels.csv").write_text("image,label\ni0.jpg,4\n")  # no names of classes
    with pytest.raises(OpenAlignError, match=r"its only texts are the numbers of classes .*put classes\.csv"):
        open_pairs(path)
    assert len(open_pairs(path, need_text=False)) == 3


def test_numbers_are_learned_where_the_column_is_named(tmp_path: Path) -> None:
    assert open_pairs(table(tmp_path, [7, 3]), text_column="label").texts() == ["7", "3"]


@pytest.mark.parametrize("column", [None, "label"])
def test_names_become_words_where_they_are_texts(tmp_path: Path, column: str | None) -> None:
    path = table(tmp_path, [1, 0])
    (tmp_path / "classes.txt").write_text("grey_heron\nlittle-egret\n")
    assert open_pairs(path, text_column=column).texts() == ["little egret", "grey heron"]


def test_numbers_beside_texts_are_named_as_labels(tmp_path: Path) -> None:
    put(tmp_path, a=None, b=None)
    (tmp_path / "t.csv").write_text("image,caption,label\na.jpg,in the reeds,1\nb.jpg,in flight,0\n")
    (tmp_path / "classes.txt").write_text("grey_heron\nspoonbill\n")
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == ["in the reeds", "in flight"]
    assert pairs.table["label"].to_pylist() == ["spoonbill", "grey_heron"]


def test_numbers_that_the_file_lacks_are_counted(tmp_path: Path) -> None:
    path = table(tmp_path, [5, 6, 5])
    (tmp_path / "classes.csv").write_text("5,heron\n8,ibis\n")
    pairs = open_pairs(path)
    assert pairs.texts() == ["heron", "heron"]
    assert counted(pairs.problems) == {Kind.LABEL_WITHOUT_NAME: 1, Kind.ROW_WITHOUT_TEXT: 1}


@pytest.mark.parametrize("marks", [("1", "0"), ("1.0", "0.0"), ("True", "False"), ("1", "-1")])
@pytest.mark.parametrize("first", ["image", "photo_id"])
def test_columns_of_0_and_1_are_classes(tmp_path: Path, marks: tuple[str, str], first: str) -> None:
    put(tmp_path / "photos", a=None, b=None, c=None)
    yes, no = marks
    rows = [f"a,{yes},{no},{yes}", f"b,{no},{yes},{no}", f"c,{no},{no},{no}"]
    (tmp_path / "train.csv").write_text("\n".join([f"{first},leaf_rust,scab,frog-eye", *rows]))
    pairs = open_pairs(tmp_path)
    assert dict(zip(pairs.table["image"].to_pylist(), pairs.texts(), strict=True)) == {
        "photos/a.jpg": "leaf rust, frog eye",
        "photos/b.jpg": "scab",
    }
    assert counted(pairs.problems) == {Kind.ROW_WITHOUT_TEXT: 1}
    assert any("3 classes" in each for each in pairs.problems)


@pytest.mark.parametrize("header", ["image,width,height", "image,is_ok,caption", "image,x1,area"])
def test_other_columns_of_numbers_are_no_classes(tmp_path: Path, header: str) -> None:
    put(tmp_path, a=None, b=None)
    (tmp_path / "t.csv").write_text(f"{header}\na.jpg,1,12\nb.jpg,0,11\n")
    pairs = open_pairs(tmp_path, need_text=False)
    assert set(pairs.texts()) <= {"", "12", "11"} and not any("classes" in each for each in pairs.problems)


WORDNET = {"n01443537": "goldfish, Carassius auratus", "n01629819": "fire salamander", "n02123045": "tabby, tabby cat"}


@pytest.mark.parametrize("folder", [".", ".."])
@pytest.mark.parametrize("has_header", [True, False])
def test_wordnet_ids_are_named_by_words_beside_or_above(tmp_path: Path, folder: str, has_header: bool) -> None:
    val = tmp_path / "val"
    put(val / "images", **{f"val_{number}": None for number in range(4)})
    ids = [*WORDNET, "n01629819"]
    head = "file\twnid\tx\ty\n" if has_header else ""
    rows = "".join(f"val_{number}.jpg\t{each}\t0\t3{number}\n" for number, each in enumerate(ids))
    (val / ("notes.tsv" if has_header else "val_annotations.txt")).write_text(head + rows)
    words = "".join(f"{each}\t{name}\n" for each, name in {**WORDNET, "n00001740": "entity"}.items())
    (val / folder / "words.txt").write_text(words)
    pairs = open_pairs(val)
    assert pairs.texts() == [WORDNET[each] for each in ids]
    assert [Path(image).name for image in pairs.table["image"].to_pylist()] == [f"val_{n}.jpg" for n in range(4)]
    assert counted(pairs.problems) == {}


@pytest.mark.parametrize("rows", ["i0.jpg,n01443537\ni1.jpg,n01629819\n", "i0.jpg,3\ni1.jpg,14\n"])
@pytest.mark.parametrize("head", ["", "image,label\n"])
def test_ids_that_nothing_names_are_no_texts(tmp_path: Path, rows: str, head: str) -> None:
    put(tmp_path, i0=None, i1=None)
    path = tmp_path / "t.csv"
    path.write_text(head + rows)
    with pytest.raises(OpenAlignError, match=r"its only texts are the .* in `label`"):
        open_pairs(path)
    assert len(open_pairs(path, text_column="label", need_text=False)) == 2


@pytest.mark.parametrize("column", ["ClassId", "class_id"])
def test_a_table_in_each_folder_of_a_class_is_named_from_the_folder_above(tmp_path: Path, column: str) -> None:
    for number in range(3):
        put(tmp_path / f"{number:05d}", a=None, b=None)
        rows = f"Filename;Width;{column}\na.jpg;30;{number}\nb.jpg;31;{number}\n"
        (tmp_path / f"{number:05d}" / f"GT-{number:05d}.csv").write_text(rows)
    pairs = open_pairs(tmp_path, need_text=False)
    assert any(f"only ids of classes, in `{column}`" in problem for problem in pairs.problems)
    (tmp_path / "classes.csv").write_text("ClassId,SignName\n0,Speed limit (20km/h)\n1,No passing\n2,Yield\n")
    pairs = open_pairs(tmp_path)
    texts = dict(zip(pairs.table["image"].to_pylist(), pairs.texts(), strict=True))
    assert texts["00000/a.jpg"] == "Speed limit (20km/h)"
    assert texts["00002/b.jpg"] == "Yield"
    assert len(texts) == 6


@pytest.mark.parametrize(
    ("rows", "texts"),
    [
        ("i0.jpg 0\ni1.jpg 2\ni2.jpg 1\n", ["heron", "egret", "spoonbill"]),
        ("images/i0.jpg night heron\nimages/i1.jpg  an egret, wading\ni2.jpg x y\n", None),
    ],
)
@pytest.mark.parametrize("is_file", [True, False])
def test_a_blank_may_separate_images_from_labels_and_texts(
    tmp_path: Path, rows: str, texts: list[str] | None, is_file: bool
) -> None:
    put(tmp_path / "images", i0=None, i1=None, i2=None)
    (tmp_path / "list.txt").write_text(rows)
    (tmp_path / "classes.txt").write_text("heron\nspoonbill\negret\n")
    pairs = open_pairs(tmp_path / "list.txt" if is_file else tmp_path)
    assert pairs.texts() == (texts or ["night heron", "an egret, wading", "x y"])
    assert [Path(image).name for image in pairs.table["image"].to_pylist()] == ["i0.jpg", "i1.jpg", "i2.jpg"]


@pytest.mark.parametrize("rows", ["i0.jpg 1 2 30 40\ni1.jpg 3 4 50 60\n", "i0.jpg i1.jpg\ni1.jpg i0.jpg\n"])
def test_boxes_and_pairs_of_images_are_no_texts(tmp_path: Path, rows: str) -> None:
    put(tmp_path, i0=None, i1=None)
    (tmp_path / "list.txt").write_text(rows)
    for source in (tmp_path, tmp_path / "list.txt"):
        with pytest.raises(OpenAlignError):
            open_pairs(source)
