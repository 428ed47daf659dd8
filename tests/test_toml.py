"""TOML: what is written reads back as itself, and what is no TOML is an error message."""

import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from openalign.errors import OpenAlignError
from openalign.toml import format_value, parse_value, read_toml, write_toml

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALAR = TEXT | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.floats(allow_nan=False)


@given(values=st.dictionaries(TEXT, SCALAR | st.lists(SCALAR, max_size=3) | st.dictionaries(TEXT, SCALAR, max_size=3)))
@example(values={"article type": "a.b", "a.b": "", "": "\x7f", 'a"b': "\\", "where": {"Bild \u2028": "x\ny"}})
def test_a_written_file_reads_back_as_itself(tmp_path_factory: pytest.TempPathFactory, values: dict[str, object]):
    file = tmp_path_factory.mktemp("toml") / "values.toml"
    write_toml(values, file)
    assert read_toml(file) == values


@given(value=SCALAR | st.lists(SCALAR, max_size=3) | st.dictionaries(TEXT, SCALAR, max_size=3))
@example(value={"article type": [1, (2, 3)]})
def test_a_formatted_value_is_one_line_and_parses_back(value: object) -> None:
    formatted = format_value(value)
    assert "\n" not in formatted
    assert format_value(parse_value(formatted)) == formatted


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2e-3", 0.002),
        ("[3, 5]", [3, 5]),
        ('{split = "train"}', {"split": "train"}),
        ("true", True),
        ("photos/a.csv", "photos/a.csv"),
        ("", ""),
        ("1\nother = 2", "1\nother = 2"),
        ("[" * 20_000, "[" * 20_000),
    ],
)
def test_a_value_is_toml_or_else_plain_text(text: str, value: object) -> None:
    assert parse_value(text) == value


@pytest.mark.parametrize("content", [b"a = " + b"[" * 20_000, b"\xff", b"= 3"])
def test_a_file_that_is_not_toml_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "odd.toml").write_bytes(content)
    with pytest.raises(OpenAlignError, match=r"odd\.toml: not a TOML file"):
        read_toml(tmp_path / "odd.toml")


def test_a_text_that_is_not_utf_8_is_an_error_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(OpenAlignError, match=r"photos-\\udcff.*not UTF-8"):
        write_toml({"data": os.fsdecode(b"/photos-\xff.csv")}, tmp_path / "as_run.toml")
    assert not list(tmp_path.iterdir())
