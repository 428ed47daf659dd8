"""Page bytes become text by the declared charset, else by detection."""

import codecs
import encodings.aliases

import pytest

from openalign.data.files.charset import _CODECS as CODECS
from openalign.data.files.charset import codec_of, decode_page

ODD = (
    *("idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem", "utf-7", "utf-32"),
    *("cp65001", "base64", "zlib", "rot13", "hex", "bz2", "uu", "quopri", "utf_8_sig", "charmap", "string-escape"),
)
"""Names that Python has, or had, for what is no encoding of pages."""

RUSSIAN = "Красное яблоко лежит на столе рядом с книгой, а за окном уже давно идёт дождь и шумит ветер. " * 3
JAPANESE = "テーブルの上に赤いりんごがあります。窓の外では雨が降っていて、犬が静かに眠っています。" * 3
FRENCH = "Une pomme rouge posée sur la table près de la fenêtre, où l'été s'achève déjà à côté du café. " * 3


def page(text: str, head: str = "") -> str:
    return f'<!DOCTYPE html><html><head>{head}<title>x</title></head><body><img alt="{text}" src="a.jpg"></body></html>'


@pytest.mark.parametrize(
    ("text", "charset", "header", "head"),
    [
        (RUSSIAN, "utf-8", "UTF-8", ""),
        (RUSSIAN, "utf-8", None, ""),
        (RUSSIAN, "windows-1251", "windows-1251", ""),
        (RUSSIAN, "windows-1251", None, '<meta charset="windows-1251">'),
        (RUSSIAN, "koi8-r", None, "<meta http-equiv='Content-Type' content='text/html; charset=koi8-r'>"),
        (JAPANESE, "shift_jis", "Shift_JIS", ""),
        (JAPANESE, "shift_jis", None, "<META CHARSET=x-sjis>"),
        (JAPANESE, "euc-jp", None, '<meta charset="euc-jp">'),
        (FRENCH, "cp1252", "iso-8859-1", ""),
        ("“quoted” – dash", "cp1252", None, '<meta charset="iso-8859-1">'),
        (FRENCH, "utf-8", "no-such-charset", ""),
        (FRENCH, "utf-8", None, '<meta charset="utf-16">'),
    ],
)
def test_declared_charset_is_used(text: str, charset: str, header: str | None, head: str) -> None:
    html = page(text, head)
    assert decode_page(html.encode(charset), header) == html


@pytest.mark.parametrize("mark", [codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
def test_byte_order_mark_beats_everything_declared(mark: bytes) -> None:
    charset = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}[mark]
    html = page(RUSSIAN, '<meta charset="windows-1251">')
    assert decode_page(mark + html.encode(charset), "iso-8859-1") == html


@pytest.mark.parametrize(("text", "charset"), [(RUSSIAN, "windows-1251"), (JAPANESE, "shift_jis"), (FRENCH, "cp1252")])
def test_undeclared_charset_is_detected(text: str, charset: str) -> None:
    html = page(text)
    assert decode_page(html.encode(charset)) == html


def test_bytes_outside_a_declared_charset_do_not_lose_the_page() -> None:
    assert decode_page(b"<p>caf\xe9 table</p>", "utf-8") == "<p>caf\ufffd table</p>"


def test_bytes_that_are_not_text_give_none() -> None:
    noise = bytes((i * i * 37 + i * 11) % 256 for i in range(4000))
    assert decode_page(b"\x00\xff\xfe\x81" + noise) is None


@pytest.mark.parametrize("declared", ["header", "meta"])
def test_no_name_of_a_python_codec_ends_the_reading_of_a_page(declared: str) -> None:
    html = page(FRENCH)
    for name in sorted({*encodings.aliases.aliases, *encodings.aliases.aliases.values(), *ODD, *CODECS}):
        for shown in (name, name.replace("_", "-"), name.upper()):
            if declared == "header":
                assert decode_page(html.encode(), shown) is not None
            else:
                assert decode_page(page(FRENCH, f'<meta charset="{shown}">').encode()) is not None


@pytest.mark.parametrize("name", ODD)
def test_a_codec_that_is_not_an_encoding_of_pages_is_ignored(name: str) -> None:
    html = page(RUSSIAN)
    assert decode_page(html.encode(), name) == html
    assert codec_of(name) is None


def test_every_label_names_a_text_encoding_that_python_has() -> None:
    for label, codec in CODECS.items():
        assert label == label.strip().lower()
        assert codecs.lookup(codec)._is_text_encoding
        assert bytes(range(32, 126)).decode(codec).isprintable() or codec.startswith("utf-16")
    assert len(CODECS) == 222  # the 228 of the standard without the six of its encoding "replacement"


@pytest.mark.parametrize(
    ("label", "codec"),
    [
        (" UTF8 ", "utf-8"),
        ("Latin1", "cp1252"),
        ("x-sjis", "cp932"),
        ("windows-949", "cp949"),
        ("GB2312", "gb18030"),
        ("ISO-8859-8-I", "iso8859-8"),
        ("'big5'", "big5hkscs"),
        ("unicode", "utf-16-le"),
        ("hz-gb-2312", None),
        ("iso-2022-kr", None),
        ("", None),
    ],
)
def test_labels_are_read_as_browsers_do(label: str, codec: str | None) -> None:
    assert codec_of(label) == codec
