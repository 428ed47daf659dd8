"""URLs as browsers parse them: backslashes, stray blanks, unencoded letters (WHATWG URL, http and https only).

`urllib.parse.urljoin` follows RFC 3986 and misses images that every browser shows: one Gutenberg book in our test crawl
writes all its 127 URLs with backslashes.
"""

import re
from urllib.parse import quote

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_LONGEST_HOST = 253
"""Characters; no DNS name is longer, and Python's IDNA codec takes more than quadratic time."""
_EDGE = "".join(map(chr, range(0x21)))
_DELETED = str.maketrans("", "", "\t\n\r")
# Characters that are not percent-encoded. A `%` is kept even if it is stray.
_PATH_SAFE = "!$%&'()*+,-./:;=@[]_|~\\"
_QUERY_SAFE = "!$%&()*+,-./:;=?@[]_|~\\`{}^"


def resolve(base: str, reference: str) -> str | None:
    """The absolute http(s) URL of `reference` on the page at `base`, without fragment.

    None if it is empty or cannot be fetched (data:, javascript:, a malformed host).
    """
    text = reference.strip(_EDGE).translate(_DELETED).partition("#")[0]
    if not text:
        return None
    base_scheme, base_host, base_path = _split(base)
    if found := _SCHEME.fullmatch(text):
        scheme, rest = found[1].lower(), found[2]
        if scheme not in _DEFAULT_PORTS:
            return None
        if scheme != base_scheme:
            return _absolute(scheme, rest.lstrip("/\\"))
        text = rest  # `https:a.jpg` on an https page is relative, as is `https:/a.jpg`
    if not base_scheme:
        return None
    path, mark, query = text.partition("?")
    path = path.replace("\\", "/")
    if path.startswith("//"):
        return _absolute(base_scheme, (path + mark + query).lstrip("/"))
    if not path:
        path = base_path
    elif not path.startswith("/"):
        path = base_path[: base_path.rfind("/") + 1] + path
    return f"{base_scheme}://{base_host}{_encode(path, mark, query)}"


def normalise(url: str) -> str | None:
    """An absolute URL in the form that `resolve` returns, so that equal URLs compare equal; None if it is not one."""
    return resolve("", url)


def host_of(url: str) -> str | None:
    """The host (without port) of an absolute http(s) URL, else None."""
    host = _split(url)[1]
    return re.sub(r":\d*$", "", host) or None


def _split(url: str) -> tuple[str, str, str]:
    """Scheme, host with port, and path of a normalised URL; three empty strings for anything else."""
    scheme, mark, rest = url.partition("://")
    if not mark or scheme not in _DEFAULT_PORTS:
        return "", "", ""
    host, slash, path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")
    return scheme, host, slash + path or "/"


def _absolute(scheme: str, rest: str) -> str | None:
    """The URL `scheme://rest`, its host checked and in lower case; None if the host is malformed."""
    cut = re.search(r"[/\\?]", rest)
    authority, tail = (rest[: cut.start()], rest[cut.start() :]) if cut else (rest, "")
    host = _host(scheme, authority.rpartition("@")[2])
    if host is None:
        return None
    path, mark, query = tail.partition("?")
    return f"{scheme}://{host}{_encode(path.replace(chr(92), '/') or '/', mark, query)}"


def _host(scheme: str, authority: str) -> str | None:
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+?)(?::(\d*))?", authority)
    if not found or len(found[1]) > _LONGEST_HOST:
        return None
    try:
        host = found[1].lower() if found[1].isascii() else found[1].encode("idna").decode("ascii")
    except UnicodeError:
        return None
    if re.search(r"[\s%<>^|#/\\?@\x00-\x1f]", host):
        return None
    port = found[2] or ""
    return host if port in ("", _DEFAULT_PORTS[scheme]) else f"{host}:{port}"


def _encode(path: str, mark: str, query: str) -> str:
    """Path and query without dot segments, percent-encoded like browsers do."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for position, segment in enumerate(segments):
        plain = re.sub("%2e", ".", segment, flags=re.IGNORECASE)
        if plain not in (".", ".."):
            kept.append(segment)
            continue
        if plain == ".." and kept:
            kept.pop()
        if position == len(segments) - 1:
            kept.append("")
    encoded = quote("/" + "/".join(kept), safe=_PATH_SAFE, errors="replace")
    return encoded + (f"?{quote(query, safe=_QUERY_SAFE, errors='replace')}" if mark else "")
