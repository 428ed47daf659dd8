"""What texts may be like (paper section 3.2)."""

from pydantic import model_validator

from openalign.comma_list import CommaList
from openalign.curation.text.language_codes import SHARES, known_code
from openalign.settings import Settings


class TextSettings(Settings):
    """`[text]`: thresholds of the rules about texts. The defaults are the paper's where it gives one."""

    min_words: int = 3
    """Unigrams; a text with fewer is dropped (section 3.2)."""
    max_words: int = 20
    """Unigrams; a text with more is dropped (section 3.2)."""
    languages: CommaList | None = None
    """Codes such as `en,de`: a text that is guessed to be in none of them is dropped. `zxx` stands for texts in no
    language, such as file names. None, as in the paper: any."""
    max_images_per_text: int = 10
    """Distinct images; a text that more of them share is dropped (section 3.2)."""
    max_texts_per_image: int = 1000
    """Distinct texts; an image that has more is dropped (section 3.1)."""
    vocabulary: int = 100_000_000
    """Unigrams and bigrams: how many of the most frequent are not rare (section 3.2)."""

    @model_validator(mode="after")
    def _check(self) -> "TextSettings":
        if not 0 <= self.min_words <= self.max_words:
            raise ValueError(f"min_words {self.min_words} must lie between 0 and max_words {self.max_words}")
        self.expect_at_least_1("max_images_per_text", "max_texts_per_image", "vocabulary")
        for code in self.language_codes:
            if not 2 <= len(code) <= 3:
                raise ValueError(f"languages: {code!r} is no language code, such as en or de")
            if code not in SHARES:
                known = ", ".join(sorted(SHARES))
                raise ValueError(f"languages: texts are not recognised as {code!r}; the codes are {known}")
        return self

    @property
    def language_codes(self) -> tuple[str, ...]:
        """The codes of `languages` that texts are recognised by, in lower case: `no` for `nb`."""
        codes = [code.lower() for code in self.languages or ()]
        return tuple(dict.fromkeys(known_code(code) or code for code in codes))
