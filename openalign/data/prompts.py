"""What trainers and makers of images write besides captions: the settings of a generator, and a tag in each line."""

import re
from collections.abc import Sequence

_SETTINGS = re.compile(
    r"(?:^|\n)(?:Negative prompt: .*?\n)?Steps: \d+, [^\n]*\b(?:Sampler|CFG scale|Seed|Size): .*", re.S
)
"""What Stable Diffusion's web interfaces write below a prompt."""
_MOST_TAGGED = 0.9
_WITH_SIGNS = 0.1


def without_settings(text: str) -> str:
    """The prompt alone, where the settings it was drawn with follow in lines below (`Steps: 20, Sampler: ...`)."""
    found = _SETTINGS.search(text) if "Steps: " in text else None
    return text if found is None else text[: found.start()].strip()


def hold_a_tag_a_line(lines: Sequence[str]) -> bool:
    """Whether lines are tags as image boards have them: words without blanks, some of them joined (`long_hair`)."""
    words = [line for line in lines if line.isascii() and not any(map(str.isspace, line))]
    joined = sum("_" in word for word in words)
    return bool(lines) and len(words) >= _MOST_TAGGED * len(lines) and joined >= _WITH_SIGNS * len(lines)
