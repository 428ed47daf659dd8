"""The word pieces of texts: WordPiece as the tokenizers library learns it, with the words that ICU finds."""

from collections.abc import Iterable, Sequence

import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from openalign.data.tokenizer.splitter import IS_EMOJI, MARK, SEQUENCE_PARTS, normalizer, pre_tokenizer
from openalign.data.tokenizer.unspaced import has_unspaced, is_unspaced_letter, words_of

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CONTINUES = "##"


def learn_vocabulary(texts: Sequence[str], size: int) -> dict[str, int]:
    """About `size` pieces -> ids: special ones, characters, then pieces by how much of the texts they shorten.

    Without any word in the texts there are only special pieces. If there are emoji, the characters that join and modify
    them are the last ones.
    """
    learner = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    learner.normalizer, learner.pre_tokenizer = normalizer(), pre_tokenizer()
    cut = [_cut(text, learner) if has_unspaced(text) else text for text in texts]
    # The trainer numbers characters in the order of a hash table, which differs between runs, and breaks ties between
    # pieces by number. So a first pass only collects the characters, and the second gets them in a fixed order.
    found = _learn(learner, cut, 0, SPECIAL)[len(SPECIAL) :]
    if not found:
        return {token: number for number, token in enumerate(SPECIAL)}
    characters = sorted({_as_continuing(token) for token in found})
    marks = [MARK] if characters != sorted(found) else []
    first = [*SPECIAL, *dict.fromkeys(marks + characters)]
    parts = [part for part in SEQUENCE_PARTS if any(map(IS_EMOJI.fullmatch, characters)) and part not in first]
    # A piece that begins a word and the same one that continues a word become one, so twice as many are learned.
    pieces = _learn(learner, cut, size * 2 if marks else size, first)
    kept = list(dict.fromkeys(map(_as_continuing, pieces)))
    kept = kept[: max(size - len(parts), len(first))]
    return {token: number for number, token in enumerate([*kept, *parts])}


def unspaced_of(vocabulary: Iterable[str]) -> list[int]:
    """The code points of scripts without spaces that are pieces, in order."""
    bodies = (token.removeprefix(CONTINUES) for token in vocabulary)
    return sorted(ord(body) for body in bodies if len(body) == 1 and is_unspaced_letter(body))


def never_inside(vocabulary: Iterable[str]) -> list[int]:
    """The code points that are pieces at the beginning of a word alone, since no text has them further on, in order."""
    known, bert = set(vocabulary), pre_tokenizers.BertPreTokenizer()
    begin = [token for token in known if len(token) == 1 and token != MARK and CONTINUES + token not in known]
    return sorted(ord(each) for each in begin if len(bert.pre_tokenize_str(f"a{each}")) == 1)


def _cut(text: str, learner: tokenizers.Tokenizer) -> str:
    """The text as the learner normalises it, with a space between its words."""
    return " ".join(words_of(learner.normalizer.normalize_str(text)))


def _learn(learner: tokenizers.Tokenizer, texts: Sequence[str], size: int, first_tokens: Sequence[str]) -> list[str]:
    """The pieces found by the library's trainer, in order, the first ones `first_tokens`."""
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=list(first_tokens), show_progress=False)
    learner.train_from_iterator(texts, trainer)
    vocabulary: dict[str, int] = learner.get_vocab()
    return sorted(vocabulary, key=vocabulary.__getitem__)


def _as_continuing(token: str) -> str:
    """The piece as `MARK` leaves it: those of scripts without spaces never begin a word."""
    return CONTINUES + token if is_unspaced_letter(token[0]) else token
