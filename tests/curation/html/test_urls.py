"""Addresses resolve as in a browser; the expected values were written down from the WHATWG URL standard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openalign.curation.html.urls import host_of, normalise, resolve

PAGE = "https://example.org/books/one/index.html?edition=2"


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("a.jpg", "https://example.org/books/one/a.jpg"),
        ("./a.jpg", "https://example.org/books/one/a.jpg"),
        ("../a.jpg", "https://example.org/books/a.jpg"),
        ("../../../../a.jpg", "https://example.org/a.jpg"),
        ("images/%2e%2E/a.jpg", "https://example.org/books/one/a.jpg"),
        ("/a.jpg", "https://example.org/a.jpg"),
        ("//cdn.example.org/a.jpg", "https://cdn.example.org/a.jpg"),
        ("?v=2", "https://example.org/books/one/index.html?v=2"),
        ("a.jpg?v=1#top", "https://example.org/books/one/a.jpg?v=1"),
        (r"images\a.jpg", "https://example.org/books/one/images/a.jpg"),
        (r"\images\a.jpg", "https://example.org/images/a.jpg"),
        (r"\\cdn.example.org\a.jpg", "https://cdn.example.org/a.jpg"),
        (r"a.jpg?path=x\y", r"https://example.org/books/one/a.jpg?path=x\y"),
        ("  a.jpg\n", "https://example.org/books/one/a.jpg"),
        ("a\n\tb.jpg", "https://example.org/books/one/ab.jpg"),
        ("my photo.jpg", "https://example.org/books/one/my%20photo.jpg"),
        ("my%20photo.jpg", "https://example.org/books/one/my%20photo.jpg"),
        ("100%.jpg", "https://example.org/books/one/100%.jpg"),
        ("größe.jpg", "https://example.org/books/one/gr%C3%B6%C3%9Fe.jpg"),
        ("a{b}.jpg", "https://example.org/books/one/a%7Bb%7D.jpg"),
        ("a.jpg?q=1 2", "https://example.org/books/one/a.jpg?q=1%202"),
        ("HTTP://Example.ORG:80/A.jpg", "http://example.org/A.jpg"),
        ("https:a.jpg", "https://example.org/books/one/a.jpg"),
        ("http:other.org/a.jpg", "http://other.org/a.jpg"),
        ("https:/a.jpg", "https://example.org/a.jpg"),
        ("https://example.org:8443/a.jpg", "https://example.org:8443/a.jpg"),
        ("https://user:secret@example.org/a.jpg", "https://example.org/a.jpg"),
        ("http://bücher.example/a.jpg", "http://xn--bcher-kva.example/a.jpg"),
        ("http://[2001:DB8::1]/a.jpg", "http://[2001:db8::1]/a.jpg"),
        ("a:b.jpg", None),
        ("data:image/gif;base64,R0lGODlhAQABAAAAACw=", None),
        ("javascript:void(0)", None),
        ("http://", None),
        ("http://exa mple.org/a.jpg", None),
        ("", None),
        ("#top", None),
    ],
)
def test_reference_resolves_as_in_a_browser(reference: str, expected: str | None) -> None:
    assert resolve(PAGE, reference) == expected


@given(st.text(max_size=60))
def test_resolving_never_raises_and_gives_a_normalised_url(reference: str) -> None:
    url = resolve(PAGE, reference)
    if url is not None:
        assert url.startswith(("http://", "https://"))
        assert url.isascii()
        assert not set(url) & set(" \t\r\n#")
        assert normalise(url) == url


def test_host_comes_without_port() -> None:
    assert host_of("https://example.org:8443/a.jpg") == "example.org"
    assert host_of("photos/a.jpg") is None


def test_a_host_longer_than_any_name_leads_nowhere() -> None:
    longest = ".".join(["a" * 49] * 5) + ".abc"
    assert resolve("http://a.org/", f"http://{longest}/x") == f"http://{longest}/x"
    assert resolve("http://a.org/", f"http://{longest}d/x") is None
    assert resolve("http://a.org/", "http://" + "\u4e00" * 100_000 + "/x") is None
