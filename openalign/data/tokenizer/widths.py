"""Full-width and half-width characters to ordinary ones, as a step of a tokenizer.json.

The tokenizers library has NFKC for that, but NFKC also makes `niketm` of `nike™` and `1⁄2` of `½`. Its `Precompiled`
step maps the characters that it is given, and nothing else. It reads SentencePiece's format: the size of a trie in
bytes, the trie as a double array of UTF-8 bytes, and the replacements, a zero byte after each.
"""

import struct
import unicodedata
from collections.abc import Mapping
from typing import Any

from tokenizers import Regex, normalizers

_BLOCK = 256
_HAS_VALUE, _OFFSET, _VALUE = 1 << 8, 10, 1 << 31


def width_steps() -> list[normalizers.Normalizer]:
    """Steps that fold widths. A half-width voiced mark becomes a combining one, which NFC joins to its kana."""
    forms = {chr(code): unicodedata.normalize("NFKC", chr(code)) for code in range(0xFF01, 0xFFEF)}
    folded = {form: plain for form, plain in forms.items() if plain != form and " " not in plain}
    # Precompiled replaces a character with its combining mark, if the two have less than six bytes, by what it has for
    # the character. A word joiner between them makes it see one after the other; a later step removes it.
    apart = normalizers.Replace(Regex("(?<=[\uff01-\uffee])(?=[\u0080-\u07ff])"), "\u2060")
    return [apart, normalizers.Precompiled(charsmap(folded))]


def charsmap(replacements: Mapping[str, str]) -> bytes:
    """A `precompiled_charsmap` that replaces characters; no one's UTF-8 may begin with another's."""
    trie: dict[int, Any] = {}
    texts = b""
    for character, replacement in replacements.items():
        *path, last = character.encode()
        node = trie
        for byte in path:
            node = node.setdefault(byte, {})
        node[last] = len(texts)
        texts += replacement.encode() + b"\0"
    units = _double_array(trie, len(replacements))
    packed = struct.pack(f"<{len(units)}I", *units)
    return struct.pack("<I", len(packed)) + packed + texts


def _double_array(trie: dict[int, Any], leaves: int) -> list[int]:
    """A unit a node: the byte that leads to it, and where its children, or its value, are relative to it.

    A node has its children, and 256 values have theirs, in an aligned block of 256 units.
    """
    values = _BLOCK  # block 0 holds the root alone
    units = [0] * (values + -(-leaves // _BLOCK) * _BLOCK)
    used = 0
    waiting: list[tuple[dict[int, Any] | int, int]] = [(trie, 0)]
    while waiting:
        node, place = waiting.pop()
        if isinstance(node, int):
            units[place] |= (place ^ (values + used)) << _OFFSET | _HAS_VALUE
            units[values + used] = node | _VALUE
            used += 1
            continue
        base = len(units)
        units += [0] * _BLOCK
        units[place] |= (place ^ base) << _OFFSET
        for byte, child in node.items():
            units[base ^ byte] = byte
            waiting.append((child, base ^ byte))
    return units
