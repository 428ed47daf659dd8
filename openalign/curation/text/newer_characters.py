"""Letters, marks and digits that Unicode 14 to 18 added, which engines know or not, depending on their version.

DuckDB (RE2, utf8proc), Java 17 and Python each have a Unicode version of their own, 13 or later. With these, a word is
the same on all of them. Made by comparing Unicode 13 (Python 3.10) with Unicode 18 (the package unicodedata2 18.0.0):
no character of a word in the former is outside words in the latter, so engines need no character taken away.
"""

_ADDED = """
    558 58B-58C 5C8-5C9 870-887 889-88F 897-89F 8B5 8C8-8D2 B53-B54 C3C C5C-C5D CDC-CDD CF3 ECE 170D 1715 171F 180F
    1AC1-1AF0 1B4C 1C89-1C8A 1DFA 208F 209D-209F 2C2F 2C5F 9FFD-9FFF A7C0-A7C1 A7CB-A7DD A7E2 A7F1-A7F4 AB6C-AB6D
    10570-1057A 1057C-1058A 1058C-10592 10594-10595 10597-105A1 105A3-105B1 105B3-105B9 105BB-105BC 105C0-105F3
    10780-10785 10787-107B0 107B2-107BF 10940-10959 10D40-10D65 10D69-10D6D 10D6F-10D85 10EC2-10EC7 10ECB-10ECF
    10ED9-10EEE 10EF0-10EFF 10F70-10F85 11070-11075 110C2 1123F-11241 11380-11389 1138B 1138E 11390-113B5 113B7-113C0
    113C2 113C5 113C7-113CA 113CC-113D3 113E1-113E2 116D0-116E3 11740-11746 11AB0-11ABF 11B0A 11B60-11B67 11BC0-11BE0
    11BF0-11BF9 11DB0-11DDB 11DE0-11DE9 11DF0-11DF1 11F00-11F10 11F12-11F3A 11F3E-11F42 11F50-11F5A 1246F 12475-1247F
    12550-12686 12F90-12FF0 1342F 13440-13455 13460-143FA 16100-16139 16A70-16ABE 16AC0-16AC9 16D40-16D6C 16D70-16D79
    16EA0-16EB8 16EBB-16ED3 16FF2-16FF6 187F8-187FF 18CD6-18CDA 18CFF 18D09-18D20 18D80-18DF2 18E00-19191 191A0-191D2
    1AFF0-1AFF3 1AFF5-1AFFB 1AFFD-1AFFE 1B11F-1B128 1B132 1B155 1B168 1CCF0-1CCF9 1CF00-1CF2D 1CF30-1CF46 1D127-1D128
    1D250-1D252 1D25B-1D25C 1D25F 1D280-1D281 1D2C0-1D2D3 1D6A6 1DF00-1DF81 1DF90-1DF96 1DFCD-1DFFF 1E030-1E06D 1E08F
    1E290-1E2AE 1E4D0-1E4F9 1E5D0-1E5FA 1E6C0-1E6DE 1E6E0-1E6F5 1E6FE-1E6FF 1E7E0-1E7E6 1E7E8-1E7EB 1E7ED-1E7EE
    1E7F0-1E7FE 2A6DE-2A6DF 2B735-2B73F 2B81E 2CEA2-2CEAD 2EBF0-2EE5D 31350-33479 3D000-3FC3F
"""
# First, last, and what to add to a capital for its small letter.
_LOWERED = """
    1C89:+1 2C2F:+48 A7C0:+1 A7CB:-42343 A7CC:+1 A7CE:+1 A7D0:+1 A7D2:+1 A7D4:+1 A7D6:+1 A7D8:+1 A7DA:+1 A7DC:-42561
    A7DD:-42342 A7E2:-42342 AB6C-AB6D:-33 10570-1057A:+39 1057C-1058A:+39 1058C-10592:+39 10594-10595:+39
    10D50-10D65:+32 16EA0-16EB8:+27 1DF40:+1 1DF48:+1 1DF4A:+1 1DF4D:+1 1DF51:+1 1DF68:+1 1DF6A:+1 1DF6C:+1 1DF6E:+1
    1DF72:+1 1DF74:+1 1DF76:+1 1DF78:+1 1DF7A:+1 1DF7C:+1 1DF7E:+1
"""


def _ranges(text: str) -> list[tuple[int, int]]:
    """Ranges of code points, both ends inclusive."""
    ends = [item.split("-") for item in text.split()]
    return [(int(each[0], 16), int(each[-1], 16)) for each in ends]


def _small_letters(text: str) -> dict[str, str]:
    """Capital -> small letter."""
    found: dict[str, str] = {}
    for item in text.split():
        first_and_last, distance = item.split(":")
        [(first, last)] = _ranges(first_and_last)
        found |= {chr(code): chr(code + int(distance)) for code in range(first, last + 1)}
    return found


ADDED = tuple(_ranges(_ADDED))
"""Ranges of code points, both ends inclusive."""
LOWERED = _small_letters(_LOWERED)
"""Capital -> small letter, of those in `ADDED`."""
