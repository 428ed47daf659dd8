"""`milvus://host:19530/photos`: where a collection is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from openalign.errors import UsageError

TOKEN_VARIABLE = "OPENALIGN_MILVUS_TOKEN"
"""The environment variable with `user:password` or an API key."""
SCHEMES = ("milvus", "milvus+tls")
_PORT = 19530
_COLLECTION = re.compile(r"[A-Za-z_]\w{0,254}", re.ASCII)
_LITE = ".db"
"""By which the client knows that a path is a folder of Milvus Lite."""
INDEXES: Mapping[str, Mapping[str, int]] = {
    "HNSW": {"M": 16, "efConstruction": 200},
    "DISKANN": {},
    "AUTOINDEX": {},
    "FLAT": {},
}
"""The kinds of index that can be asked for, and their settings."""


@dataclass(frozen=True)
class Address:
    """A collection, and how an index of its vectors is made where there is none yet."""

    given: str
    """As messages show it."""
    uri: str
    """That of the server, or the folder of Milvus Lite."""
    database: str
    collection: str
    index: str | None = None
    """One of `INDEXES`; None for the one that suits the number of images."""
    settings: tuple[tuple[str, int], ...] = ()
    """Of the index, where they differ from those of `INDEXES`."""

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of Milvus Lite."""
        return "://" not in self.uri


def is_milvus(name: str | Path) -> bool:
    """Whether `name` is meant as the address of a collection."""
    return isinstance(name, str) and name.partition(":")[0] in SCHEMES


def parse_address(name: str) -> Address:
    """The parts of `milvus://HOST[:PORT]/[DATABASE/]COLLECTION` or, for Milvus Lite, `milvus:FOLDER.db/COLLECTION`.

    `milvus+tls://` connects with TLS. After `?` may follow `index=HNSW`, `DISKANN`, `AUTOINDEX` or `FLAT`, and `M` and
    `efConstruction` of HNSW.

    Raises:
        UsageError: it has another form.
    """
    try:
        parts = urlsplit(name)
        host, port = parts.hostname, parts.port or _PORT
    except ValueError as error:
        raise UsageError(f"{name} is not an address of Milvus: {error}.") from None
    if parts.username is not None or parts.password is not None:
        raise UsageError(f"Others can see an address: give user:password in the variable {TOKEN_VARIABLE} instead.")
    index, settings = _index_of(name, parts.query)
    given = f"{parts.scheme}:{f'//{parts.netloc}' if host else ''}{parts.path}"
    path = unquote(parts.path)
    if host is None:
        folder, _, collection = path.rpartition("/")
        if not folder.endswith(_LITE):
            raise UsageError(
                f"{name} names no host and no folder of Milvus Lite: write milvus://localhost:{_PORT}/photos, or "
                f"milvus:store{_LITE}/photos with a folder that ends in {_LITE}."
            )
        return Address(given, str(Path(folder).absolute()), "", _collection(name, collection), index, settings)
    database, _, collection = path.strip("/").rpartition("/")
    uri = f"{'https' if parts.scheme == 'milvus+tls' else 'http'}://{_bracketed(host)}:{port}"
    return Address(given, uri, database, _collection(name, collection), index, settings)


def _collection(name: str, collection: str) -> str:
    if not _COLLECTION.fullmatch(collection):
        raise UsageError(
            f"{name}: a collection has a name of letters, digits and underscores that begins with no digit, as in "
            f"milvus://localhost:{_PORT}/photos."
        )
    return collection


def _index_of(name: str, query: str) -> tuple[str | None, tuple[tuple[str, int], ...]]:
    given = dict(parse_qsl(query, keep_blank_values=True))
    index = given.pop("index", None)
    if index is not None and index not in INDEXES:
        raise UsageError(f"{name}: index={index} is none of {', '.join(INDEXES)}.")
    known = INDEXES["HNSW"] if index in (None, "HNSW") else {}
    for key, value in given.items():
        if key not in known:
            raise UsageError(f"{name}: there is no setting `{key}`; there are {', '.join(['index', *known])}.")
        if not (value.isascii() and value.isdigit() and 0 < int(value) <= 4096):
            raise UsageError(f"{name}: {key}={value} is not a whole number from 1 to 4096.")
    return index or ("HNSW" if given else None), tuple((key, int(value)) for key, value in given.items())


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
