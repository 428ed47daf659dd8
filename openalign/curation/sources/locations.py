"""Where the bytes of an image are stored: one value per kind of source, written to tables as a string.

`file://PATH`, `at://URL`, `warc://FILE#OFFSET`, `tar://FILE#OFFSET+SIZE+DIGEST` (the digest may be missing) and
`parquet://FILE#COLUMN+GROUP+ROW`; `data://BASE64` is an image in no file of its own. Paths are not percent-encoded: the
last `#` ends the file name.
"""

import base64
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from openalign.curation.sources.payload import MAX_PAYLOAD_BYTES
from openalign.curation.sources.storage import PathOrUrl, absolute_name, open_parquet, opened, path_or_url, read_at
from openalign.curation.sources.warc import read_payload
from openalign.data.shards.sidecar import digest_of
from openalign.errors import OpenAlignError


@dataclass(frozen=True)
class ImageLocation(ABC):
    """Where one image is stored. Paths are absolute, so that every process reads the same file."""

    scheme: ClassVar[str]
    file: PathOrUrl
    """The image file, or the file that holds the image."""

    def write(self) -> str:
        """The location as a string, which `parse_location` reads."""
        return f"{self.scheme}://{absolute_name(self.file)}{self._suffix()}"

    def read(self) -> bytes:
        """The bytes of the image.

        Raises OpenAlignError if they cannot be read, or are not those that the digest was made of.
        """
        try:
            return self._read()
        except (OSError, pa.ArrowException) as error:
            reason = getattr(error, "strerror", None) or error
            raise OpenAlignError(f"{self.write()} could not be read: {reason}.") from error

    def _suffix(self) -> str:
        """The string that says where in the file the image is."""
        return ""

    @abstractmethod
    def _read(self) -> bytes: ...


@dataclass(frozen=True)
class FileLocation(ImageLocation):
    """An image file."""

    scheme = "file"

    def _read(self) -> bytes:
        return _read_whole(self.file)


@dataclass(frozen=True)
class UrlLocation(ImageLocation):
    """An image file at a URL."""

    scheme = "at"

    def _read(self) -> bytes:
        return _read_whole(self.file)


@dataclass(frozen=True)
class WarcLocation(ImageLocation):
    """The payload of the WARC record that starts at byte `offset`."""

    scheme = "warc"
    offset: int

    def _suffix(self) -> str:
        return f"#{self.offset}"

    def _read(self) -> bytes:
        return read_payload(self.file, self.offset)


@dataclass(frozen=True)
class TarLocation(ImageLocation):
    """`size` bytes from byte `offset` of a shard; `digest` is the hexadecimal `sidecar.digest_of` them, if known."""

    scheme = "tar"
    offset: int
    size: int
    digest: str = ""

    def _suffix(self) -> str:
        return f"#{self.offset}+{self.size}" + (f"+{self.digest}" if self.digest else "")

    def _read(self) -> bytes:
        with opened(self.file) as stream:
            data = read_at(stream, self.offset, self.size)
        if len(data) < self.size:
            raise OpenAlignError(
                f"{absolute_name(self.file)} is shorter than its index says: fetch or write the shard again, "
                "or delete its index to use the remaining samples"
            )
        if self.digest and digest_of(data).hex() != self.digest:
            raise OpenAlignError(
                f"{absolute_name(self.file)} holds other bytes at {self.offset} than were written there: "
                "write or fetch it again"
            )
        return data


@dataclass(frozen=True)
class ParquetLocation(ImageLocation):
    """A value of leaf column number `column`, at `row` of row group `group`, of a Parquet file."""

    scheme = "parquet"
    column: int
    group: int
    row: int

    def _suffix(self) -> str:
        return f"#{self.column}+{self.group}+{self.row}"

    def _read(self) -> bytes:
        data: bytes = _read_column(absolute_name(self.file), self.column, self.group)[self.row].as_py()
        return data


@dataclass(frozen=True)
class InlineLocation(ImageLocation):
    """An image whose bytes lie in no file as they are, such as a `data:` URL of a table: the location is the bytes."""

    scheme = "data"

    @classmethod
    def of(cls, data: bytes) -> "InlineLocation":
        """The location of these bytes."""
        return cls(base64.b64encode(data).decode())

    def _read(self) -> bytes:
        return base64.b64decode(str(self.file))


def location_of(file: PathOrUrl) -> FileLocation | UrlLocation:
    """The location of an image file."""
    return UrlLocation(file) if isinstance(file, str) else FileLocation(file.absolute())


def parse_location(text: str) -> ImageLocation:
    """The location that `ImageLocation.write` wrote. Raises ValueError for any other text."""
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in _PARSERS:
        raise ValueError(f"{text!r} is not the location of an image")
    return _PARSERS[scheme](rest)


def _parse_warc(rest: str) -> WarcLocation:
    file, _, offset = rest.rpartition("#")
    return WarcLocation(path_or_url(file), int(offset))


def _parse_tar(rest: str) -> TarLocation:
    file, _, span = rest.rpartition("#")
    offset, size, digest = (*span.split("+"), "")[:3]
    return TarLocation(path_or_url(file), int(offset), int(size), digest)


def _parse_parquet(rest: str) -> ParquetLocation:
    file, _, numbers = rest.rpartition("#")
    column, group, row = map(int, numbers.split("+"))
    return ParquetLocation(path_or_url(file), column, group, row)


_PARSERS: dict[str, Callable[[str], ImageLocation]] = {
    FileLocation.scheme: lambda rest: FileLocation(Path(rest)),
    UrlLocation.scheme: UrlLocation,
    WarcLocation.scheme: _parse_warc,
    TarLocation.scheme: _parse_tar,
    ParquetLocation.scheme: _parse_parquet,
    InlineLocation.scheme: InlineLocation,
}


def _read_whole(file: PathOrUrl) -> bytes:
    with opened(file) as stream:
        data = stream.read(MAX_PAYLOAD_BYTES + 1)
    if len(data) > MAX_PAYLOAD_BYTES:
        raise OpenAlignError(f"{file} is larger than {MAX_PAYLOAD_BYTES >> 20} MB")
    return data


@lru_cache(maxsize=1)  # images are read in the order in which they are stored
def _read_column(file: str, column: int, group: int) -> pa.ChunkedArray:
    parquet = open_parquet(path_or_url(file))
    name = parquet.schema.column(column).path
    values = parquet.read_row_group(group, columns=[name]).column(0)
    return pc.struct_field(values, "bytes") if pa.types.is_struct(values.type) else values
