"""Page bytes to text: the charset a page declares, else the one its bytes speak for."""

import re

from openalign.curation.html.encoding_labels import codec_of
from openalign.data.files.charset import by_mark, detected

_DECLARED = re.compile(rb"""<meta[^>]{0,400}?charset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_XML_DECLARED = re.compile(rb"""\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]+)""", re.IGNORECASE)
_HEAD = 4096


def decode_page(page: bytes, declared: str | None = None) -> str | None:
    """Return the text of an HTML or Markdown page; None where its bytes are no text in any known charset.

    The order is the browsers': byte order mark, HTTP header (`declared`), `<meta charset>`; then, as many pages declare
    nothing, UTF-8 where the bytes allow it, else detection. Bytes that do not fit a declared charset become U+FFFD.
    """
    if marked := by_mark(page):
        return marked[0]
    if stated := codec_of(declared or "") or _declared_inside(page[:_HEAD]):
        return page.decode(stated, errors="replace")
    try:
        return page.decode("utf-8")
    except UnicodeDecodeError:
        found = detected(page)
        return found[0] if found else None


def _declared_inside(head: bytes) -> str | None:
    found = _DECLARED.search(head) or _XML_DECLARED.match(head)
    charset = codec_of(found[1].decode("ascii", errors="replace")) if found else None
    # A page whose ASCII bytes could be read this far is not UTF-16, whatever it says.
    return "utf-8" if charset and charset.startswith("utf-16") else charset
