"""A WordPiece vocabulary learned from texts, and texts as its ids."""

import json
import os
import pickle
from pathlib import Path

import pytest
import tokenizers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from openalign.checksums import checksum_file
from openalign.data.tokenizer import wordpiece
from openalign.data.tokenizer.limits import MOST_TOKENIZER_BYTES
from openalign.data.tokenizer.wordpiece import Tokenizer, train_tokenizer, whole_characters
from openalign.errors import OpenAlignError

TEXTS = [
    f"{size} {colour} {thing} über dem Haus, 苹果 {number}".capitalize()
    for number, size in enumerate(("large", "little"))
    for colour in ("red", "green", "blue", "greenish")
    for thing in ("apple", "apples", "pineapple", "tree house")
] * 5


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return train_tokenizer(TEXTS, tmp_path / "tokenizer.json", size=150)


def test_equal_texts_in_any_order_give_equal_files(file: Path, tmp_path: Path) -> None:
    again = train_tokenizer(iter(TEXTS[::-1]), tmp_path / "again.json", size=150)
    assert again.read_bytes() == file.read_bytes()


def test_the_vocabulary_has_at_most_the_size_asked_for(file: Path) -> None:
    assert Tokenizer.load(file).size <= 150


def test_a_text_is_framed_and_padded_to_the_longest(file: Path) -> None:
    ids_BT, mask_BT = Tokenizer.load(file)(["red apple", "little red apple tree", ""])
    assert ids_BT.dtype == mask_BT.dtype == "int64"
    assert ids_BT[:, 0].tolist() == [2, 2, 2]
    assert mask_BT.sum(axis=1).tolist() == [4, 6, 2]
    assert ids_BT[2].tolist() == [2, 3, 0, 0, 0, 0]


def test_a_long_text_loses_its_end_but_not_its_closing_piece(file: Path) -> None:
    ids_BT, mask_BT = Tokenizer.load(file)(["red apple " * 50], max_pieces=7)
    assert ids_BT.shape == mask_BT.shape == (1, 7)
    assert (ids_BT[0, 0], ids_BT[0, -1]) == (2, 3)


def test_case_is_folded_and_accents_are_kept(file: Path) -> None:
    ids_BT, _ = Tokenizer.load(file)(["Über", "über", "U\u0308ber", "uber"])
    rows = [row.tolist() for row in ids_BT]
    assert rows[0] == rows[1] == rows[2] != rows[3]


def test_no_texts_give_no_rows(file: Path) -> None:
    ids_BT, mask_BT = Tokenizer.load(file)([])
    assert ids_BT.shape == mask_BT.shape == (0, 0)


def test_a_saved_folder_opens_with_transformers_and_means_the_same(file: Path, tmp_path: Path) -> None:
    ours = Tokenizer.load(file)
    ours.save(tmp_path / "model")
    texts = ["a large red apple", "苹果 über!", ""]
    expected = ours(texts)[0].tolist()
    for theirs in (
        AutoTokenizer.from_pretrained(tmp_path / "model"),
        PreTrainedTokenizerFast(tokenizer_file=str(file), pad_token="[PAD]"),
    ):
        assert theirs(texts, padding=True)["input_ids"] == expected
    assert Tokenizer.load(tmp_path / "model")(texts)[0].tolist() == expected


def test_it_goes_to_workers(file: Path) -> None:
    ours = Tokenizer.load(file)
    assert pickle.loads(pickle.dumps(ours))(["red"])[0].tolist() == ours(["red"])[0].tolist()


def test_texts_without_words_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(OpenAlignError, match="no words"):
        train_tokenizer(["", "  "], tmp_path / "tokenizer.json")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_or_foreign_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(OpenAlignError, match=r"tokenizer\.json does not exist: make it with `openalign tokenizer"):
        Tokenizer.load(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(OpenAlignError, match=r"tokenizer\.json is not a supported tokenizer"):
        Tokenizer.load(tmp_path)


@pytest.mark.slow
def test_truncating_a_text_beyond_its_last_piece_has_no_effect(file: Path) -> None:
    ours = Tokenizer.load(file)
    words = "red apple, über dem Haus " * 10
    for long in (words * 1000, "x" * 1_000_000, words * 2 + " " * 1_000_000 + words):
        expected = [ours._truncate(each.ids, 64) for each in ours._fast.encode_batch([long])]
        assert ours([long], max_pieces=64)[0].tolist() == expected


def test_a_file_above_the_stated_size_is_not_parsed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizers.Tokenizer, "from_file", None)
    os.truncate(file, MOST_TOKENIZER_BYTES + 1)
    with pytest.raises(OpenAlignError, match=r"tokenizer\.json: has [\d,]+ bytes; at most 104,857,600 are read"):
        Tokenizer.load(file)


def test_a_file_that_is_damaged_is_refused(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"apple", b"apply"))
    with pytest.raises(OpenAlignError, match=r"tokenizer\.json has changed since it was written"):
        Tokenizer.load(file)


def test_a_vocabulary_above_the_stated_size_or_with_a_hole_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checksum_file(file).unlink()
    content = json.loads(file.read_text())
    size = len(content["model"]["vocab"])
    content["model"]["vocab"]["applesauce"] = size + 1
    file.write_text(json.dumps(content))
    with pytest.raises(OpenAlignError, match=rf"has {size + 1} entries, but one has the id {size + 1}"):
        Tokenizer.load(file)
    content["model"]["vocab"]["applesauce"] = size
    file.write_text(json.dumps(content))
    assert wordpiece.MOST_ENTRIES == 1_048_576
    monkeypatch.setattr(wordpiece, "MOST_ENTRIES", size)
    with pytest.raises(OpenAlignError, match=rf"has {size + 1} entries, but must have 1 to {size}\."):
        Tokenizer.load(file)


def test_a_device_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").symlink_to("/dev/null")
    with pytest.raises(OpenAlignError, match="is not a regular file"):
        Tokenizer.load(tmp_path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_a_damaged_file_is_a_tokenizer_or_an_error_message(file: Path, where: float, byte: int) -> None:
    content = bytearray(file.read_bytes())
    content[int(where * len(content))] = byte
    damaged = file.with_name("damaged.json")
    damaged.write_bytes(content)
    try:
        Tokenizer.load(damaged)(["a large red apple", ""])
    except OpenAlignError as error:
        assert "damaged.json" in str(error) or "tokenizer failed on a text" in str(error)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("red \udc80apple", "red \ufffdapple"),
        ("\ud83d", "\ufffd"),
        ("\ud83c\udf4e red", "\U0001f34e red"),
        ("über 苹果 \U0001f34e", "über 苹果 \U0001f34e"),
        ("", ""),
    ],
)
def test_half_a_character_counts_as_an_unknown_one(file: Path, text: str, whole: str) -> None:
    assert whole_characters(text) == whole
    tokenizer = Tokenizer.load(file)
    assert tokenizer([text])[0].tolist() == tokenizer([whole])[0].tolist()


class PanicException(BaseException):
    """Stands for the panic of a Rust library, which is no `Exception`."""


def test_a_panic_of_the_library_is_an_error_message(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def panic(*_: object) -> None:
        raise PanicException("retry limit in match over")

    class Panics:
        encode_batch = panic

    ours = Tokenizer.load(file)
    ours._fast = Panics()
    with pytest.raises(OpenAlignError, match=r"the tokenizer failed on a text .*retry limit"):
        ours(["a"])
    monkeypatch.setattr(tokenizers.Tokenizer, "from_file", panic)
    with pytest.raises(OpenAlignError, match="is not a tokenizer"):
        Tokenizer.load(file)
