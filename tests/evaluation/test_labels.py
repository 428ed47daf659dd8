"""Classes are counted, so that a name may occur twice; ids need names; lists, tables and files give both."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openalign.errors import OpenAlignError, UsageError
from openalign.evaluation.labels import Classes, class_numbers, classes_by_id, classes_of, labels_in, read_labels

PROTOCOLS = Path(__file__).parents[2].parent / "shared" / "data" / "protocols"
BONAIRE = "Bonaire, Saint Eustatius and Saba"


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b", ["a", "b"]),
        (" running shoe , boot", ["running shoe", "boot"]),
        (f'cat,"{BONAIRE}", dog', ["cat", BONAIRE, "dog"]),
        ("5\" pipe,it's", ['5" pipe', "it's"]),
        ('"the ""big"" one"', ['the "big" one']),
    ],
)
def test_a_name_with_a_comma_in_quotes_is_one(text, names):
    assert labels_in(text) == names


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), min_size=1), min_size=1))
def test_any_names_in_quotes_come_back(names):
    text = ",".join('"' + name.replace('"', '""') + '"' for name in names)
    assert labels_in(text) == [name.strip() for name in names]


def test_a_quotation_mark_that_is_not_closed_is_refused():
    with pytest.raises(UsageError, match="double quotes"):
        labels_in('cat,"Bonaire, Saint')


def test_the_files_of_labels(tmp_path):
    lines = written(tmp_path / "names.txt", f"tench\n{BONAIRE}\n missile \nmissile\n\n")
    assert classes_of(lines) == Classes(("tench", BONAIRE, "missile", "missile"))
    listed = written(tmp_path / "names.json", json.dumps(["tench", BONAIRE]))
    assert classes_of(listed) == Classes(("tench", BONAIRE))
    mapped = written(tmp_path / "map.json", json.dumps({"n01440764": "tench", "n02012849": "crane"}))
    table = written(tmp_path / "map.csv", "folder,name\nn01440764,tench\n\nn02012849,crane\n")
    tabs = written(tmp_path / "map.tsv", "name\twnid\tnote\ntench\tn01440764\tfish\ncrane\tn02012849\t\n")
    expected = Classes(("tench", "crane"), ("n01440764", "n02012849"))
    assert classes_of(mapped) == classes_of(table) == classes_of(tabs) == expected
    assert classes_of({"n01440764": "tench", "n02012849": "crane"}) == expected
    quoted = written(tmp_path / "quoted.csv", f'id,name\n26,"{BONAIRE}"\n')
    assert classes_of(quoted) == Classes((BONAIRE,), ("26",))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("names.txt", "", "needs at least one label"),
        ("names.txt", "a\n\nb\n", "the label of class 1, counted from 0, is ''"),
        ("names.json", "[1, 2]", "class 0, counted from 0, is 1"),
        ("names.json", '{"0": ["n01", "tench"]}', r"class '0' is \['n01', 'tench'\]"),
        ("names.json", '"a"', "must hold a list of names, or an object"),
        ("names.json", "[", "cannot be read as JSON"),
        ("map.csv", "n01440764,tench\nn02012849,crane\n", r"map\.csv line 1: .*needs a header.*'folder,name'"),
        ("map.csv", "name\ntench\n", "line 1: .*needs a header"),
        ("map.csv", "folder,name\n3,a\n3,b\n", r"map\.csv line 3: the value '3' is given twice"),
        ("map.csv", "folder,name\n,a\n", "line 2: the value '' is empty"),
        ("map.csv", "folder,name\n1,a,b\n", "line 2 has 3 fields where 2 are expected"),
        ("map.csv", "folder,name\n1, \n", "class '1' is ' '"),
    ],
)
def test_a_file_of_labels_that_is_wrong_is_named_with_its_line(tmp_path, name, content, message):
    with pytest.raises(OpenAlignError, match=message) as raised:
        read_labels(written(tmp_path / name, content))
    assert name in str(raised.value)
    assert not isinstance(raised.value, UsageError)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "latin.txt").write_bytes("caf\xe9\n".encode("latin-1"))
    with pytest.raises(OpenAlignError, match=r"latin\.txt: not UTF-8 at byte 3"):
        read_labels(tmp_path / "latin.txt")
    with pytest.raises(OpenAlignError, match=r"gone\.txt: cannot be read"):
        read_labels(tmp_path / "gone.txt")


@pytest.mark.parametrize("labels", ["red,blue", 3, [""], ["a", " "], [], {}, {"0": ""}])
def test_labels_that_cannot_be_meant_are_a_mistake_in_the_call(labels):
    with pytest.raises(UsageError):
        classes_of(labels)


@pytest.mark.parametrize(
    "values", [["0", "1", "2"], ["7"], ["n01440764", "n02012849"], ["0.0", "1.0"], ["-1", "0", "1"]]
)
def test_ids_without_names_are_refused(values):
    with pytest.raises(OpenAlignError, match=f"holds ids such as '{values[0]}', not names.*--label-file"):
        class_numbers(None, values, "t.csv: the column `label`")


@pytest.mark.parametrize("values", [["7up", "cola"], ["n0144", "tench"], ["1", "one"]])
def test_names_with_digits_are_names(values):
    classes, numbers, notes = class_numbers(None, values, "t.csv")
    assert (classes.names, numbers, notes) == (tuple(values), {values[0]: 0, values[1]: 1}, [])


def test_numbers_mean_positions_in_a_list():
    classes = Classes(("tench", "missile", "crane", "missile"))
    found, numbers, notes = class_numbers(classes, ["0", "1", "3", "003", "2.0", "-1", "4"], "t")
    assert (found, notes) == (classes, [])
    assert numbers == {"0": 0, "1": 1, "3": 3, "003": 3, "2.0": 2}
    assert found.shown == ("tench", "missile (1)", "crane", "missile (3)")


def test_digits_that_are_names_themselves_are_names():
    classes = Classes(("9", "8", "7"))
    _, numbers, _ = class_numbers(classes, ["7", "9"], "t")
    assert numbers == {"9": 0, "8": 1, "7": 2}


def test_numbers_that_count_from_1_are_refused():
    with pytest.raises(OpenAlignError, match="t counts from 1 to 3, and a list of labels counts from 0"):
        class_numbers(Classes(("a", "b", "c")), ["1", "2", "3"], "t")


def test_a_table_says_what_each_value_means():
    classes = Classes(("crane", "crane"), ("n02012849", "n03126707"))
    found, numbers, notes = class_numbers(classes, ["n03126707", "n9"], "t")
    assert (found, numbers, notes) == (classes, {"n02012849": 0, "n03126707": 1}, [])
    assert found.shown == ("crane (n02012849)", "crane (n03126707)")


def test_a_table_is_matched_by_its_names_where_the_column_holds_names():
    classes = Classes(("crane", "boat"), ("n02012849", "n02951358"))
    _, numbers, _ = class_numbers(classes, ["boat", "tree"], "t")
    assert numbers == {"crane": 0, "boat": 1}


IMAGENET = {"0": "tench", "2": "crane", "1": "boat", "10": "crane"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, Classes(("tench", "boat", "crane", "crane"), ("0", "1", "2", "10"))),
        (["tench", "boat", "crane", "crane"], Classes(("tench", "boat", "crane", "crane"), ("0", "1", "2", "10"))),
        (["boat", "tench"], None),
        (["tench", "boat", "tree", "crane"], None),
        ({"2": "crane bird", "10": "machine"}, Classes(("crane bird", "machine"), ("2", "10"))),
        ({"tench": "fish"}, None),
        (list("abcdefghijk"), Classes(tuple("abcdefghijk"), tuple(map(str, range(11))))),
        (list("abcdefghij"), None),
    ],
)
def test_classes_whose_ids_are_known_are_taken_by_id_unless_names_are_meant(given, expected):
    assert classes_by_id(None if given is None else classes_of(given), IMAGENET) == expected


def test_classes_that_rows_call_by_the_same_name_are_one_and_that_is_said():
    found, numbers, notes = class_numbers(Classes(("crane", "boat", "crane")), ["boat", "crane"], "t")
    assert (found.names, numbers) == (("crane", "boat"), {"crane": 0, "boat": 1})
    assert "'crane' count as one; 2 classes are left" in notes[0]


@pytest.mark.skipif(not PROTOCOLS.exists(), reason="CLIP's names are not beside the repository")
def test_clips_names_of_imagenet_are_a_list_of_labels():
    classes = read_labels(PROTOCOLS / "clip" / "imagenet_names.json")
    assert len(classes.names) == len(set(classes.shown)) == 1000
    assert len(set(classes.names)) == 998
    found, numbers, _ = class_numbers(classes, [str(number) for number in range(1000)], "imagenetv2")
    assert found == classes and numbers == {str(number): number for number in range(1000)}
    wnids = json.loads((PROTOCOLS / "imagenet" / "wnids.json").read_text())["wnids"]
    found, numbers, _ = class_numbers(classes_of(dict(zip(wnids, classes.names, strict=True))), wnids[::-1], "imagenet")
    assert found.names == classes.names and numbers[wnids[657]] == 657
