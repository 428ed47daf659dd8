"""EfficientNet (Tan & Le, ICML 2019): ALIGN's image tower."""

from openalign.model.efficientnet.settings import ImageTowerSettings

__all__ = ["ImageTowerSettings"]
