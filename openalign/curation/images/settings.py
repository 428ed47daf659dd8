"""What images may be like (paper section 3.1), how they are stored, and the models that score them."""

from pydantic import model_validator

from openalign.comma_list import CommaList
from openalign.settings import Settings


class ImageSettings(Settings):
    """`[image]`: thresholds of the rules about sizes, and the time that an image may take."""

    min_shorter_side: int = 200
    """Pixels; the shorter side must be greater (section 3.1)."""
    max_aspect_ratio: float = 3.0
    """Longer side over shorter side; it must be smaller (section 3.1)."""
    image_seconds: float = 30.0
    """CPU seconds that decoding one image may take; one that takes longer counts as unreadable."""

    @model_validator(mode="after")
    def _check(self) -> "ImageSettings":
        self.expect_between(0, float("inf"), "min_shorter_side")
        self.expect_between(1, float("inf"), "max_aspect_ratio")
        self.expect_more_than_0("image_seconds")
        return self


class StorageSettings(Settings):
    """`[storage]`: how kept images are written into shards."""

    stored_shorter_side: int = 400
    """Pixels; a larger image is shrunk to it before it is stored, which leaves room for the paper's 346 px."""
    jpeg_quality: int = 90
    """Quality of images that are encoded anew: those shrunk, and those that were not JPEG."""
    pairs_per_shard: int = 10_000
    """Pairs in one tar."""

    @model_validator(mode="after")
    def _check(self) -> "StorageSettings":
        self.expect_at_least_1("stored_shorter_side", "pairs_per_shard")
        self.expect_between(1, 100, "jpeg_quality")
        return self


class UnsafeSettings(Settings):
    """`[unsafe]`: the model that recognises pornographic images (section 3.1)."""

    unsafe_images: str | None = None
    """A Hugging Face image classifier (folder or hub name), or `nudenet`; None: no model."""
    unsafe_labels: CommaList = ("nsfw", "porn", "hentai", "explicit", "unsafe")
    """The unsafe classes of that model, in upper or lower case; nudenet has no classes to choose from."""
    unsafe_threshold: float = 0.5
    """Sum of the scores of these classes, of 1, from which on an image is dropped."""

    @model_validator(mode="after")
    def _check(self) -> "UnsafeSettings":
        self.expect_between(0, 1, "unsafe_threshold")
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes of `unsafe_labels`, in lower case."""
        return _lower_case(self.unsafe_labels)


class WatermarkSettings(Settings):
    """`[watermark]`: a model that recognises watermarks, logos or text over an image. Not in the paper."""

    watermark_model: str | None = None
    """A Hugging Face image classifier (folder or hub name); None: no model."""
    watermark_labels: CommaList = ("watermark",)
    """The classes of that model whose images are dropped, in upper or lower case."""
    watermark_threshold: float = 0.5
    """Sum of the scores of these classes, of 1, from which on an image is dropped."""

    @model_validator(mode="after")
    def _check(self) -> "WatermarkSettings":
        self.expect_between(0, 1, "watermark_threshold")
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes of `watermark_labels`, in lower case."""
        return _lower_case(self.watermark_labels)


class SimilaritySettings(Settings):
    """`[similarity]`: a model that scores how well each text fits its image. Not in the paper."""

    similarity_model: str | None = None
    """A dual encoder (folder or hub name)."""
    min_similarity: float | None = None
    """The cosine that this model must give a pair; a good value differs from model to model."""

    @model_validator(mode="after")
    def _check(self) -> "SimilaritySettings":
        if (self.min_similarity is None) != (self.similarity_model is None):
            raise ValueError("similarity_model and min_similarity go together: give both or neither")
        if self.min_similarity is not None:
            self.expect_between(-1, 1, "min_similarity")
        return self


def _lower_case(labels: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(label.strip().lower() for label in labels)
