"""Tables with one odd line among many."""

import gzip
from pathlib import Path

LINES = {
    "t.csv": ("file,text\n", "{0}.jpg,{1}\n"),
    "t.tsv": ("file\ttext\n", '{0}.jpg\t"{1}"\n'),
    "t.jsonl": ("", '{{"file": "{0}.jpg", "text": "{1}"}}\n'),
}


def table_with(path: Path, at_500: bytes, text: str = "x") -> list[str]:
    """Write 1,000 rows, of which one has another text; returns the names of the images of the others."""
    header, line = LINES[path.name.removesuffix(".gz")]
    rows = [line.format(number, text).encode() for number in range(1000)]
    rows[500] = line.format(500, "@").encode().replace(b"@", at_500)
    data = header.encode() + b"".join(rows)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return [f"{number}.jpg" for number in range(1000) if number != 500]
