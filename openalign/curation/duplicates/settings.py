"""When two images are near-duplicates."""

from pydantic import model_validator

from openalign.settings import Settings


class DuplicateSettings(Settings):
    """`[duplicates]`: thresholds of near-duplicate detection, chosen as docs/explanation/curation.md tells."""

    duplicate_hash_bits: int = 14
    """Bits of the 64-bit perceptual hash that may differ in two images that are then compared pixel by pixel."""
    duplicate_correlation: float = 0.9
    """Correlation of two aligned grey thumbnails from which on they are near-duplicates."""
    duplicate_detail: float = 0.82
    """Correlation of their details, which must be reached as well."""
    duplicate_colour: float = 12.0
    """Mean difference of Cb and Cr, of 256 levels, up to which the colours of near-duplicates may differ."""
    drop_near_duplicates: bool = False
    """Whether only the first of several near-duplicates among the kept images stays. Not in the paper."""
    duplicate_model: str | None = None
    """A dual encoder (folder or hub name) that finds near-duplicates of test images instead, as in the paper."""
    duplicate_cosine: float = 0.975
    """Cosine of two embeddings of that model; closer images are near-duplicates (Appendix A)."""

    @model_validator(mode="after")
    def _check(self) -> "DuplicateSettings":
        self.expect_between(0, 64, "duplicate_hash_bits")
        self.expect_between(-1, 1, "duplicate_correlation", "duplicate_detail", "duplicate_cosine")
        self.expect_between(0, 256, "duplicate_colour")
        return self
