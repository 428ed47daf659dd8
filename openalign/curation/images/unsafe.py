"""Scores of pornographic images (paper section 3.1).

The paper does not name its classifier, and none comes with openalign: `unsafe_images` names an image-classification
model of the transformers library (a folder, or a name on the Hugging Face hub), or `nudenet`, a small detector that
`pip install 'openalign[nudenet]'` installs.
"""

from collections.abc import Sequence

from openalign.curation.images.classifier import Scorer, open_classifier
from openalign.curation.images.settings import UnsafeSettings
from openalign.extras import require

NUDENET = "nudenet"
_NUDE = (
    "FEMALE_GENITALIA_EXPOSED",
    "MALE_GENITALIA_EXPOSED",
    "FEMALE_BREAST_EXPOSED",
    "BUTTOCKS_EXPOSED",
    "ANUS_EXPOSED",
)


def open_unsafe_scorer(settings: UnsafeSettings) -> Scorer:
    """The model that `unsafe_images` names.

    Raises OpenAlignError if it cannot be loaded, or has no class among `unsafe_labels`.
    """
    if settings.unsafe_images == NUDENET:
        return _open_nudenet()
    return open_classifier(str(settings.unsafe_images), settings.labels, "unsafe_images", "unsafe_labels")


def _open_nudenet() -> Scorer:
    require("nudenet", "Finding unsafe images with nudenet")
    from nudenet import NudeDetector

    detector = NudeDetector()

    def score(images: Sequence[bytes]) -> list[float]:
        found = (detector.detect(image) for image in images)
        return [max((part["score"] for part in parts if part["class"] in _NUDE), default=0.0) for parts in found]

    return score
