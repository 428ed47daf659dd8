"""Page bytes to text: the charset a page declares, else the one its bytes speak for."""

import codecs
import re

from charset_normalizer import from_bytes

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_DECLARED = re.compile(rb"""<meta[^>]{0,400}?charset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_XML_DECLARED = re.compile(rb"""\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]+)""", re.IGNORECASE)
_HEAD = 4096
_SAMPLE = 32_768
# Browsers read these labels as the wider encodings that pages really use (WHATWG Encoding, "names and labels").
_WIDER = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
}
# What pages that declare nothing are written in. Left to choose among all, the detector takes French for Baltic.
_UNDECLARED = (
    *("cp1252", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256"),
    *("cp932", "euc_jp", "gb18030", "big5", "cp949"),
)


def decode_page(page: bytes, declared: str | None = None) -> str | None:
    """Return the text of an HTML or Markdown page; None where its bytes are no text in any known charset.

    The order is the browsers': byte order mark, HTTP header (`declared`), `<meta charset>`; then, as many pages declare
    nothing, UTF-8 where the bytes allow it, else detection. Bytes that do not fit a declared charset become U+FFFD.
    """
    for mark, charset in _BOMS:
        if page.startswith(mark):
            return page[len(mark) :].decode(charset, errors="replace")
    if stated := _codec(declared) or _declared_inside(page[:_HEAD]):
        return page.decode(stated, errors="replace")
    try:
        return page.decode("utf-8")
    except UnicodeDecodeError:
        return _detected(page)


def _declared_inside(head: bytes) -> str | None:
    found = _DECLARED.search(head) or _XML_DECLARED.match(head)
    charset = _codec(found[1].decode("ascii", errors="replace")) if found else None
    # A page whose ASCII bytes could be read this far is not UTF-16, whatever it says.
    return "utf-8" if charset and charset.startswith("utf-16") else charset


def _codec(label: str | None) -> str | None:
    """Return the codec for a charset label, None where there is none (browsers go on as if nothing were declared)."""
    try:
        name = codecs.lookup((label or "").strip(" \"'").lower().removeprefix("x-")).name
        "".encode(name)
    except (LookupError, ValueError):
        return None
    return _WIDER.get(name, name)


def _detected(page: bytes) -> str | None:
    """Return the page as charset-normalizer reads its lines that are not ASCII, which alone tell; None if it cannot."""
    telling = b"\n".join(line for line in page.splitlines() if not line.isascii())[:_SAMPLE]
    matches = from_bytes(telling, cp_isolation=list(_UNDECLARED))
    best = matches.best()
    if best is None:
        return None
    as_good = {name for match in matches if match.coherence >= best.coherence for name in match.could_be_from_charset}
    # Western European where that is as likely as its neighbours, which is what browsers assume too.
    return page.decode("cp1252" if "cp1252" in as_good else best.encoding, errors="replace")
