"""What a curation can be told: the thresholds of the paper's rules and how images are stored."""

from dataclasses import dataclass

from openalign.curation.html.alt_text import TEXT_SOURCES
from openalign.curation.html.page import PageLimits
from openalign.errors import OpenAlignError


@dataclass(frozen=True)
class CurateSettings:
    """Thresholds of the rules (Section 3 of the paper) and of storage. The defaults are the paper's where it gives one.

    Raises OpenAlignError for a threshold that no pair, or no vocabulary, could meet.
    """

    min_words: int = 3
    """Unigrams; a text with fewer is dropped (Section 3.2)."""
    max_words: int = 20
    """Unigrams; a text with more is dropped (Section 3.2)."""
    languages: str | None = None
    """Codes such as en,de: a text whose language is guessed to be another is dropped. None, as in the paper: any."""
    max_images_per_text: int = 10
    """Distinct images; a text that more of them share is dropped (Section 3.2)."""
    max_texts_per_image: int = 1000
    """Distinct texts; an image that has more is dropped (Section 3.1)."""
    vocabulary: int = 100_000_000
    """Unigrams and bigrams: how many of the most frequent are not rare (Section 3.2)."""
    min_shorter_side: int = 200
    """Pixels; the shorter side must be greater (Section 3.1)."""
    max_aspect_ratio: float = 3.0
    """Longer side over shorter side; it must be smaller (Section 3.1)."""
    unsafe_images: str | None = None
    """The model that recognises pornographic images: a name or folder of transformers, or nudenet; None: no model."""
    unsafe_labels: str = "nsfw,porn,hentai,explicit,unsafe"
    """Which of that model's classes are meant, upper or lower case; nudenet has no classes to choose from."""
    unsafe_threshold: float = 0.5
    """What the model's scores of these classes must add up to, of 1."""
    duplicate_hash_bits: int = 14
    """Of 64 bits of perceptual hash: how many may differ in two images that are then compared pixel by pixel."""
    duplicate_correlation: float = 0.9
    """Correlation of two aligned grey thumbnails from which on they are near-duplicates; see docs/curation.md."""
    duplicate_detail: float = 0.82
    """Correlation of their details, which must be reached as well."""
    duplicate_colour: float = 12.0
    """Mean difference of Cb and Cr, of 256 levels, up to which the colours of near-duplicates may differ."""
    drop_near_duplicates: bool = False
    """Whether of several near-duplicates among the kept images only the first stays. Not in the paper."""
    duplicate_model: str | None = None
    """A dual encoder (folder or hub name) that finds near-duplicates of test images instead, as in the paper."""
    duplicate_cosine: float = 0.975
    """Of two embeddings of that model; closer images are near-duplicates (Appendix A)."""
    similarity_model: str | None = None
    """A dual encoder that scores how well each text fits its image. Not in the paper."""
    min_similarity: float | None = None
    """The cosine that model must give a pair; what is a good one differs from model to model. Not in the paper."""
    stored_shorter_side: int = 400
    """Pixels; a larger image is shrunk to it before it is stored, which leaves room for the paper's 346 px."""
    jpeg_quality: int = 90
    """Of images that are encoded anew: those shrunk, and those that were not JPEG."""
    pairs_per_shard: int = 10_000
    """Pairs in one tar."""
    download: bool = True
    """Whether images that the sources only link to are fetched."""
    allow_private_hosts: bool = False
    """Whether fetching may reach loopback and private addresses."""
    fetch_at_once: int = 32
    """Requests at the same time, over all hosts."""
    fetch_per_host: int = 4
    """Requests at the same time to one host."""
    fetch_max_bytes: int = 20 << 20
    """Of one image; a larger one is refused."""
    fetch_seconds: float = 30.0
    """For one try, redirects and robots.txt included."""
    fetch_redirects: int = 5
    """From one address to the next, at most."""
    fetch_attempts: int = 3
    """Tries of an address that fails for reasons that may pass."""
    fetch_longest_wait: float = 30.0
    """Seconds to wait before a further try; a server that asks for more is left for another run."""
    page_bytes: int = 8 << 20
    """Of one page (HTML, Markdown, or what a WAT record says of one); a larger one is a problem of the report."""
    page_seconds: float = 2.0
    """Processor seconds that reading one page may take; one that takes longer is a problem of the report."""
    image_seconds: float = 30.0
    """Processor seconds that decoding one image may take; one that takes longer counts as unreadable."""
    text_from: str = "alt"
    """Of pages: what an image's text is, the first of these that says anything: alt, title, aria-label, figcaption."""
    image_column: str | None = None
    """Of source tables; None finds it by its usual names."""
    text_column: str | None = None
    """Of source tables; None finds it by its usual names."""
    base_url: str | None = None
    """What relative addresses in folders of pages are relative to; None: their files."""

    def __post_init__(self) -> None:
        if not 0 <= self.min_words <= self.max_words:
            raise OpenAlignError(f"min_words {self.min_words} must lie between 0 and max_words {self.max_words}")
        for name in (
            "max_images_per_text",
            "max_texts_per_image",
            "vocabulary",
            "stored_shorter_side",
            "pairs_per_shard",
            "fetch_at_once",
            "fetch_per_host",
            "fetch_max_bytes",
            "fetch_attempts",
            "page_bytes",
        ):
            if getattr(self, name) < 1:
                raise OpenAlignError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("page_seconds", "image_seconds"):
            if getattr(self, name) <= 0:
                raise OpenAlignError(f"{name} must be more than 0, not {getattr(self, name)}")
        for code in self.language_codes:
            if not 2 <= len(code) <= 3:
                raise OpenAlignError(f"languages: {code!r} is no language code, such as en or de")
        if (self.min_similarity is None) != (self.similarity_model is None):
            raise OpenAlignError("similarity_model and min_similarity go together: give both or neither")
        unknown = [source for source in self.text_sources if source not in TEXT_SOURCES]
        if unknown:
            raise OpenAlignError(f"text_from: there is no {unknown[0]!r}; there are {', '.join(TEXT_SOURCES)}")

    @property
    def page_limits(self) -> PageLimits:
        """What one page may take."""
        return PageLimits(self.page_bytes, self.page_seconds)

    @property
    def language_codes(self) -> tuple[str, ...]:
        """`languages` in its parts."""
        return tuple(code.strip().lower() for code in (self.languages or "").split(",") if code.strip())

    @property
    def unsafe_label_names(self) -> tuple[str, ...]:
        """`unsafe_labels` in its parts."""
        return tuple(label.strip().lower() for label in self.unsafe_labels.split(","))

    @property
    def text_sources(self) -> tuple[str, ...]:
        """`text_from` in its parts."""
        return tuple(source.strip() for source in self.text_from.split(","))
