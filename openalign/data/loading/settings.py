"""Settings of the batches: size, crops, augmentation, workers."""

from dataclasses import dataclass, fields
from typing import Any, Self

from openalign.data.tokenizer.wordpiece import MAX_PIECES
from openalign.errors import OpenAlignError


@dataclass(frozen=True)
class LoaderSettings:
    """How batches are made."""

    batch_size: int
    """Pairs in a step, over all ranks (16,384 in the paper)."""
    seed: int
    image_size: int
    """Side of the crop that the model sees, in pixels (289 in the paper)."""
    resize_size: int
    """Side, in pixels, to which the whole image is resized before the crop, whatever its aspect (346 in the paper)."""
    max_pieces: int = MAX_PIECES
    """Word pieces kept of a text, [CLS] and [SEP] included (64 in the paper)."""
    workers: int = 1
    """Processes that build batches; 0 builds them in this one."""
    flip: bool = True
    """Mirror each image with probability 1/2."""
    crop: bool = True
    """Crop at a random position; False crops the centre."""
    crop_scale: float | None = None
    """Smallest share of the resized image's area that a random crop covers; the crop is then resized to image_size.
    None crops image_size x image_size without resizing, as the paper does."""
    word_dropout: float = 0.0
    """Probability of dropping each word of a text; one word is always kept."""
    pin_memory: bool = False
    """Put batches in page-locked memory, which a GPU can copy asynchronously at full speed."""
    shuffle_block: int = 1
    """Consecutive rows that are kept close in the order of an epoch, to be read together; 1 shuffles all rows."""

    @classmethod
    def of(cls, recipe: object, **others: Any) -> Self:
        """Settings from the attributes of `recipe` that have the same names, unless `others` gives them."""
        found = {each.name: getattr(recipe, each.name) for each in fields(cls) if hasattr(recipe, each.name)}
        return cls(**found | others)

    def __post_init__(self) -> None:
        if self.image_size > self.resize_size:
            raise OpenAlignError(
                f"image_size {self.image_size} is larger than resize_size {self.resize_size}: "
                "the crop must fit into the resized image"
            )
