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

    Every character of the texts has a piece for each place that it may have in a word, so that none of the texts, nor
    its words in another order, gives [UNK]. Without any word in the texts there are only special pieces.
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
    missing = _missing(characters, learner.pre_tokenizer)
    # A piece that begins a word and the same one that continues a word become one, so twice as many are learned.
    pieces = _learn(learner, cut, size * 2 if marks else size, first)
    kept = list(dict.fromkeys(map(_as_continuing, pieces)))
    kept = kept[: max(size - len(missing), len(first))]
    return {token: number for number, token in enumerate([*kept, *missing])}


def unspaced_of(vocabulary: Iterable[str]) -> list[int]:
    """The code points of scripts without spaces that are pieces, in order."""
    bodies = (token.removeprefix(CONTINUES) for token in vocabulary)
    return sorted(ord(body) for body in bodies if len(body) == 1 and is_unspaced_letter(body))


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


def _missing(characters: Sequence[str], splitter: pre_tokenizers.PreTokenizer) -> list[str]:
    """Pieces for places that characters of the texts may have, but do not: inside a word, or in another emoji."""
    known = set(characters)
    begin = [character for character in characters if len(character) == 1 and CONTINUES + character not in known]
    inside = [each for each in begin if 1 in (len(splitter.pre_tokenize_str(first + each)) for first in ("a", each))]
    joining = SEQUENCE_PARTS if any(map(IS_EMOJI.fullmatch, characters)) else ""
    return [*(CONTINUES + each for each in inside), *(part for part in joining if part not in known)]
