"""Limits of an untrusted SentencePiece model: trained ones pass, the rest is refused before the library loads it."""

import base64
import os
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from sentencepiece import sentencepiece_model_pb2

from openalign.data.tokenizer.limits import MOST_CHARSMAP_CHARACTERS, check_sentencepiece
from openalign.errors import OpenAlignError
from openalign.model.hub import load
from tests.data.tokenizer.test_tokenizer_limits import charsmap
from tests.model.foreign_folders import TEXTS, siglip_folder


@pytest.fixture(params=["unigram", "bpe", "char"])
def trained(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 20),
        model_prefix=str(tmp_path / "spiece"),
        model_type=request.param,
        vocab_size=45,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return tmp_path / "spiece.model"


def changed(path: Path, change: Any) -> Path:
    format_of: Any = sentencepiece_model_pb2
    model = format_of.ModelProto.FromString(path.read_bytes())
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def test_a_trained_model_passes(trained: Path) -> None:
    check_sentencepiece(trained)


def test_a_rule_by_which_a_text_grows_without_bound_is_refused(trained: Path) -> None:
    def grow(model: Any) -> None:
        model.normalizer_spec.precompiled_charsmap = base64.b64decode(charsmap("x" * (MOST_CHARSMAP_CHARACTERS + 1)))

    with pytest.raises(
        OpenAlignError, match=r"spiece\.model is not a supported tokenizer: .*turns a character into 19"
    ):
        check_sentencepiece(changed(trained, grow))


def test_a_model_without_pieces_is_refused(trained: Path) -> None:
    with pytest.raises(OpenAlignError, match="it has no pieces"):
        check_sentencepiece(changed(trained, lambda model: model.ClearField("pieces")))


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x0a\xff\xff\xff\xff\x0f"])
def test_another_file_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "spiece.model").write_bytes(content)
    with pytest.raises(OpenAlignError, match=r"spiece\.model is not a (SentencePiece model|supported tokenizer)"):
        check_sentencepiece(tmp_path / "spiece.model")


def test_a_fifo_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "spiece.model")
    with pytest.raises(OpenAlignError, match="is not a regular file"):
        check_sentencepiece(tmp_path / "spiece.model")


@pytest.mark.parametrize("size", [0, 100, 1000, 100_000])
def test_a_siglip_folder_with_a_cut_off_model_is_a_message(size: int, tmp_path: Path) -> None:
    folder = siglip_folder(tmp_path / "siglip")
    os.truncate(folder / "spiece.model", size)
    with pytest.raises(OpenAlignError, match=r"spiece\.model is not a|its tokenizer cannot be loaded"):
        load(folder)


def test_a_siglip_folder_without_its_model_is_a_message(tmp_path: Path) -> None:
    folder = siglip_folder(tmp_path / "siglip")
    (folder / "spiece.model").unlink()
    with pytest.raises(OpenAlignError, match=r"tokenizer_config\.json: a SiglipTokenizer needs the model's `spiece"):
        load(folder)


def test_the_model_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    folder = siglip_folder(tmp_path / "siglip")
    before = load(folder).fingerprint

    def other_scores(model: Any) -> None:
        model.pieces[7].score -= 1.0

    changed(folder / "spiece.model", other_scores)
    assert load(folder).fingerprint != before
