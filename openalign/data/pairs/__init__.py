"""Whatever a DATA argument names, as one table of images and texts."""

from openalign.data.pairs.open import open_pairs
from openalign.data.pairs.pairs import Pairs

__all__ = ["Pairs", "open_pairs"]
