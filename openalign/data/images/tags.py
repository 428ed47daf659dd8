"""Directories of tags in the layout of TIFF, which EXIF and most camera RAW files have: read in place, within bounds.

Only the tags asked for are decoded, and of each only its first values, so that false counts, offsets and loops of a
hostile file cost nothing. What is malformed is absent.
"""

import struct
from dataclasses import dataclass
from typing import Self

_MOST_ENTRIES = 1000
"""Entries looked at in one directory; cameras write fewer than a hundred."""
_MOST_BYTES = 256
"""Bytes of a text that are looked at."""
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 9: 4, 10: 8, 13: 4}
"""Bytes of a value, by the type of its tag, for the types that are read."""
_INTEGERS = {1: "B", 3: "H", 4: "I", 9: "i", 13: "I"}
_RATIONALS = {5: "II", 10: "ii"}


@dataclass(frozen=True)
class Entry:
    """Where the values of a tag lie."""

    type: int
    count: int
    position: int


@dataclass(frozen=True)
class TagReader:
    """A file, or a block of EXIF, with directories of tags."""

    data: bytes
    order: str
    """`<` or `>`, as `struct` writes byte orders."""
    first: int
    """Offset of the first directory."""

    @classmethod
    def of(cls, data: bytes) -> Self | None:
        """A reader; None if the data do not begin with a byte order. The number after it, 42 in TIFF, may be any."""
        order = {b"II": "<", b"MM": ">"}.get(data[:2])
        if order is None or len(data) < 8:
            return None
        return cls(data, order, struct.unpack_from(f"{order}I", data, 4)[0])

    def directory(self, offset: int) -> dict[int, Entry]:
        """The tags of a directory; those with types that are not read, or beyond the end of the data, are left out."""
        found: dict[int, Entry] = {}
        if not 0 < offset <= len(self.data) - 2:
            return found
        [count] = struct.unpack_from(f"{self.order}H", self.data, offset)
        fitting = (len(self.data) - offset - 2) // 12
        for position in range(offset + 2, offset + 2 + 12 * min(count, fitting, _MOST_ENTRIES), 12):
            tag, kind, values = struct.unpack_from(f"{self.order}HHI", self.data, position)
            size = _SIZES.get(kind, 0) * values
            start = position + 8
            if size > 4:
                [start] = struct.unpack_from(f"{self.order}I", self.data, start)
            if size and start + size <= len(self.data):
                found.setdefault(tag, Entry(kind, values, start))
        return found

    def following(self, offset: int) -> int:
        """The offset of the directory after the one at `offset`; 0 if there is none."""
        if not 0 < offset <= len(self.data) - 2:
            return 0
        [count] = struct.unpack_from(f"{self.order}H", self.data, offset)
        end = offset + 2 + 12 * count
        following: int = struct.unpack_from(f"{self.order}I", self.data, end)[0] if end + 4 <= len(self.data) else 0
        return following

    def text(self, entry: Entry | None) -> str:
        """The text of a tag up to its first NUL, without blanks around it; empty if it has none."""
        if entry is None or entry.type not in (1, 2, 7):
            return ""
        stored = self.data[entry.position : entry.position + min(entry.count, _MOST_BYTES)]
        return bytes(stored).partition(b"\0")[0].decode("ascii", "replace").strip()

    def integers(self, entry: Entry | None, most: int = 1) -> list[int]:
        """The first values of a tag, if they are integers."""
        if entry is None or entry.type not in _INTEGERS:
            return []
        layout = f"{self.order}{min(entry.count, most)}{_INTEGERS[entry.type]}"
        return list(struct.unpack_from(layout, self.data, entry.position))

    def integer(self, entry: Entry | None) -> int:
        """The first value of a tag; 0 if it is absent or not an integer."""
        return next(iter(self.integers(entry)), 0)

    def ratios(self, entry: Entry | None, most: int) -> list[tuple[int, int]]:
        """The first values of a tag as numerators and denominators; integers have the denominator 1."""
        if entry is None or entry.type not in _RATIONALS:
            return [(value, 1) for value in self.integers(entry, most)]
        layout = f"{self.order}{_RATIONALS[entry.type] * min(entry.count, most)}"
        values = struct.unpack_from(layout, self.data, entry.position)
        return list(zip(values[::2], values[1::2], strict=True))
