"""Words of any script as pieces: nothing that the training texts hold is lost, in any order, also in transformers."""

import random
import unicodedata
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from openalign.data.tokenizer import unspaced
from openalign.data.tokenizer.splitter import MARK, normalizer, pre_tokenizer
from openalign.data.tokenizer.unspaced import class_of, is_unspaced_letter, unspaced_letters, words_of
from openalign.data.tokenizer.vocabulary import SPECIAL, learn_vocabulary
from openalign.data.tokenizer.wordpiece import Tokenizer, train_tokenizer
from openalign.extras import MissingExtra

TEXTS = {
    "th": "ภาพแมวสีดำบนโต๊ะไม้ แมวและสุนัข",
    "lo": "ຮູບພາບແມວສີດຳ ແມວ",
    "km": "រូបភាពឆ្មាខ្មៅ ឆ្មា",
    "my": "ကြောင်မည်းပုံ ကြောင်",
    "ja": "赤いリンゴの写真、リンゴとコーヒー",
    "zh": "红色的苹果放在木桌上，苹果",
    "ko": "빨간 사과와 검은 고양이",
    "fa": "سیب‌های قرمز را می‌خواهم",
    "hi": "लाल सेब क्‍ष और मेज़",
    "tr": "ılık sıcak ilik İstanbul'da kırmızı elma",
    "el": "κόκκινο μήλο στον δρόμος",
    "vi": "quả táo đỏ trên bàn gỗ",
    "emoji": "I❤️NY 👨‍👩‍👧 family 👍🏽 🇩🇪 1️⃣ 🏴󠁧󠁢󠁥󠁮󠁧󠁿 ★★★ nike™",
    "en": "a red apple on a wooden table, 3×4 m²",
}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_tokenizer(list(TEXTS.values()) * 3, tmp_path_factory.mktemp("texts") / "tokenizer.json", size=2000)


@pytest.fixture(scope="module")
def trained(file: Path) -> tokenizers.Tokenizer:
    Tokenizer.load(file)
    return tokenizers.Tokenizer.from_file(str(file))


def pieces(trained: tokenizers.Tokenizer, text: str) -> list[str]:
    return list(trained.encode(text).tokens[1:-1])


@pytest.mark.parametrize("language", TEXTS)
def test_the_parts_of_a_text_in_any_order_have_no_unknown_piece(trained: tokenizers.Tokenizer, language: str) -> None:
    rng = random.Random(0)
    characters = list(trained.normalizer.normalize_str(TEXTS[language]).replace(MARK, ""))
    for _ in range(50):
        rng.shuffle(characters)
        text = "".join(characters)
        composed = unicodedata.normalize("NFC", text) != text  # a letter and a mark that become another letter
        assert composed or "[UNK]" not in pieces(trained, text), text


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.sampled_from([part for text in TEXTS.values() for part in text.split()]), max_size=30), st.booleans()
)
def test_transformers_encodes_alike(file: Path, trained: tokenizers.Tokenizer, words: list[str], apart: bool) -> None:
    text = (" " if apart else "").join(words)
    theirs = PreTrainedTokenizerFast(tokenizer_file=str(file), pad_token="[PAD]")
    assert theirs([text])["input_ids"] == [trained.encode(text).ids]
    assert "[UNK]" not in pieces(trained, text)


@pytest.mark.parametrize(
    ("language", "word"),
    [("th", "แมว"), ("lo", "ແມວ"), ("km", "ឆ្មា"), ("my", "ကြောင်"), ("ja", "リンゴ"), ("zh", "苹果")],
)
def test_a_word_has_the_same_pieces_alone_and_inside_a_run(
    trained: tokenizers.Tokenizer, language: str, word: str
) -> None:
    alone = pieces(trained, word)
    assert alone[0] == MARK and "".join(alone[1:]).replace("##", "") == word
    inside = pieces(trained, TEXTS[language])
    assert any(inside[at : at + len(alone) - 1] == alone[1:] for at in range(len(inside)))


@pytest.mark.parametrize("language", ["th", "lo", "km", "my", "ja", "zh"])
def test_a_run_of_any_length_has_no_unknown_piece(trained: tokenizers.Tokenizer, language: str) -> None:
    text = TEXTS[language].replace(" ", "")
    for length in (63, 64, 65, 99, 100, 101, 129, 1000):
        found = pieces(trained, (text * 100)[:length])
        assert "[UNK]" not in found and found.count(MARK) >= length // 65
        assert len(found) < length + found.count(MARK)


def test_words_that_icu_finds_become_pieces(trained: tokenizers.Tokenizer) -> None:
    assert pieces(trained, "แมว") == [MARK, "##แมว"]
    assert pieces(trained, "红色的苹果")[-1] == "##苹果"
    assert words_of("红色的苹果") == ["红色", "的", "苹果"]


def test_a_character_that_is_not_in_the_vocabulary_costs_only_itself(trained: tokenizers.Tokenizer) -> None:
    assert pieces(trained, "苹果鬱苹果") == [*pieces(trained, "苹果"), "[UNK]", *pieces(trained, "苹果")]
    assert pieces(trained, "apple鬱") == [*pieces(trained, "apple"), "[UNK]"]
    assert pieces(trained, "apple🛸👍") == [*pieces(trained, "apple"), "[UNK]", *pieces(trained, "👍")]


def test_a_long_run_is_cut_where_its_script_has_no_dictionary(tmp_path: Path) -> None:
    file = train_tokenizer(["ᦀᦁᦂᦃᦄ"], tmp_path / "tokenizer.json")  # New Tai Lue
    encoded = tokenizers.Tokenizer.from_file(str(file)).encode("ᦀᦁᦂᦃᦄ" * 70)
    assert "[UNK]" not in encoded.tokens
    assert pieces(tokenizers.Tokenizer.from_file(str(file)), "a" * 101) == ["[UNK]"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("می‌خواهم", "میخواهم", False),
        ("क्‍ष", "क्ष", False),
        ("app\u200dle", "apple", True),
        ("\u200dapple", "apple", True),
        ("app\u00adle\u200b", "apple", True),
        ("İSTANBUL", "istanbul", True),
        ("i\u0307stanbul", "istanbul", True),
        ("ılık", "ilik", False),
        ("ΔΡΌΜΟΣ", "δρόμος", True),
        ("ＡＰＰＬＥ　３", "apple 3", True),
        ("ﾘﾝｺﾞ", "リンゴ", True),
        ("ﾋﾟ", "ピ", True),
        ("Ａ\u0301", "á", True),
        ("m²", "m2", False),
        ("❤️", "❤", True),
        ("👍🏽", "👍", False),
        ("🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🏴", False),
    ],
)
def test_what_is_written_alike_is_alike_and_nothing_else(
    trained: tokenizers.Tokenizer, one: str, other: str, same: bool
) -> None:
    assert (trained.normalizer.normalize_str(one).split() == trained.normalizer.normalize_str(other).split()) == same
    assert (trained.encode(one).ids == trained.encode(other).ids) == same


def test_emoji_are_the_same_pieces_alone_and_in_sequences(trained: tokenizers.Tokenizer) -> None:
    assert pieces(trained, "👩‍👧") == ["👩", "\u200d", "👧"]
    assert pieces(trained, "👨🏿👧") == ["👨", "🏿", "👧"]  # a skin tone that the texts lack
    assert len(pieces(trained, "🇩🇪🇩🇪")) == 2 * len(pieces(trained, "🇩🇪"))
    assert pieces(trained, "I❤️NY")[1] == "❤"


def test_english_gets_the_vocabulary_of_bert() -> None:
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdeé19", k=rng.randint(1, 6))) for _ in range(200)]
    texts = [" ".join(rng.choices([*words, "(x-ray)", "don't", "nike™", "50%"], k=6)).title() for _ in range(500)]
    assert learn_vocabulary(texts, 200) == of_bert(texts, 200)


def test_a_character_that_only_begins_words_begins_one_anywhere(tmp_path: Path) -> None:
    texts = ["à 3 × 10 (×4) öl"]
    trained = tokenizers.Tokenizer.from_file(str(train_tokenizer(texts, tmp_path / "tokenizer.json")))
    assert pieces(trained, texts[0]) == ["à", "3", "×", "10", "(", "×4", ")", "öl"]
    assert pieces(trained, "10×4") == ["10", "×4"]
    assert pieces(trained, "0à3ö") == ["0", "à", "3", "ö"]


def of_bert(texts: list[str], size: int) -> dict[str, int]:
    def learn(size: int, first: list[str]) -> dict[str, int]:
        learner = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
        learner.normalizer = normalizers.BertNormalizer(strip_accents=False)
        learner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        learner.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=size, special_tokens=first))
        return dict(learner.get_vocab())

    return learn(size, [*SPECIAL, *sorted(learn(0, list(SPECIAL)).keys() - set(SPECIAL))])


def test_training_on_thai_says_that_icu_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openalign.extras.find_spec", lambda name: None)
    unspaced._word_breaker.cache_clear()
    with pytest.raises(MissingExtra, match=r"Thai, .* needs packages .*icu4py.*openalign\[curate\]"):
        train_tokenizer(["แมว"], tmp_path / "tokenizer.json")
    assert list(tmp_path.iterdir()) == []
    train_tokenizer(["a cat"], tmp_path / "tokenizer.json")


def test_a_tokenizer_can_be_shown(trained: tokenizers.Tokenizer) -> None:
    assert all(map(repr, (trained, trained.normalizer, trained.pre_tokenizer)))


@pytest.mark.slow
def test_characters_that_are_too_scattered_for_a_pattern_are_taken_for_all(tmp_path: Path) -> None:
    texts = [chr(code) for code in range(0x20000, 0x40000, 2)]
    file = train_tokenizer(texts, tmp_path / "tokenizer.json")
    assert "[UNK]" not in pieces(tokenizers.Tokenizer.from_file(str(file)), "".join(texts[:300]))
    Tokenizer.load(file)


def test_a_class_lists_ranges_once() -> None:
    assert class_of([0x41, 0x42, 0x43, 0x45]) == "A-CE"
    assert class_of(unspaced_letters()).count("-") < 40
    assert is_unspaced_letter("แ") and not is_unspaced_letter("฿") and not is_unspaced_letter("a")


def test_words_are_split_alike_with_and_without_letters_of_scripts_without_spaces() -> None:
    text = "A red-green Apple, 1,000 £ über 👍 don't"
    codes = [ord("แ")]
    plain, more = (pre_tokenizer(each).pre_tokenize_str(normalizer(each).normalize_str(text)) for each in ((), codes))
    assert plain == more
