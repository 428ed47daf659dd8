"""What one source gives, written to disk as it is read; and all parts joined into occurrences and images."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq
from ibis import _

from openalign.checksums import checksum_of
from openalign.curation.engine.base import Engine
from openalign.curation.html.urls import host_of
from openalign.curation.isolation.records import Problem, one_record
from openalign.files import sync, whole_file

_TAGS = pa.schema(
    {"place": pa.int64(), "addresses": pa.list_(pa.string())} | dict.fromkeys(("text", "page", "host"), pa.string())
)
_STORED = pa.schema({"place": pa.int64(), "image": pa.string(), "location": pa.string()})
_KINDS = ("tags", "stored")
_BUFFERED_ROWS = 8192
_PLACES_PER_PART = 1 << 40


@dataclass(frozen=True)
class PartSummary:
    """Counts of one part, and a sentence for each thing in it that could not be read."""

    pages: int
    records: int
    without_address: int
    problems: list[str] = field(default_factory=list)


class PartWriter:
    """Writes part `number` into `folder`; a context manager. Rows keep their order, parts that of their numbers.

    A part is there whole and on the disk, its summary last, or not at all. The summary has the checksums of its files.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self.pages = 0
        self.records = 0
        self.problems: list[str] = []
        self.is_finished = True
        """False: the source could not be read this time, so that a further run is to try again."""
        self._without_address = 0
        self._summary = _summary_of(folder, number)
        self._files = [_file_of(folder, number, kind) for kind in _KINDS]
        self._tags, self._stored = (
            _RowWriter(file.with_suffix(".partial"), schema, number)
            for file, schema in zip(self._files, (_TAGS, _STORED), strict=True)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._tags.close()
        self._stored.close()
        for file in self._files:
            partial = file.with_suffix(".partial")
            if kind is None:
                sync(partial)
                partial.replace(file)
            else:
                partial.unlink()
        if kind is None and self.is_finished:
            _write_summary(self._summary, self._files, self.summary())

    def add_tag(self, addresses: Sequence[str], text: str | None, page: str | None) -> None:
        """Add one occurrence; `addresses` are those the image may have, the likeliest first (without any: counted)."""
        if not addresses:
            self._without_address += 1
            return
        row = _tag_row(addresses, text, page)
        if isinstance(row, Problem):
            self.problems.append(row.of(_printable(f"{page or '(no page)'}, image {addresses[0]}")))
        else:
            self._tags.add(row)

    def add_stored(self, image: str, location: str) -> None:
        """Add an image whose bytes `location` tells how to read."""
        row = _stored_row(image, location)
        if isinstance(row, Problem):
            self.problems.append(row.of(_printable(location)))
        else:
            self._stored.add(row)

    def summary(self) -> PartSummary:
        return PartSummary(self.pages, self.records, self._without_address, self.problems)


@one_record
def _tag_row(addresses: Sequence[str], text: str | None, page: str | None) -> dict[str, Any]:
    row = {"addresses": list(addresses), "text": text, "page": page, "host": host_of(page or addresses[0])}
    _expect_storable(*addresses, text or "", page or "")
    return row


@one_record
def _stored_row(image: str, location: str) -> dict[str, Any]:
    _expect_storable(image, location)
    return {"image": image, "location": location}


def _expect_storable(*texts: str) -> None:
    """Raise UnicodeEncodeError for half of a surrogate pair, which JSON and names of files can hold, but no table."""
    for text in texts:
        text.encode()


def _printable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def _write_summary(path: Path, files: Sequence[Path], summary: PartSummary) -> None:
    written = {"summary": asdict(summary), "files": [asdict(checksum_of(file)) for file in files]}
    with whole_file(path) as partial:
        partial.write_text(json.dumps(written | {"sha256": _digest(written)}), encoding="utf-8")


def _digest(written: Any) -> str:
    return hashlib.sha256(json.dumps(written).encode()).hexdigest()


def finished_part(folder: Path, number: int) -> PartSummary | None:
    """The summary of part `number` if an earlier run wrote it, and all of it is as it was written."""
    try:
        written = json.loads(_summary_of(folder, number).read_bytes())
        own = written.pop("sha256")
        files = [asdict(checksum_of(_file_of(folder, number, kind))) for kind in _KINDS]
        as_written = own == _digest(written) and files == written["files"]
        return PartSummary(**written["summary"]) if as_written else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _file_of(folder: Path, number: int, kind: str) -> Path:
    return folder / f"{number:06d}.{kind}.parquet"


def _summary_of(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.json"


class _RowWriter:
    """Parquet row by row, a row group at a time."""

    def __init__(self, path: Path, schema: pa.Schema, part: int) -> None:
        self._file = pq.ParquetWriter(path, schema)
        self._schema = schema
        self._place = part * _PLACES_PER_PART
        self._rows: list[dict[str, Any]] = []

    def add(self, row: dict[str, Any]) -> None:
        self._rows.append(row | {"place": self._place})
        self._place += 1
        if len(self._rows) == _BUFFERED_ROWS:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._file.close()

    def _flush(self) -> None:
        if self._rows:
            self._file.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows = []


def join_parts(engine: Engine, folder: Path, parts: int) -> tuple[ir.Table, ir.Table]:
    """The occurrences and the images at hand of so many parts in `folder`, as `sources.Extracted` says.

    Of the addresses of a tag the first whose bytes are at hand stands for the image, else the first: a crawler may have
    stored the plain `src` where a browser would load the largest of `srcset`. An address stored twice keeps its first
    place.
    """
    tags, every_stored = (engine.read([_file_of(folder, number, kind) for number in range(parts)]) for kind in _KINDS)
    stored = engine.materialize("stored", every_stored.group_by("image").agg(location=_.location.argmin(_.place)))
    candidates = tags.select("place", image=tags.addresses).unnest("image", offset="position")
    at_hand = candidates.semi_join(stored, "image").group_by("place").agg(at_hand=_.image.argmin(_.position))
    joined = tags.left_join(at_hand, "place")
    occurrences = joined.select(
        "text", "page", "host", occurrence="place", image=joined.at_hand.coalesce(joined.addresses[0])
    )
    occurrences = engine.materialize("occurrences", occurrences)
    return occurrences, stored.semi_join(occurrences, "image")
