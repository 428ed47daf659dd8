"""srcset: the largest candidate first, and commas inside URLs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openalign.curation.html.srcset import largest_first, read_candidates


def parse_srcset(value: str) -> list[str]:
    return largest_first(read_candidates(value))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a.jpg 480w, b.jpg 1200w, c.jpg 800w", ["b.jpg", "c.jpg", "a.jpg"]),
        ("a.jpg, b.jpg 2x", ["b.jpg", "a.jpg"]),
        ("a.jpg 1.5x,b.jpg 3x", ["b.jpg", "a.jpg"]),
        ("a.jpg", ["a.jpg"]),
        ("a.jpg,", ["a.jpg"]),
        ("  ,, a.jpg ,, ", ["a.jpg"]),
        ("/w_100,h_50/a.jpg 100w, /w_200,h_90/a.jpg 200w", ["/w_200,h_90/a.jpg", "/w_100,h_50/a.jpg"]),
        ("a.jpg (odd, note) 2x, b.jpg", ["a.jpg", "b.jpg"]),
        ("a.jpg large, b.jpg 2x", ["b.jpg", "a.jpg"]),
        ("a.jpg\n  1x,\n  b.jpg\n  2x", ["b.jpg", "a.jpg"]),
        ("a.jpg nanw, b.jpg 10w", ["b.jpg", "a.jpg"]),
        ("", []),
    ],
)
def test_largest_candidate_comes_first(value: str, expected: list[str]) -> None:
    assert parse_srcset(value) == expected


@given(st.text(alphabet="ab,( )\t\n0123456789.wxe-", max_size=80))
def test_parsing_never_raises_and_gives_whole_urls(value: str) -> None:
    for url in parse_srcset(value):
        assert url
        assert not set(url) & set(" \t\n\f\r")
        assert not url.endswith(",")
        assert url in value


urls = st.from_regex(r"[a-z]{1,6}(,[a-z]{1,4})?\.jpg", fullmatch=True)


@given(st.dictionaries(st.integers(1, 9999), urls, min_size=1, max_size=6))
def test_every_written_candidate_is_read_back_by_width(by_width: dict[int, str]) -> None:
    written = ", ".join(f"{url} {width}w" for width, url in by_width.items())
    assert parse_srcset(written) == [by_width[width] for width in sorted(by_width, reverse=True)]
