"""Bytes of unknown encoding to text, by what the bytes themselves say."""

import codecs

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_SAMPLE = 32_768
# What files that declare nothing are written in. Left to choose among all, the detector takes French for Baltic.
_UNDECLARED = (
    *("cp1252", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256"),
    *("cp932", "euc_jp", "gb18030", "big5", "cp949"),
)


def by_mark(data: bytes) -> tuple[str, str] | None:
    """The text behind a byte order mark and the encoding that it names; None without one."""
    for mark, charset in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(charset, errors="replace"), charset
    return None


def detected(data: bytes) -> tuple[str, str] | None:
    """The text of bytes that are not UTF-8, and the likeliest encoding; None where they are text in none that is known.

    Only the lines that are not ASCII are looked at, which alone can tell.
    """
    from charset_normalizer import from_bytes  # for the few that need it: training must do without

    telling = b"\n".join(line for line in data.splitlines() if not line.isascii())[:_SAMPLE]
    matches = from_bytes(telling, cp_isolation=list(_UNDECLARED))
    best = matches.best()
    if best is None:
        return None
    as_good = {name for match in matches if match.coherence >= best.coherence for name in match.could_be_from_charset}
    # Western European where that is as likely as its neighbours, which is what browsers assume too.
    charset = "cp1252" if "cp1252" in as_good else best.encoding
    return data.decode(charset, errors="replace"), charset
