"""WARC and WAT files: what each record holds, and the payload of one record. Damaged records are skipped."""

from collections.abc import Iterator
from typing import BinaryIO

from openalign.curation.html.page import PageSettings
from openalign.curation.isolation.records import Problem, reason_of
from openalign.curation.sources.payload import Unreadable, parse_http, read_body
from openalign.curation.sources.storage import PathOrUrl, opened
from openalign.curation.sources.warc_frames import WARC_STARTS, next_record, records_from, starts_record
from openalign.curation.sources.warc_records import Content, Damage, StoredImage, content_of, record_message
from openalign.data.files.damage import reason_of as damage_of
from openalign.data.files.damage import what_it_is
from openalign.data.sites import WARC_SUFFIXES
from openalign.errors import OpenAlignError

_HEAD_BYTES = 512


def is_warc(file: PathOrUrl) -> bool:
    """Whether a file is a WARC, by its name or else its first bytes."""
    if str(file).lower().endswith(WARC_SUFFIXES):
        return True
    with opened(file) as stream:
        return stream.read(_HEAD_BYTES).startswith(WARC_STARTS)


def scan(file: PathOrUrl, page_bytes: int = PageSettings().page_bytes) -> Iterator[Content]:
    """Yield what each record of a WARC file holds, in file order.

    A damaged record gives a `Damage`, and reading continues at the next record that can be found. So does a WAT record
    of more than `page_bytes`.

    Raises OpenAlignError if the file cannot be opened, or is compressed as a whole.
    """
    try:
        with opened(file) as stream:
            if what := what_it_is(stream.read(_HEAD_BYTES)):
                raise OpenAlignError(f"{file} is no WARC file: {what}")
            empty = True
            for content in _scan(stream, file, page_bytes):
                empty = False
                yield content
            if empty:
                yield Damage(f"{file} is empty.")
    except OSError as error:
        raise OpenAlignError(f"{file} could not be opened: {error.strerror or error}.") from error


def _scan(stream: BinaryIO, file: PathOrUrl, page_bytes: int) -> Iterator[Content]:
    """Read record by record; after damage, restart at the next offset where a record begins."""
    start: int | None = 0
    last: int | None = None
    pending: Damage | None = None  # dropped if the record after it turns out to be the damaged one
    while start is not None:
        content: Content | None = None
        try:
            for offset, record in records_from(stream, start):
                if pending:
                    yield pending
                    pending = None
                start = offset
                result = content_of(record, file, start, page_bytes)
                content = Damage(record_message(file, start, result.reason)) if isinstance(result, Problem) else result
                if isinstance(content, StoredImage) and (start == last or not starts_record(stream, start)):
                    raise _compressed_as_a_whole(file)
                last = start
                yield content
            break
        except OpenAlignError:
            raise
        except Exception as error:  # anything the reader raises on damaged bytes
            reason = damage_of(error) if isinstance(error, OSError) else reason_of(error)
            if content is None:
                pending = None
                yield Damage(record_message(file, start, reason))
            elif not isinstance(content, Damage):
                pending = Damage(record_message(file, start, f"what follows it is damaged ({reason})"))
            start = next_record(stream, start + 1)
    if pending:
        yield pending


def read_payload(file: PathOrUrl, offset: int) -> bytes:
    """The HTTP body (content encodings undone) of the record at byte `offset` of a WARC file.

    Raises OpenAlignError if there is no complete record.
    """
    try:
        with opened(file) as stream:
            for _, record in records_from(stream, offset):
                parse_http(record)
                return read_body(record)
    except (OSError, Unreadable) as error:
        raise OpenAlignError(record_message(file, offset, str(error))) from error
    raise OpenAlignError(record_message(file, offset, "the file ends before it"))


def _compressed_as_a_whole(file: PathOrUrl) -> OpenAlignError:
    return OpenAlignError(
        f"{file} is compressed as a whole, not record by record, so that single images cannot be read from it: "
        f"rewrite it with `fastwarc recompress {file} NEW.warc.gz`."
    )
