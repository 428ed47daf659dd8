"""What commands say of the data that they read."""

import logging

import pytest

from openalign.data.announce import announce, described, is_much, tell_left_out
from openalign.data.left_out import Kind, LeftOut, as_json, from_json, refuse_left_out
from openalign.data.pairs.open import open_pairs
from openalign.errors import OpenAlignError


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, "openalign")
    return caplog


def test_one_line_says_how_and_one_for_each_kind_what_is_lost(tmp_path, paint, said):
    for name in "abc":
        paint(tmp_path / f"{name}.png", "red")
    (tmp_path / "t.csv").write_text("image,text\na.png,a\nb.png,b\nc.png,\n,d\n")
    pairs = open_pairs(tmp_path / "t.csv")
    announce(pairs, "test data")
    first, *others = said.messages
    assert first == f"test data read as: table, {len(pairs)} rows (image: image, text: text)"
    assert any(message.startswith("Left out: 1 rows without a text") for message in others)
    assert described(pairs)["lost"] == {problem.kind.value: problem.number for problem in pairs.problems}


def test_a_large_share_is_told_in_colour(said):
    few, many = LeftOut(Kind.ROW_WITHOUT_TEXT, "few"), LeftOut(Kind.FILE_NOT_READ, "many", 20)
    tell_left_out([few, many, "a note"], 80)
    styles = {record.getMessage(): getattr(record, "style", None) for record in said.records}
    assert styles == {
        "Left out: 20 files that cannot be read (20 %): many": "bold yellow",
        "Left out: 1 rows without a text: few": None,
        "a note": None,
    }


def test_files_of_other_programs_are_no_share_of_the_data():
    assert not is_much(Kind.HIDDEN, 1_000, 1)
    assert is_much(Kind.IMAGE_NOT_READ, 2, 8)
    assert not is_much(Kind.IMAGE_NOT_READ, 1, 9)


def test_strict_refuses_losses_and_not_notes_or_hidden_files():
    refuse_left_out("photos", ["a note", LeftOut(Kind.HIDDEN, "photos/.DS_Store")])
    with pytest.raises(OpenAlignError, match=r"photos: 3 rows without a text would be left out.* The first: row 1"):
        refuse_left_out("photos", [LeftOut(Kind.ROW_WITHOUT_TEXT, "row 1", 3)])


def test_problems_survive_json_with_kind_and_number():
    for problem in ("a note", LeftOut(Kind.EXTRA_IMAGE, "a.png", 4)):
        restored = from_json(as_json(problem))
        assert restored == problem and type(restored) is type(problem)
        assert getattr(restored, "number", None) == getattr(problem, "number", None)
