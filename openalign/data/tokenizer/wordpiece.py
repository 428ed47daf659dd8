"""WordPiece: a vocabulary learned from the training texts, and texts as padded batches of its ids.

The file is a Hugging Face `tokenizer.json` that splits words as BERT does, and more where a script needs it: see
`splitter` (paper §4.1: a vocabulary of 100,000 word pieces from the training texts, each text as `[CLS] ... [SEP]` with
at most 64 pieces).
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import decoders, models, processors

from openalign.checksums import check_beside, checksum_file
from openalign.data.files.json_files import check_file
from openalign.data.files.library_errors import library_errors
from openalign.data.tokenizer.limits import MOST_TOKENIZER_BYTES, check_tokenizer
from openalign.data.tokenizer.splitter import MARK, MOST_CHARACTERS, normalizer, pre_tokenizer
from openalign.data.tokenizer.vocabulary import CONTINUES, SPECIAL, learn_vocabulary, never_inside, unspaced_of
from openalign.errors import OpenAlignError
from openalign.files import whole_checked_file

MAX_PIECES = 64
MOST_ENTRIES = 2**20
"""Largest vocabulary; the largest published one has 901,629 entries (XLM-V)."""
CHARACTERS_PER_PIECE = 256
"""Texts are truncated to this many characters per piece that is kept, so that one of 100 MB does not take minutes. The
result is the same for texts made of words, since a word of more than 100 characters is a single piece, [UNK]."""


def train_tokenizer(texts: Iterable[str], to: Path, size: int = 100_000) -> Path:
    """Learn about `size` word pieces from `texts` and write them to the file `to`; returns `to`.

    There are fewer pieces if the texts have no more, and more if they have more distinct characters. Texts are
    lower-cased and normalised to NFC; accents are kept, since they distinguish words in most languages but English.
    Thai, Lao, Khmer, Burmese, Chinese and Japanese are cut into words by ICU here; the file does without.
    The same texts in any order give the same file.

    Raises:
        OpenAlignError: there are no words to learn from, or ICU is needed and not installed.
    """
    vocabulary = learn_vocabulary([whole_characters(text) for text in texts], size)
    if len(vocabulary) == len(SPECIAL):
        raise OpenAlignError("the texts have no words to learn a tokenizer from")
    unspaced = unspaced_of(vocabulary)
    fast = tokenizers.Tokenizer(
        models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=MOST_CHARACTERS)
    )
    fast.normalizer, fast.pre_tokenizer = normalizer(unspaced), pre_tokenizer(unspaced, never_inside(vocabulary))
    fast.add_special_tokens(list(SPECIAL))
    fast.decoder = decoders.Sequence([decoders.WordPiece(prefix=CONTINUES), decoders.Replace(MARK, "")])
    fast.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")],
    )
    with whole_checked_file(to) as partial:  # not `Tokenizer.save`: it raises a plain Exception on a full disk
        partial.write_text(fast.to_str(pretty=True), encoding="utf-8")
    return to


def whole_characters(text: str) -> str:
    """`text` as UTF-8 can encode it: surrogate pairs become their character, lone surrogates U+FFFD.

    Lone surrogates come from JSON (`\\ud83d`) and from command line arguments that are not UTF-8.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class Tokenizer:
    """Turns texts into ids; picklable, so that loader workers can hold it."""

    def __init__(self, fast: tokenizers.Tokenizer) -> None:
        fast.no_padding()
        fast.no_truncation()
        self._fast = fast
        self._pad: int = fast.token_to_id("[PAD]") or 0

    @classmethod
    def load(cls, path: str | Path) -> "Tokenizer":
        """Read a `tokenizer.json`, or the one in a folder.

        Raises:
            OpenAlignError: it does not exist, is damaged, is not a tokenizer, or is refused by `check_tokenizer`.
        """
        file = Path(path) / "tokenizer.json" if Path(path).is_dir() else Path(path)
        if not file.exists():
            raise OpenAlignError(f"{file} does not exist: make it with `openalign tokenizer DATA --to {file}`")
        check_file(file, MOST_TOKENIZER_BYTES)
        check_beside(file, f"make or fetch it again; if you changed it yourself, delete {checksum_file(file).name}")
        check_tokenizer(file)
        with library_errors(f"{file} is not a tokenizer"):
            tokenizer = cls(tokenizers.Tokenizer.from_file(str(file)))
            largest = max(tokenizer._fast.get_vocab().values(), default=0)
        if not 0 < tokenizer.size <= MOST_ENTRIES:
            raise OpenAlignError(f"{file}: has {tokenizer.size:,} entries, but must have 1 to {MOST_ENTRIES:,}.")
        if largest >= tokenizer.size:  # a model with that many entries would have no row for it
            raise OpenAlignError(f"{file}: has {tokenizer.size:,} entries, but one has the id {largest:,}.")
        return tokenizer

    @property
    def size(self) -> int:
        """Number of ids, including special tokens."""
        return int(self._fast.get_vocab_size())

    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of everything that determines the ids of a text."""
        return hashlib.sha256(self._fast.to_str().encode()).hexdigest()

    def __call__(
        self, texts: Sequence[str], max_pieces: int = MAX_PIECES
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Ids and mask, both int64 (B, T), T the longest text but at most `max_pieces`; the mask is 0 on padding.

        Longer texts are truncated before their final [SEP].

        Raises:
            OpenAlignError: the tokenizer fails on these texts; those made by `train_tokenizer` never do.
        """
        short = [whole_characters(text[: CHARACTERS_PER_PIECE * max_pieces]) for text in texts]
        with library_errors("the tokenizer failed on a text"):
            encoded = [self._truncate(encoding.ids, max_pieces) for encoding in self._fast.encode_batch(short)]
        lengths = np.array([len(ids) for ids in encoded], dtype=np.int64)
        longest = int(lengths.max(initial=0))
        mask_BT = (np.arange(longest) < lengths[:, None]).astype(np.int64)
        ids_BT = np.full((len(encoded), longest), self._pad, dtype=np.int64)
        if encoded:
            ids_BT[mask_BT.astype(bool)] = np.concatenate(encoded)
        return ids_BT, mask_BT

    def save(self, folder: Path, max_pieces: int = MAX_PIECES) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json` for `transformers.AutoTokenizer`.

        `max_pieces` is the length at which a tokenizer of transformers truncates: that of the model.
        """
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tokenizer.json").write_text(self._fast.to_str(pretty=True), encoding="utf-8")
        names = {f"{token.strip('[]').lower()}_token": token for token in SPECIAL}
        settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": max_pieces} | names
        (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")

    @staticmethod
    def _truncate(ids: list[int], max_pieces: int) -> list[int]:
        return ids if len(ids) <= max_pieces else [*ids[: max_pieces - 1], ids[-1]]
