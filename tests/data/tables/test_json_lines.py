"""JSON Lines keep their types, and lines that are nested too deeply are left out."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openalign.data.files import text_source
from openalign.data.left_out import counted
from openalign.data.tables import json_lines
from openalign.data.tables.read import read_table


def test_json_lines_keep_lists_and_never_take_a_text_for_a_time(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"file": "a", "text": "2019-01-01", "objects": ["x", "y"]}\n{"file": "b", "text": "2020-01-01"}\n')
    assert read_table(path).to_pylist() == [
        {"image": "a", "text": "2019-01-01", "objects": ["x", "y"]},
        {"image": "b", "text": "2020-01-01", "objects": None},
    ]


def test_a_field_that_is_now_a_number_now_a_text_is_text(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"file": "a", "text": "x"}\n{"file": "b", "text": 5, "page": "p"}\n')
    assert read_table(path).to_pylist() == [
        {"image": "a", "text": "x", "page": None},
        {"image": "b", "text": "5", "page": "p"},
    ]


@pytest.mark.parametrize(
    "value",
    [
        '{"a":' * 1000 + "1" + "}" * 1000,
        "[" * 1000 + "]" * 1000,
        "[" * 1000,
        '{"a": "' + '\\"' * 1000 + '", "b": ' + "[" * 1000 + "]" * 1000 + "}",
    ],
)
def test_a_line_nested_too_deeply_is_left_out_before_a_reader_sees_it(tmp_path: Path, value: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(f'{{"file": "a", "text": "x"}}\n{{"file": "b", "text": "y", "v": {value}}}\n')
    problems: list[str] = []
    assert read_table(path, problems=problems).to_pylist() == [{"image": "a", "text": "x"}]
    assert problems == [f"{path} line 2 is nested more than 200 deep, and is left out"]


def test_a_nesting_is_found_across_the_blocks_that_a_file_is_read_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.jsonl"
    shallow = [json.dumps({"file": f"{i}", "text": "x" * i, "v": [[i]]}) for i in range(70)]
    deep = '{"file": "a", "text": "x", "v": ' + "[ " * 201 + "] " * 201 + "}"
    for block in (1, 7, 64, 100_000):
        monkeypatch.setattr(json_lines, "_BLOCK_BYTES", block)
        path.write_text("\n".join(shallow))
        assert not json_lines._could_crash(text_source.TableSource(path))
        path.write_text("\n".join([*shallow, deep, *shallow]))
        assert json_lines._could_crash(text_source.TableSource(path))


def test_brackets_in_a_text_do_not_count_as_nesting(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    texts = ["[" * 1000, "{[" * 500 + '"' + "\\"]
    lists = [[i] for i in range(500)]
    path.write_text("".join(json.dumps({"file": "a", "text": text, "lists": lists}) + "\n" for text in texts))
    problems: list[str] = []
    assert read_table(path, problems=problems)["text"].to_pylist() == texts
    assert problems == []


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.text(st.characters(codec="utf-8"), max_size=8) | st.integers(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    )
)
def test_the_depth_of_a_line_is_that_of_its_lists_and_objects(value: object) -> None:
    def depth(value: object) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        return 0 if inner is None else 1 + max(map(depth, inner), default=0)

    # Brackets enough that they are counted one by one, in a list of its own.
    line = json.dumps([value, "[" * 300], ensure_ascii=False).encode()
    assert json_lines._depth(line) == 1 + depth(value)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("1e400", ["inf", "5.0"]),
        ("1" + "0" * 30, [1e30, 5.0]),
        ('"a\\u0000b"', ["a\0b", "5"]),
        ('"\\ud800!"', ["\ufffd!", "5"]),
    ],
)
def test_values_that_no_number_or_text_can_hold_are_read_as_near_as_can_be(
    tmp_path: Path, value: str, read: list[object]
) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(f'{{"file": "a", "text": "x", "v": {value}}}\n{{"file": "b", "text": "y", "v": 5}}\n')
    found = read_table(path)["v"].to_pylist()
    assert [str(each) for each in found] == [str(each) for each in read]


def test_a_number_of_any_length_is_read_or_its_line_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"file": "a", "text": "x", "v": 1' + "0" * 5000 + '}\nnope\n{"file": "b", "text": "y"}\n')
    problems: list[str] = []
    assert read_table(path, problems=problems)["image"].to_pylist() == ["b"]
    assert len(problems) == 2


@pytest.mark.parametrize("start", ["", "\n", " \t\n  ", '{"file": "c", "text": "z"}\n' * 5])
@pytest.mark.parametrize("block", [1, 3, 100_000])
def test_a_line_that_is_null_is_left_out_before_a_reader_sees_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str, block: int
) -> None:
    """It would kill the process."""
    monkeypatch.setattr(json_lines, "_BLOCK_BYTES", block)
    path = tmp_path / "t.jsonl"
    path.write_text(start + 'null\n{"file": "a", "text": "null"}\n')
    problems: list[str] = []
    assert read_table(path, problems=problems)["text"].to_pylist()[-1] == "null"
    assert problems == [f"{path} line {start.count(chr(10)) + 1} is not a JSON object, and is left out"]


@pytest.mark.parametrize("name", ["t.jsonl", "t.ndjson", "t.json"])
@pytest.mark.parametrize("between", ["\n", "\n\n", ",\n"])
def test_objects_over_several_lines_are_read(tmp_path: Path, name: str, between: str) -> None:
    rows = [{"image": f"{number}.jpg", "text": f"text {number}", "tags": {"n": number}} for number in range(3000)]
    (tmp_path / name).write_text(between.join(json.dumps(row, indent=2) for row in rows))
    problems: list[str] = []
    table = read_table(tmp_path / name, problems=problems)
    assert table["text"].to_pylist() == [row["text"] for row in rows] and not problems


@pytest.mark.parametrize("damage", ['{\n  "image": "x.jpg",\n  "text": \n}', '{\n  "image": "x.jpg"\n  "text": "x"\n}'])
def test_a_damaged_object_over_several_lines_is_told_with_its_line(tmp_path: Path, damage: str) -> None:
    rows = [json.dumps({"image": f"{number}.jpg", "text": f"text {number}"}, indent=1) for number in range(4)]
    (tmp_path / "t.jsonl").write_text("\n".join([*rows[:2], damage, *rows[2:]]))
    problems: list[str] = []
    assert len(read_table(tmp_path / "t.jsonl", problems=problems)) == 4
    assert counted(problems) == {"rows that cannot be parsed": 1} and "line 9 begins no JSON object" in problems[0]
