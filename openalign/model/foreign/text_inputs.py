"""Texts as the inputs of a text tower of the transformers library."""

from collections.abc import Sequence
from typing import Any

import torch
from tokenizers import normalizers

from openalign.data.files.library_errors import library_errors
from openalign.data.tokenizer.wordpiece import CHARACTERS_PER_PIECE, MOST_ENTRIES, whole_characters
from openalign.errors import OpenAlignError

_LEAST_PIECES = 3
"""A word piece and two special tokens."""
_MOST_WITHOUT_POSITIONS = 512
"""Word pieces for a tower with relative positions, whose tokenizer gives no length either."""


class TextInputs:
    """The tokenizer of a dual encoder, which truncates texts to what its text tower takes.

    Args:
        model: a dual encoder of the transformers library.
        tokenizer: its tokenizer.
        name: that of the model, for messages.

    Raises:
        OpenAlignError: the tokenizer has too many entries.
    """

    def __init__(self, model: Any, tokenizer: Any, name: str) -> None:
        if len(tokenizer) > MOST_ENTRIES:
            raise OpenAlignError(
                f"{name}: its tokenizer has {len(tokenizer):,} entries; at most {MOST_ENTRIES:,} are read."
            )
        kind = model.config.model_type
        self.name = name
        self.max_pieces = _longest(model, tokenizer)
        self._vocabulary = int(model.config.text_config.vocab_size)
        siglip = kind in ("siglip", "siglip2")
        self._tokenizer = lower_cased(tokenizer) if siglip else tokenizer
        # SigLIP was trained with texts padded to full length, and attends to the padding.
        self._padding: str | bool = "max_length" if siglip else True

    def __call__(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        """Texts -> ids and masks (B, T), by the names that the text tower gives them.

        Raises:
            OpenAlignError: the tokenizer fails on a text, or gives an id that the model has no embedding for.
        """
        short = [whole_characters(text[: CHARACTERS_PER_PIECE * self.max_pieces]) for text in texts]
        with library_errors(f"{self.name}: its tokenizer failed over a text"):
            tokens: dict[str, torch.Tensor] = dict(
                self._tokenizer(
                    short, padding=self._padding, truncation=True, max_length=self.max_pieces, return_tensors="pt"
                )
            )
        if (largest := int(tokens["input_ids"].max())) >= self._vocabulary:
            raise OpenAlignError(
                f"{self.name}: its tokenizer gives the id {largest:,}, but the model has only {self._vocabulary:,} "
                "entries: it is the tokenizer of another model."
            )
        return tokens


def _longest(model: Any, tokenizer: Any) -> int:
    """Word pieces of the longest text: as many as the text tower has positions for, or fewer if the tokenizer says so.

    RoBERTa and its relatives begin to count after the padding's id, so some of their positions are never used.
    """
    positions = getattr(model.config.text_config, "max_position_embeddings", None) or _MOST_WITHOUT_POSITIONS
    for name, module in model.named_modules():
        first = getattr(module, "padding_idx", None)
        if name.endswith("position_embeddings") and first is not None and module.num_embeddings == positions:
            positions -= first + 1
            break
    return int(min(positions, max(_LEAST_PIECES, tokenizer.model_max_length)))


def lower_cased(tokenizer: Any) -> Any:
    """The tokenizer of a SigLIP model, changed so that it puts texts in lower case, as the model was trained.

    SigLIP 2 has the tokenizer of Gemma, with which transformers keeps capital letters (5.0 always, 5.23 for models of
    one image size); SigLIP's own tokenizer, and the `Siglip2Tokenizer` for NaFlex, put texts in lower case themselves.
    """
    if type(tokenizer).__name__ == "GemmaTokenizer":
        backend = tokenizer.backend_tokenizer
        backend.normalizer = normalizers.Sequence(
            [normalizers.Lowercase(), *([backend.normalizer] if backend.normalizer else [])]
        )
    return tokenizer
