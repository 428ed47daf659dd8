"""Text out of bytes: the charset is declared, marked at the start of the bytes, or detected.

Charset labels are those that browsers know (WHATWG Encoding Standard, "names and labels"). Python's own codec names
would not do: some of them are not encodings of text (`idna`, `unicode_escape`, `zlib`), and browsers read many labels
as a wider encoding than the label's name, because pages use them so.
"""

import codecs
import re

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_DECLARED = re.compile(rb"""<meta[^>]{0,400}?charset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_XML_DECLARED = re.compile(rb"""\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]+)""", re.IGNORECASE)
_HEAD_BYTES = 4096
"""A charset declaration is searched in this many bytes."""
_SAMPLE_BYTES = 32_768
# The encodings of files that declare none. With all encodings as candidates, the detector takes French for Baltic.
_CANDIDATES = (
    *("cp1252", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256"),
    *("cp932", "euc_jp", "gb18030", "big5", "cp949"),
)

_LABELS = {
    "utf-8": "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8",
    "cp866": "866 cp866 csibm866 ibm866",
    "iso8859-2": "csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 latin2",
    "iso8859-3": "csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3 latin3",
    "iso8859-4": "csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4 latin4",
    "iso8859-5": "csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso88595 iso_8859-5 iso_8859-5:1988",
    "iso8859-6": "arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6 iso-8859-6-e "
    "iso-8859-6-i iso-ir-127 iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987",
    "iso8859-7": "csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso-ir-126 iso8859-7 iso88597 iso_8859-7 "
    "iso_8859-7:1987 sun_eu_greek",
    "iso8859-8": "csiso88598e csisolatinhebrew hebrew iso-8859-8 iso-8859-8-e iso-ir-138 iso8859-8 iso88598 iso_8859-8 "
    "iso_8859-8:1988 visual csiso88598i iso-8859-8-i logical",
    "iso8859-10": "csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 iso885910 l6 latin6",
    "iso8859-13": "iso-8859-13 iso8859-13 iso885913",
    "iso8859-14": "iso-8859-14 iso8859-14 iso885914",
    "iso8859-15": "csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9",
    "iso8859-16": "iso-8859-16",
    "koi8-r": "cskoi8r koi koi8 koi8-r koi8_r",
    "koi8-u": "koi8-ru koi8-u",
    "mac-roman": "csmacintosh mac macintosh x-mac-roman",
    "cp874": "dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874",
    "cp1250": "cp1250 windows-1250 x-cp1250",
    "cp1251": "cp1251 windows-1251 x-cp1251",
    "cp1252": "ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 "
    "iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii windows-1252 x-cp1252 x-user-defined",
    "cp1253": "cp1253 windows-1253 x-cp1253",
    "cp1254": "cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989 l5 latin5 "
    "windows-1254 x-cp1254",
    "cp1255": "cp1255 windows-1255 x-cp1255",
    "cp1256": "cp1256 windows-1256 x-cp1256",
    "cp1257": "cp1257 windows-1257 x-cp1257",
    "cp1258": "cp1258 windows-1258 x-cp1258",
    "mac-cyrillic": "x-mac-cyrillic x-mac-ukrainian",
    "gb18030": "gb18030 chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 x-gbk",
    "big5hkscs": "big5 big5-hkscs cn-big5 csbig5 x-x-big5",
    "euc_jp": "cseucpkdfmtjapanese euc-jp x-euc-jp",
    "iso2022_jp": "csiso2022jp iso-2022-jp",
    "cp932": "csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis",
    "cp949": "cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 "
    "windows-949",
    "utf-16-be": "unicodefffe utf-16be",
    "utf-16-le": "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le",
}
_CODECS = {label: codec for codec, labels in _LABELS.items() for label in labels.split()}


def codec_of(label: str) -> str | None:
    """Python's codec for a charset label; None for a label that browsers do not know and therefore ignore."""
    return _CODECS.get(label.strip(" \t\n\f\r\"'").lower())


def decode_marked(data: bytes) -> tuple[str, str] | None:
    """The text after a byte order mark and the mark's encoding; None without a mark."""
    for mark, charset in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(charset, errors="replace"), charset
    return None


def utf16_without_mark(start: bytes) -> str | None:
    """Python's codec if bytes are UTF-16 without a byte order mark; None if they are not.

    Every character of ASCII has a zero byte, always on the same side, and no other encoding of text holds zeros.
    """
    zeros = [start[side::2].count(0) for side in (0, 1)]
    if sum(zeros) < 4 or min(zeros) > 0 or 20 * max(zeros) < len(start):
        return None
    return "utf-16-be" if zeros[0] else "utf-16-le"


def decode_detected(data: bytes) -> tuple[str, str] | None:
    """The text of bytes that are not UTF-8 and their most likely encoding; None if the bytes are not text.

    Detection uses the lines that are not pure ASCII; the others carry no information.
    """
    from charset_normalizer import from_bytes  # imported late: training runs without it

    sample = b"\n".join(line for line in data.splitlines() if not line.isascii())[:_SAMPLE_BYTES]
    matches = from_bytes(sample, cp_isolation=list(_CANDIDATES))
    best = matches.best()
    if best is None:
        return None
    as_good = {name for match in matches if match.coherence >= best.coherence for name in match.could_be_from_charset}
    # Among equally likely encodings take Western European, as browsers do.
    charset = "cp1252" if "cp1252" in as_good else best.encoding
    return data.decode(charset, errors="replace"), charset


def decode_page(page: bytes, declared: str | None = None) -> str | None:
    """The text of an HTML or Markdown page; None if the bytes are not text in any known charset.

    Precedence is that of browsers: byte order mark, HTTP header (`declared`), `<meta charset>`. Many pages declare
    nothing: they are decoded as UTF-8 if valid, else by detection. Bytes invalid in a declared charset become U+FFFD.
    """
    if marked := decode_marked(page):
        return marked[0]
    if codec := codec_of(declared or "") or _declared_inside(page[:_HEAD_BYTES]):
        return page.decode(codec, errors="replace")
    try:
        return page.decode("utf-8")
    except UnicodeDecodeError:
        detected = decode_detected(page)
        return detected[0] if detected else None


def _declared_inside(head: bytes) -> str | None:
    found = _DECLARED.search(head) or _XML_DECLARED.match(head)
    codec = codec_of(found[1].decode("ascii", errors="replace")) if found else None
    # The declaration was found as ASCII, so a page that declares UTF-16 is not UTF-16.
    return "utf-8" if codec and codec.startswith("utf-16") else codec
