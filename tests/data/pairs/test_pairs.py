"""Pairs: rows chosen by value or number, names for messages, fingerprints."""

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from openalign.data.pairs.open import open_pairs
from openalign.data.pairs.pairs import is_filled
from openalign.errors import OpenAlignError
from tests.data.pairs.folders import JPEG, put


def test_rows_are_chosen_by_the_values_of_columns(tmp_path: Path) -> None:
    put(tmp_path, a=None)
    table = tmp_path / "photos.csv"
    table.write_text("file,title,split,year\na.jpg,one,train,1\na.jpg,two,val,1\na.jpg,,val,2\na.jpg,four,val,2\n")
    pairs = open_pairs(table, where={"split": "val", "year": "2"})
    assert pairs.texts() == ["four"]
    assert pairs.row_name(0).endswith("row 4 (a.jpg)")
    assert len(pairs.problems) == 1 and "1 of 4 rows have no text" in pairs.problems[0]
    assert open_pairs(table, need_text=False, where={"year": "2"}).texts() == ["", "four"]
    assert open_pairs(table).where({"split": "val", "year": "2"}).table.equals(pairs.table)
    for where, message in (({"kind": "x"}, "no column `kind`.*image, text, split"), ({"year": "3"}, "row with year=3")):
        with pytest.raises(OpenAlignError, match=message):
            open_pairs(table, where=where)
    assert f"{table}: all of its splits are read (train, val): choose one with --split" in open_pairs(table).problems
    assert open_pairs(table, split="validation").texts() == ["two", "four"]


def test_selected_pairs_keep_their_names_and_go_to_workers(tmp_path: Path) -> None:
    pairs = open_pairs(put(tmp_path, a="one", b="two", c="three")).select([2, 0])
    arrived = pickle.loads(pickle.dumps(pairs))
    assert arrived.texts() == ["three", "one"]
    assert arrived.texts(np.array([1])) == ["one"]
    assert arrived.row_name(0) == f"{tmp_path} row 3 (c.jpg)"


def test_the_fingerprint_follows_images_and_their_order(tmp_path: Path) -> None:
    pairs = open_pairs(put(tmp_path, a="one", b="two"))
    before = pairs.fingerprint()
    assert open_pairs(tmp_path).fingerprint() == before
    assert pairs.select([1, 0]).fingerprint() != before
    (tmp_path / "a.jpg").write_bytes(JPEG + b"\0")
    assert open_pairs(tmp_path).fingerprint() != before


@pytest.mark.parametrize("blank", ["\u200b", "\u00a0 \ufeff", "\u200e\u200f", "\u2060", "\u00ad", "\u3000"])
def test_a_text_of_characters_without_width_is_none(blank: str) -> None:
    texts = pa.chunked_array([[blank, f"a{blank}b", None, "\u00e9", "", blank * 2, "\u4e00" + blank]], pa.string())
    assert is_filled(texts).tolist() == [False, True, False, True, False, False, True]
