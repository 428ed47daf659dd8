"""The `srcset` attribute, parsed by the rules of the HTML standard (URLs may contain commas)."""

import re
from collections.abc import Iterable

from openalign.curation.html.urls import resolve

_BLANKS = " \t\n\f\r"
_DESCRIPTOR = re.compile(r"([0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?)([wx])")

Candidate = tuple[float, float, str]
"""Width in pixels or 0, pixel density, URL."""


def resolved_candidates(value: str, base: str) -> list[Candidate]:
    """The candidates of a `srcset`, resolved against `base`; those that cannot be fetched are left out."""
    written = read_candidates(value) if value else []
    return [(width, density, found) for width, density, url in written if (found := resolve(base, url))]


def largest_first(candidates: Iterable[Candidate]) -> list[str]:
    """The URLs of candidates, the largest first (by width, then by pixel density; ties in their order)."""
    return [url for *_, url in sorted(candidates, key=lambda candidate: candidate[:2], reverse=True)]


def read_candidates(value: str) -> list[Candidate]:
    """The candidates of a `srcset` as they are written.

    Follows "parse a srcset attribute" of the HTML standard; never raises. Takes time linear in its length.
    """
    candidates: list[Candidate] = []
    position = 0
    while True:
        while position < len(value) and value[position] in _BLANKS + ",":
            position += 1
        if position == len(value):
            return candidates
        start = position
        while position < len(value) and value[position] not in _BLANKS:
            position += 1
        url = value[start:position]
        descriptors: list[str] = []
        if url.endswith(","):
            url = url.rstrip(",")
        else:
            descriptors, position = _descriptors(value, position)
        if url:
            candidates.append((*_size(descriptors), url))


def _descriptors(value: str, position: int) -> tuple[list[str], int]:
    """The descriptors after a URL, and the position of the comma that ends them (commas in parentheses do not)."""
    depth = 0
    start = position
    while position < len(value):
        character = value[position]
        if character == "," and depth == 0:
            break
        depth += (character == "(") - (character == ")" and depth > 0)
        position += 1
    return value[start:position].split(), position


def _size(descriptors: list[str]) -> tuple[float, float]:
    """(width in pixels or 0, density)"""
    width, density = 0.0, 1.0
    for descriptor in descriptors:
        if found := _DESCRIPTOR.fullmatch(descriptor):
            if found[2] == "w":
                width = float(found[1])
            else:
                density = float(found[1])
    return width, density
