"""Tables are recognised by the suffix of the file name."""

from pathlib import Path, PurePath

DELIMITED = (".csv", ".tsv")
JSON_LINES = (".jsonl", ".ndjson")
TABLE_SUFFIXES = (*DELIMITED, *JSON_LINES, ".parquet")
TEXTS = (".txt", ".token")
"""Also tables, where the user names the file: `captions.txt` and `Flickr8k.token.txt` of Flickr8k."""
JSON = ".json"
"""Also a table, where the user names the file: a list of objects, or captions in the form of COCO."""
PACKINGS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
"""Compressions of text tables, by the last suffix: pyarrow's names of the codecs."""


def table_suffix(path: Path | str, *, named: bool = False) -> str | None:
    """The one of `TABLE_SUFFIXES` that a path or URL ends with; None if it is not a table.

    One of `PACKINGS` may follow, except after `.parquet`. Where the user has `named` this very file, `TEXTS` and `JSON`
    are suffixes of tables as well; in a folder they are those of an image's text, or of settings.
    """
    suffixes = [suffix.lower() for suffix in PurePath(path).suffixes]
    known: tuple[str, ...] = (*TABLE_SUFFIXES, *TEXTS, JSON) if named else TABLE_SUFFIXES
    if suffixes and suffixes[-1] in PACKINGS:
        suffixes.pop()
        known = tuple(suffix for suffix in known if suffix != ".parquet")
    return suffixes[-1] if suffixes and suffixes[-1] in known else None


def packing_of(path: Path | str) -> str | None:
    """pyarrow's name of the codec that a table is compressed with, by its name; None if it is not."""
    return PACKINGS.get(PurePath(path).suffix.lower())
