"""How the writer changes the tables `images`, `thumbnails` and `files`; each call belongs to a transaction of its own.

`files` has every name under which a source lists an image. What a row of `images` says of its texts and columns follows
from its names: all texts, in the order of sources and of being added, and the first value of everything else.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any

from openalign.search.store.changes import Listed, NewImage, derived_from
from openalign.search.store.checks import check_of, check_of_thumbnail
from openalign.search.store.table import FILE_COLUMNS, IMAGE_COLUMNS
from openalign.search.store.writing.alike_writer import AlikeWriter
from openalign.search.watched import ADVICE, DamagedIndex

_FIND = f"SELECT crc, {', '.join(FILE_COLUMNS)} FROM files WHERE source = ? AND name = ? AND copy = ?"
_FIND_BETWEEN = (
    f"SELECT crc, {', '.join(FILE_COLUMNS)} FROM files WHERE source = ? AND name BETWEEN ? AND ? "
    "ORDER BY name, copy LIMIT ?"
)
_FEW = 16
_PUT_NAME = (
    f"INSERT INTO files (crc, {', '.join(FILE_COLUMNS)}) VALUES ({', '.join('?' * (1 + len(FILE_COLUMNS)))}) "
    "ON CONFLICT (source, name, copy) DO UPDATE SET crc = excluded.crc, "
    + ", ".join(f"{column} = excluded.{column}" for column in FILE_COLUMNS[3:])
)
_NAMES = "SELECT source, name, path, text, page, label, fields FROM files WHERE image = ? ORDER BY source, id"
_PUT_IMAGE = (
    f"INSERT INTO images (crc, id, {', '.join(IMAGE_COLUMNS)}) VALUES ({', '.join('?' * (2 + len(IMAGE_COLUMNS)))}) "
    "ON CONFLICT (id) DO UPDATE SET crc = excluded.crc, "
    + ", ".join(f"{column} = excluded.{column}" for column in IMAGE_COLUMNS)
)
_NAMELESS = "SELECT id, row FROM images WHERE NOT EXISTS (SELECT 1 FROM files WHERE image = images.id)"


class RowsWriter:
    """Changes images and their names."""

    def __init__(self, table: sqlite3.Connection) -> None:
        self._table = table
        self.alike = AlikeWriter(table)

    def find(self, listed: Sequence[Listed]) -> dict[tuple[str, int], tuple[Listed, int]]:
        """What there is under these names (name, copy) of one source, and the ids of the images.

        Names that are new or damaged are missing.
        """
        if not listed:
            return {}
        source, names = listed[0].source, [each.name for each in listed]
        most = 2 * len(names) + _FEW
        found = self._table.execute(_FIND_BETWEEN, (source, min(names), max(names), most)).fetchall()
        if len(found) == most:  # the source is in no order, or has other names now
            found = [self._table.execute(_FIND, (source, each.name, each.copy)).fetchone() for each in listed]
        return {
            (each[2], each[3]): (Listed(*each[1:-1]), each[-1])
            for each in found
            if each is not None and check_of(*each[1:]) == each[0]
        }

    def has_all(self, listed: Sequence[Listed]) -> bool:
        """Whether these names of one source, in their order, are there as they are, and no others between them."""
        source, first, last = listed[0].source, listed[0].name, listed[-1].name
        found = self._table.execute(_FIND_BETWEEN, (source, first, last, len(listed) + 1)).fetchall()
        return [each[1:-1] for each in found] == listed and all(check_of(*each[1:]) == each[0] for each in found)

    def insert(self, row: int, image: NewImage) -> set[int]:
        """Add an image with its thumbnail and names; returns the other images to `derive`, which had these names."""
        check = check_of_thumbnail(image.thumbnail, image.digest)
        sql = "INSERT INTO thumbnails (jpeg, crc) VALUES (?, ?)"
        id_ = int(self._table.execute(sql, (image.thumbnail, check)).lastrowid or 0)
        self.alike.put_sketch(id_, image.sketch)
        changed: set[int] = set().union(*(self.name(listed, id_) for listed in image.listed))
        facts = image.facts
        about = {
            "row": row, "digest": image.digest, "width": facts.width, "height": facts.height, "bytes": facts.bytes,
            "date": facts.date, "latitude": facts.latitude, "longitude": facts.longitude,
        }  # fmt: skip
        self._put_image(id_, about | self._derived(id_))
        return changed - {id_}

    def name(self, listed: Listed, image: int) -> set[int]:
        """Give an image a name, which it may have had; returns the images to `derive`."""
        before = self._table.execute(
            "SELECT image FROM files WHERE source = ? AND name = ? AND copy = ?",
            (listed.source, listed.name, listed.copy),
        ).fetchone()
        self._put_name(listed, image)
        return {image, before[0]} if before else {image}

    def derive(self, image: int) -> None:
        """Write again what follows from the names of an image; one without a name stays as it is for now."""
        derived = self._derived(image)
        columns = ", ".join(IMAGE_COLUMNS)
        found = self._table.execute(f"SELECT {columns} FROM images WHERE id = ?", (image,)).fetchone()
        if derived and found:
            self._put_image(image, dict(zip(IMAGE_COLUMNS, found, strict=True)) | derived)

    def thumbnail(self, image: int) -> bytes:
        """The thumbnail of an image; raises DamagedIndex if it is not as it was written."""
        found = self._table.execute(
            "SELECT jpeg, thumbnails.crc, digest FROM thumbnails JOIN images USING (id) WHERE id = ?", (image,)
        ).fetchone()
        if found is None or check_of_thumbnail(found[0], found[2]) != found[1]:
            raise DamagedIndex(f"the thumbnail of image {image} has changed: {ADVICE}")
        jpeg: bytes = found[0]
        return jpeg

    def remove_names(self, source: int, keep: set[tuple[str, int]]) -> None:
        """Remove the names of a source but for those to `keep` (name, copy); images without a name stay for now."""
        found = self._table.execute("SELECT id, name, copy, image FROM files WHERE source = ?", (source,))
        gone = [(id_, image) for id_, name, copy, image in found if (name, copy) not in keep]
        self._table.executemany("DELETE FROM files WHERE id = ?", [(id_,) for id_, _ in gone])
        for image in dict.fromkeys(image for _, image in gone):
            self.derive(image)

    def remove_nameless(self) -> list[int]:
        """Remove the images without a name; returns all rows that were ever removed, sorted."""
        gone = self._table.execute(_NAMELESS).fetchall()
        for table in ("images", "thumbnails"):
            self._table.executemany(f"DELETE FROM {table} WHERE id = ?", [(id_,) for id_, _ in gone])
        self.alike.remove([id_ for id_, _ in gone])
        self._table.executemany("INSERT INTO deleted VALUES (?)", [(row,) for _, row in gone])
        return [row for (row,) in self._table.execute("SELECT row FROM deleted ORDER BY row")]

    def number_anew(self) -> None:
        """Number the images from 0 on, in the order that they have."""
        columns = ", ".join(("id", *IMAGE_COLUMNS))
        for number, (before,) in enumerate(self._table.execute("SELECT row FROM images ORDER BY row").fetchall()):
            if number != before:  # it is smaller, and no image has it any more
                found = self._table.execute(f"SELECT {columns} FROM images WHERE row = ?", (before,)).fetchone()
                self._put_image(found[0], dict(zip(IMAGE_COLUMNS, found[1:], strict=True)) | {"row": number})
        self._table.execute("DELETE FROM deleted")

    def _put_name(self, listed: Listed, image: int) -> None:
        values = (*listed, image)
        self._table.execute(_PUT_NAME, (check_of(*values), *values))

    def _put_image(self, id_: int, values: dict[str, Any]) -> None:
        ordered = (id_, *(values[column] for column in IMAGE_COLUMNS))
        self._table.execute(_PUT_IMAGE, (check_of(*ordered), *ordered))

    def _derived(self, image: int) -> dict[str, Any]:
        """What follows from the names of an image; empty if it has none."""
        names = self._table.execute(_NAMES, (image,)).fetchall()
        if not names:
            return {}
        return derived_from([Listed(source, name, 0, "", *others) for source, name, *others in names])
