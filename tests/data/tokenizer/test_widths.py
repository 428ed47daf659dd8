"""Full-width and half-width characters, mapped as by Python."""

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import normalizers

from openalign.data.tokenizer.widths import charsmap, width_steps

FORMS = "".join(map(chr, range(0xFF00, 0xFFF0)))


@settings(deadline=None)
@given(st.text(st.sampled_from("aé\u0301\u3099 ガ漢👍\u200d" + FORMS), max_size=20))
def test_widths_are_folded_and_everything_else_is_left(text: str) -> None:
    steps = normalizers.Sequence([*width_steps(), normalizers.Replace("\u2060", "")])
    plain = "".join(
        unicodedata.normalize("NFKC", each) if 0xFF01 <= ord(each) < 0xFFEF and each != "\uffe3" else each
        for each in text
    )
    assert steps.normalize_str(text) == plain


@settings(deadline=None, max_examples=30)
@given(
    st.dictionaries(
        st.characters(min_codepoint=0x800, max_codepoint=0xFFFD, exclude_categories=["Cs"]),
        st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"]), max_size=3),
        min_size=1,
        max_size=600,
    ),
    st.text(max_size=10),
)
def test_any_map_of_characters_is_applied(replacements: dict[str, str], rest: str) -> None:
    step = normalizers.Precompiled(charsmap(replacements))
    assert [step.normalize_str(character) for character in replacements] == list(replacements.values())
    assert step.normalize_str(rest) == rest or replacements.keys() & set(rest)
