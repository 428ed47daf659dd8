"""Whatever values a table holds, it is read, or refused with one message; what is lost is counted."""

import csv
import io
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from openalign.data.left_out import counted
from openalign.data.pairs.open import open_pairs
from openalign.data.pairs.pairs import Pairs
from openalign.errors import OpenAlignError
from tests.data.tables.datasets import save_to_disk

pytestmark = pytest.mark.slow

TEXT = st.text(max_size=6) | st.sampled_from(
    ["2019-01-01", "a.jpg", "\ud83d", "['a']", '["a"]', "http://a.test", "NA", ""]
)
SCALAR = st.none() | st.booleans() | st.integers(-(10**40), 10**40) | st.floats() | TEXT
VALUE = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=6
)
NAME = st.sampled_from(["image", "text", "caption", "url", "label", "split", "x", "image.path", ""])


def opened(path: Path, **options: Any) -> Pairs | None:
    """The pairs, every image of which has been asked for; None if they are refused in one line."""
    try:
        pairs = open_pairs(path, **options)
    except OpenAlignError as error:
        assert "\n" not in str(error).replace(str(path), "")
        return None
    assert all(isinstance(text, str) for text in pairs.texts())
    pairs.image_ids(pairs.source_rows * 0)
    pairs.fingerprint()
    for row in range(len(pairs)):
        try:
            pairs.image_bytes(row)
        except OpenAlignError:
            continue
    return pairs


@given(
    rows=st.lists(st.dictionaries(NAME, VALUE, max_size=4) | VALUE, min_size=1, max_size=4),
    suffix=st.sampled_from([".jsonl", ".json"]),
    need_text=st.booleans(),
)
@example(rows=[{"image": {".": None}}], suffix=".jsonl", need_text=False)
@example(rows=[{"image": "a.jpg", "text": {".en": "a", "[0]": "b"}}], suffix=".json", need_text=True)
def test_any_json_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], suffix: str, need_text: bool
) -> None:
    path = tmp_path_factory.mktemp("tables") / f"t{suffix}"
    path.write_text(json.dumps(rows) if suffix == ".json" else "".join(json.dumps(row) + "\n" for row in rows))
    opened(path, need_text=need_text)


@given(values=st.lists(VALUE, min_size=1, max_size=4))
def test_a_column_of_any_values_keeps_the_rows_of_the_others(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any]
) -> None:
    path = tmp_path_factory.mktemp("tables") / "t.jsonl"
    rows = [{"image": f"{number}.jpg", "text": f"text {number}", "x": value} for number, value in enumerate(values)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    pairs = opened(path)
    assert pairs is not None
    assert pairs.texts() == [f"text {number}" for number in range(len(values))]


@given(data=st.binary(max_size=80) | st.text(st.sampled_from(list('a,\t"\n\r|;é0.jpg')), max_size=60).map(str.encode))
@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.txt"])
def test_any_delimited_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("tables") / name
    for header in (b"", b"image,text\n", b"file\ttext\n"):
        path.write_bytes(header + data)
        opened(path)


@given(
    texts=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1), min_size=2, max_size=8
    ),
    damaged=st.sets(st.integers(0, 7)),
)
def test_damaged_rows_are_left_out_and_counted_exactly(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], damaged: set[int]
) -> None:
    path = tmp_path_factory.mktemp("tables") / "t.csv"
    texts = [f"text {text}" for text in texts]
    bad = {row for row in damaged if row < len(texts)}
    written = io.StringIO()
    rows = [(f"{row}.jpg", text, *(["more"] if row in bad else [])) for row, text in enumerate(texts)]
    csv.writer(written, quoting=csv.QUOTE_ALL).writerows([("image", "text"), *rows])
    path.write_text(written.getvalue(), encoding="utf-8", newline="")
    pairs = opened(path)
    if pairs is None:
        assert len(bad) == len(texts)
        return
    assert pairs.texts() == [text for row, text in enumerate(texts) if row not in bad]
    assert counted(pairs.problems) == ({"rows that cannot be parsed": len(bad)} if bad else {})


ODD_COLUMNS = [
    pa.array([datetime(2020, 1, 1), None]),
    pa.array([2**62, None], pa.timestamp("s")),
    pa.array([2**31 - 1, None], pa.date32()),
    pa.array([1, None], pa.duration("ns")),
    pa.array([1.5, None], pa.float16()),
    pa.array([None, None]),
    pa.array([[None], None]),
    pa.array([{}, None], pa.struct([])),
    pa.array([{"bytes": None, "path": None}, None]),
    pa.array([{"bytes": 5}, None]),
    pa.array([[{"bytes": b"x", "path": "p"}], []]),
    pa.array([[["a"]], None]),
    pa.array([{"raw": {"raw": "a"}}, None]),
    pa.array([{"text": 5}, None]),
    pa.array([b"\xff", None]),
    pa.array([[b"\xff"], None]),
    pa.array(["a", None]).dictionary_encode(),
    pa.array([["a"], None], pa.list_(pa.string_view())),
    pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int8())),
    pa.array([True, None]),
    pa.array([b"a" * 16, None], pa.binary(16)),
    pa.array(["x", None], pa.large_string()),
]


def _holds_pictures(column: pa.Array) -> bool:
    """Whether the images would be taken from such a column, since it holds some and `image` only names them."""
    return "bytes: binary" in str(column.type)


@pytest.mark.parametrize("other", ODD_COLUMNS, ids=lambda array: str(array.type)[:40])
@pytest.mark.parametrize("name", ["image", "text", "label", "split", "x"])
def test_a_column_of_any_type_ends_in_pairs_or_one_message(tmp_path: Path, name: str, other: pa.Array) -> None:
    columns = {"image": pa.array(["a.jpg", "b.jpg"]), "text": pa.array(["a dog", "a cat"]), name: other}
    pairs = opened(save_to_disk(tmp_path / "saved", pa.table(columns)), need_text=name != "text")
    if name in ("label", "x") and not _holds_pictures(other):
        assert pairs is not None and len(pairs) == 2


IN_PARQUET = [
    each for each in ODD_COLUMNS if each.type not in (pa.struct([]), pa.timestamp("s")) and not _holds_pictures(each)
]


@pytest.mark.parametrize("first", IN_PARQUET, ids=lambda array: str(array.type)[:40])
def test_parts_whose_other_columns_differ_in_type_are_one_table(tmp_path: Path, first: pa.Array) -> None:
    for number, other in enumerate((first, pa.array(["x", "y"]), pa.array([1, 2]))):
        table = pa.table({"image": ["a.jpg", "b.jpg"], "text": ["a dog", "a cat"], "other": other})
        pq.write_table(table, tmp_path / f"part-{number}.parquet")
    assert open_pairs(tmp_path).texts() == ["a dog", "a cat"] * 3
