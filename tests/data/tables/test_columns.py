"""The image and the text column are found by name."""

from pathlib import Path

import pyarrow as pa
import pytest

from openalign.data.tables.columns import choose_columns, find_columns
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


BYTES = pa.binary()
PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@pytest.mark.parametrize(
    ("fields", "image", "text"),
    [
        ({"url": pa.string(), "caption": pa.string(), "key": pa.string(), "jpg": BYTES}, "jpg", "caption"),
        ({"image": pa.string(), "webp": BYTES, "text": pa.string()}, "webp", "text"),
        ({"image_url": pa.string(), "painting": PICTURE, "alt_text": pa.string()}, "painting", "alt_text"),
        ({"mask": PICTURE, "image": PICTURE, "prompt": pa.string()}, "image", "prompt"),
        ({"file_name": pa.string(), "image": pa.int64(), "text": pa.string()}, "file_name", "text"),
        ({"image": pa.string(), "text": pa.int64(), "caption": pa.string()}, "image", "caption"),
        ({"image": pa.string(), "sentences": pa.list_(pa.struct([("raw", pa.string())]))}, "image", "sentences"),
        ({"URL": pa.string(), "TEXT": pa.string()}, "URL", "TEXT"),
        ({"path": pa.string(), "content": BYTES, "caption": pa.string()}, "content", "caption"),
        ({"image_path": pa.string(), "image_bytes": BYTES, "text": pa.string()}, "image_bytes", "text"),
        ({"url": pa.string(), "content": pa.string(), "text": pa.string()}, "url", "text"),
        ({"sha256": BYTES, "filename": pa.string(), "raw": pa.string()}, "filename", "raw"),
        ({"image": PICTURE, "label": pa.string()}, "image", "label"),
        ({"image": PICTURE, "label": pa.string(), "description": pa.string()}, "image", "description"),
    ],
)
def test_columns_are_chosen_by_what_they_hold_and_then_by_name(
    fields: dict[str, pa.DataType], image: str, text: str
) -> None:
    chosen = choose_columns(pa.schema(list(fields.items())))
    assert (chosen.image, chosen.text) == (image, text)


def test_other_columns_that_could_be_taken_are_noted() -> None:
    schema = pa.schema([("mask", PICTURE), ("image", PICTURE), ("caption", pa.string()), ("text", pa.string())])
    assert choose_columns(schema, where="t").notes == (
        "t: texts are taken from `text`; `caption` could be taken with --text-column",
        "t: images are taken from `image`; `mask` could be taken with --image-column",
    )
    assert choose_columns(schema, "mask", "caption").notes == ()


def test_a_label_is_the_text_only_where_nothing_else_is() -> None:
    schema = pa.schema([("image", pa.string()), ("label", pa.string())])
    assert choose_columns(schema, need_text=False).text is None
    chosen = choose_columns(schema)
    assert (chosen.text, chosen.label) == ("label", "label")
    assert "is taken for the texts, since there is no other" in chosen.notes[0]
    with pytest.raises(OpenAlignError, match="no text column"):
        choose_columns(pa.schema([("image", pa.string()), ("label", pa.int64())]))


def test_a_message_stays_one_line_whatever_the_names_of_columns(tmp_path: Path) -> None:
    names = ["a\nb", "x" * 500, "\0", *(f"column {number}" for number in range(300))]
    with pytest.raises(
        OpenAlignError, match=r"columns are 'a\\nb', 'x{80}', '\\x00', .* and 203 more: name one"
    ) as caught:
        find_columns(names)
    assert str(caught.value).isprintable()
