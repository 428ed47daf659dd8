"""The file of the map in an index folder: read whole and compared with its checksum."""

import hashlib
from contextlib import closing
from pathlib import Path

from openalign.search.store.meta import MapFile, Meta
from openalign.search.watched import DamagedIndex, WatchedFile

_ADVICE = "index again, which makes the map again"


class OpenedMapFile:
    """The file of a map, which stays open while another one may take its place; safe to use from many threads.

    Raises:
        DamagedIndex: it cannot be opened.
    """

    def __init__(self, path: Path, expected: MapFile) -> None:
        self._file = WatchedFile(path)
        self._expected = expected

    def read(self) -> bytes:
        """What it holds; raises DamagedIndex if that is not what was written."""
        data = self._file.read(0, self._expected.bytes)
        if self._file.size != len(data) or hashlib.sha256(data).hexdigest() != self._expected.sha256:
            raise DamagedIndex(f"{self._file.path} has changed since it was written: {_ADVICE}")
        return data

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_map(folder: Path, meta: Meta) -> bytes | None:
    """What the file of the map holds; None without a map. Raises DamagedIndex if it is not as it was written."""
    if meta.map is None:
        return None
    with closing(OpenedMapFile(folder / str(meta.map_file), meta.map)) as file:
        return file.read()
