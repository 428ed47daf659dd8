"""The rows of one partition of the sources, written while it is read; and all partitions joined into two tables."""

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
from openalign.curation.sources.locations import ImageLocation
from openalign.data.left_out import Kind, LeftOut, as_json, from_json
from openalign.files import sync, whole_file

_TAGS = pa.schema(
    {"number": pa.int64(), "urls": pa.list_(pa.string())} | dict.fromkeys(("text", "page", "host"), pa.string())
)
_STORED = pa.schema({"number": pa.int64(), "image": pa.string(), "location": pa.string()})
_KINDS = ("tags", "stored")
_BUFFERED_ROWS = 8192
_NUMBERS_PER_PARTITION = 1 << 40


@dataclass(frozen=True)
class PartitionSummary:
    """Counts of one partition, and an error message for each record, page or row that could not be read."""

    pages: int
    records: int
    without_url: int
    problems: list[str] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)
    """What was taken for image and text."""


class PartitionWriter:
    """Writes partition `number` into `folder`; a context manager.

    A partition is complete and synced to disk, its summary last, or does not exist. The summary holds checksums.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self.pages = 0
        self.records = 0
        self.problems: list[str] = []
        self.columns: dict[str, str] = {}
        """What is taken for image and text, where the source is a data set."""
        self.is_finished = True
        """False: the source could not be read, and the next run tries again."""
        self._without_url = 0
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
            unfinished = file.with_suffix(".partial")
            if kind is None:
                sync(unfinished)
                unfinished.replace(file)
            else:
                unfinished.unlink()
        if kind is None and self.is_finished:
            _write_summary(self._summary, self._files, self.summary())

    def add_tag(self, urls: Sequence[str], text: str | None, page: str | None) -> None:
        """Add one occurrence of the image that `urls` may name, the likeliest first. Without any it is only counted."""
        if not urls:
            self._without_url += 1
            return
        row = _tag_row(urls, text, page)
        if isinstance(row, Problem):
            message = row.of(_printable(f"{page or '(no page)'}, image {urls[0]}"))
            self.problems.append(LeftOut(Kind.TEXT_NOT_READ, message))
        else:
            self._tags.add(row)

    def add_stored(self, image: str, location: ImageLocation) -> None:
        """Add an image whose bytes are stored at `location`."""
        row = _stored_row(image, location)
        if isinstance(row, Problem):
            self.problems.append(LeftOut(Kind.IMAGE_NOT_READ, row.of(_printable(location.write()))))
        else:
            self._stored.add(row)

    def summary(self) -> PartitionSummary:
        return PartitionSummary(self.pages, self.records, self._without_url, self.problems, self.columns)


@one_record
def _tag_row(urls: Sequence[str], text: str | None, page: str | None) -> dict[str, Any]:
    row = {"urls": list(urls), "text": text, "page": page, "host": host_of(page or urls[0])}
    _check_encodable(*urls, text or "", page or "")
    return row


@one_record
def _stored_row(image: str, location: ImageLocation) -> dict[str, Any]:
    row = {"image": image, "location": location.write()}
    _check_encodable(*row.values())
    return row


def _check_encodable(*texts: str) -> None:
    """Raise UnicodeEncodeError for a lone surrogate: JSON and file names can hold one, tables cannot."""
    for text in texts:
        text.encode()


def _printable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def _write_summary(path: Path, files: Sequence[Path], summary: PartitionSummary) -> None:
    stored = asdict(summary) | {"problems": [as_json(problem) for problem in summary.problems]}
    content = {"summary": stored, "files": [asdict(checksum_of(file)) for file in files]}
    with whole_file(path) as partial_file:
        partial_file.write_text(json.dumps(content | {"sha256": _digest(content)}), encoding="utf-8")


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def finished_partition(folder: Path, number: int) -> PartitionSummary | None:
    """The summary of partition `number` if an earlier run completed it and its files are undamaged."""
    try:
        content = json.loads(_summary_of(folder, number).read_bytes())
        digest = content.pop("sha256")
        files = [asdict(checksum_of(_file_of(folder, number, kind))) for kind in _KINDS]
        intact = digest == _digest(content) and files == content["files"]
        summary = content["summary"] | {"problems": [from_json(each) for each in content["summary"]["problems"]]}
        return PartitionSummary(**summary) if intact else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _file_of(folder: Path, number: int, kind: str) -> Path:
    return folder / f"{number:06d}.{kind}.parquet"


def _summary_of(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.json"


class _RowWriter:
    """Writes a Parquet file row by row. Row numbers grow over all partitions, in the order of the sources."""

    def __init__(self, path: Path, schema: pa.Schema, partition: int) -> None:
        self._file = pq.ParquetWriter(path, schema)
        self._schema = schema
        self._number = partition * _NUMBERS_PER_PARTITION
        self._rows: list[dict[str, Any]] = []

    def add(self, row: dict[str, Any]) -> None:
        self._rows.append(row | {"number": self._number})
        self._number += 1
        if len(self._rows) == _BUFFERED_ROWS:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._file.close()

    def _flush(self) -> None:
        if self._rows:
            self._file.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows = []


def join_partitions(engine: Engine, folder: Path, count: int) -> tuple[ir.Table, ir.Table]:
    """The tables `occurrences` and `images` of `extract.Extracted`, from `count` partitions in `folder`.

    The first URL of a tag whose bytes are stored names the image, else the first: a crawler may have stored the plain
    `src` where a browser would load the largest of `srcset`. A URL stored twice keeps its first location.
    """
    tags, all_stored = (engine.read([_file_of(folder, number, kind) for number in range(count)]) for kind in _KINDS)
    stored = engine.materialize("stored", all_stored.group_by("image").agg(location=_.location.argmin(_.number)))
    candidates = tags.select("number", image=tags.urls).unnest("image", offset="rank")
    at_hand = candidates.semi_join(stored, "image").group_by("number").agg(at_hand=_.image.argmin(_.rank))
    joined = tags.left_join(at_hand, "number")
    occurrences = joined.select(
        "text", "page", "host", occurrence="number", image=joined.at_hand.coalesce(joined.urls[0])
    )
    occurrences = engine.materialize("occurrences", occurrences)
    return occurrences, stored.semi_join(occurrences, "image")
