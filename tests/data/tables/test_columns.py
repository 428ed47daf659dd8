"""The image and the text column are found by name."""

from pathlib import Path

import pytest

from openalign.data.tables.columns import find_columns
from openalign.data.tables.read import read_table
from openalign.errors import OpenAlignError


def test_a_field_of_an_object_can_be_the_text(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"file": "a", "alt": {"en": "red", "pl": "czerwony"}}\n')
    assert read_table(path, text_column="alt.pl")["text"].to_pylist() == ["czerwony"]
    with pytest.raises(OpenAlignError, match=r"column 'alt' holds objects, not text: .* as alt\.en"):
        read_table(path)


def test_usual_names_are_found_in_the_designs_order() -> None:
    assert find_columns(["url", "title", "Path", "caption"]) == ("Path", "caption")
    assert find_columns(["a", "b", "text"], image_column="b") == ("b", "text")
    assert find_columns(["file", "kind"], need_text=False) == ("file", None)


@pytest.mark.parametrize(
    ("header", "asked", "message"),
    [
        ("foo,bar", {}, "no image column .* its columns are foo, bar: name one with --image-column"),
        ("file,bar", {}, "no text column .* its columns are file, bar: name one with --text-column"),
        ("file,text", {"text_column": "baz"}, "no column 'baz'; its columns are file, text"),
        ("file,file,text", {}, "two columns called 'file'"),
    ],
)
def test_missing_columns_are_named_with_those_there_are(
    tmp_path: Path, header: str, asked: dict[str, str], message: str
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"{header}\n{','.join('1' * len(header.split(',')))}\n")
    with pytest.raises(OpenAlignError, match=rf"t\.csv has {message}"):
        read_table(path, **asked)
