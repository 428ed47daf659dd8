"""Recall on held-out pairs during a run, by the protocol of `openalign evaluate`."""

from dataclasses import dataclass

import torch

from openalign.data.pairs.open import open_pairs
from openalign.data.pairs.pairs import Pairs
from openalign.data.tokenizer.wordpiece import Tokenizer
from openalign.evaluation import retrieval
from openalign.evaluation.protocol import EvaluateSettings
from openalign.model.align import Align
from openalign.model.align_encoder import AlignEncoder
from openalign.training.recipe.recipe import HeldOutSettings


@dataclass(frozen=True)
class HeldOut:
    """Pairs to measure a model on. All processes measure, since a sharded model needs them all."""

    settings: HeldOutSettings
    pairs: Pairs
    model: Align
    tokenizer: Tokenizer

    @classmethod
    def open(cls, settings: HeldOutSettings, model: Align, tokenizer: Tokenizer) -> "HeldOut":
        """Open the pairs. Raises OpenAlignError if there are none."""
        pairs = open_pairs(
            settings.data,
            image_column=settings.image_column,
            text_column=settings.text_column,
            where=settings.where,
            split=settings.split,
            layout=settings.layout,
        )
        return cls(settings, pairs.select(range(min(len(pairs), settings.most))), model, tokenizer)

    def due(self, done: int, steps: int) -> bool:
        """Whether to measure after `done` of `steps` steps."""
        return done % self.settings.every_steps == 0 or done == steps

    def recall(self) -> dict[str, float]:
        """R@1, R@5 and R@10 in both directions, named `text_to_image R@1` etc.; leaves the model in training mode."""
        encoder = AlignEncoder(self.model, self.tokenizer, name="run", fingerprint="")
        try:
            # torch.compile would recompile the towers for evaluation mode and for the last, smaller batch.
            with torch.compiler.set_stance("force_eager"):
                measured = retrieval.measure(encoder, self.pairs, EvaluateSettings()).metrics
        finally:
            self.model.train()
        return {
            f"{direction} {name}": value
            for direction, values in measured.items()
            for name, value in values.items()
            if name.startswith("R@")
        }
