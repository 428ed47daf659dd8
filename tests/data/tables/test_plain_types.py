"""Arrow types that hold the same values in other forms are read alike."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openalign.data.pairs.open import open_pairs
from openalign.data.tables.plain_types import with_plain_types
from openalign.errors import OpenAlignError
from tests.data.tables.datasets import JPEGS, save_to_disk

TEXTS = pa.array(["a dog", "a cat", "a dog"])
IMAGES = pa.array(JPEGS[:3])
LISTS = pa.array([["a dog"], ["a cat"], ["a dog"]])
OBJECTS = pa.struct([("bytes", pa.large_binary()), ("path", pa.large_string())])
SAME_SIZE = pa.array([each.ljust(max(map(len, JPEGS)), b"\0") for each in JPEGS[:3]])


@pytest.mark.parametrize(
    ("images", "texts"),
    [
        (IMAGES.cast(pa.binary_view()), TEXTS.cast(pa.string_view())),
        (IMAGES.cast(pa.large_binary()), TEXTS.cast(pa.large_string())),
        (IMAGES, TEXTS.dictionary_encode()),
        (IMAGES, LISTS.cast(pa.large_list(pa.large_string()))),
        (IMAGES, LISTS.cast(pa.list_(pa.string(), 1))),
        (IMAGES, LISTS.cast(pa.list_(pa.string_view()))),
        (IMAGES, LISTS.cast(pa.list_(pa.dictionary(pa.int32(), pa.string())))),
        (pa.array([{"bytes": each, "path": None} for each in JPEGS[:3]], OBJECTS), TEXTS),
        (SAME_SIZE.cast(pa.binary(len(SAME_SIZE[0].as_py()))), TEXTS),
        (pa.array([[each] for each in JPEGS[:3]]), TEXTS),
    ],
    ids=lambda array: str(array.type)[:30],
)
@pytest.mark.parametrize("saved", [False, True])
def test_images_and_texts_are_read_whatever_their_types(
    tmp_path: Path, images: pa.Array, texts: pa.Array, saved: bool
) -> None:
    table = pa.table({"image": images, "caption": texts})
    if saved:
        pairs = open_pairs(save_to_disk(tmp_path / "saved", table))
    else:
        pq.write_table(table, tmp_path / "t.parquet")
        pairs = open_pairs(tmp_path / "t.parquet")
    assert pairs.texts() == ["a dog", "a cat", "a dog"]
    assert [pairs.image_bytes(row).rstrip(b"\0") for row in range(3)] == JPEGS[:3]


def test_nested_types_lose_their_dictionaries_and_views_too() -> None:
    kind = pa.struct([("a", pa.list_(pa.dictionary(pa.int8(), pa.string()))), ("b", pa.string_view())])
    table = pa.table({"x": pa.array([{"a": ["p", "q"], "b": "r"}, None], kind), "m": pa.array([{"k": 1}, None])})
    table = table.append_column("map", pa.array([[("k", "v")], None], pa.map_(pa.string(), pa.string())))
    plain = with_plain_types(table)
    assert plain.schema.field("x").type == pa.struct([("a", pa.list_(pa.string())), ("b", pa.string())])
    assert plain["x"].to_pylist() == [{"a": ["p", "q"], "b": "r"}, None]
    assert plain["map"].to_pylist() == [{"k": "v"}, None]
    assert plain["m"].to_pylist() == table["m"].to_pylist()


def test_extension_types_are_their_storage() -> None:
    uuids = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0" * 16, None], pa.binary(16)))
    assert with_plain_types(pa.table({"u": uuids}))["u"].to_pylist() == [b"0" * 16, None]


MAPS = pa.map_(pa.string(), pa.string())


@pytest.mark.parametrize(
    "kind", [MAPS, pa.map_(pa.large_string(), pa.string_view()), pa.map_(pa.string(), pa.list_(pa.string()))]
)
def test_a_map_is_read_by_its_keys(tmp_path: Path, kind: pa.DataType) -> None:
    texts: list[list[tuple[str, object]] | None] = [[("cs", "pes"), ("nl", "hond")], None, [("nl", "kat")]]
    if pa.types.is_list(kind.item_type):
        texts = [each and [(key, [value]) for key, value in each] for each in texts]
    pq.write_table(pa.table({"image": IMAGES, "text": pa.array(texts, kind)}), tmp_path / "t.parquet")
    pairs = open_pairs(tmp_path / "t.parquet", text_column="text.nl")
    assert pairs.texts() == ["hond", "kat"] and pairs.image_bytes(1) == JPEGS[2]
    with pytest.raises(OpenAlignError, match=r"holds objects, not text: name one of its fields, as text\.cs"):
        open_pairs(tmp_path / "t.parquet")


def test_a_map_of_many_keys_stays_a_list() -> None:
    maps = pa.array([[(str(key), "x") for key in range(100)]], MAPS)
    assert pa.types.is_list(with_plain_types(pa.table({"m": maps})).schema.field("m").type)


@pytest.mark.parametrize("kind", [pa.list_(pa.uint8()), pa.list_(pa.int64()), pa.large_list(pa.int16())])
@pytest.mark.parametrize("in_objects", [False, True])
def test_images_whose_bytes_are_numbers_are_read(tmp_path: Path, kind: pa.DataType, in_objects: bool) -> None:
    numbers = [None, *(list(each) for each in JPEGS[:2])]
    images = pa.array(numbers, kind)
    if in_objects:
        images = pa.StructArray.from_arrays([images, pa.array([None, "x.jpg", "y.jpg"])], ["bytes", "path"])
    texts = ["none", "one", "two"]
    pq.write_table(pa.table({"image": images, "text": texts, "box": [[1, 2], [3], None]}), tmp_path / "t.parquet")
    pairs = open_pairs(tmp_path / "t.parquet")
    assert pairs.texts() == ["one", "two"] and [pairs.image_bytes(row) for row in (0, 1)] == JPEGS[:2]
    assert pa.types.is_list(pairs.table.schema.field("box").type)


def test_pixels_in_a_list_are_no_file() -> None:
    pixels = pa.table({"image": pa.array([[0, 255, 3] * 8], pa.list_(pa.uint8()))})
    assert with_plain_types(pixels) == pixels
