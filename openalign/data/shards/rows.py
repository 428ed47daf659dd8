"""The rows of a tar's samples: which text and which label each has, and its fields."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from openalign.data.left_out import Kind
from openalign.data.shards.captions import captions_of, field_at, valid, with_inner_fields
from openalign.data.shards.members import TEXT_ORDER
from openalign.data.shards.sidecar import DIGEST, INDEX_SCHEMA
from openalign.data.shards.tar_samples import TarSample
from openalign.data.shards.tar_scan import first_ones
from openalign.data.shards.texts import are_names, asked_texts, found_texts, in_words, labels_of
from openalign.data.tables.captions import captions_as_rows
from openalign.data.tables.combine import table_of
from openalign.errors import OpenAlignError

MEMBER = "image_member"
"""The column with the name of the image in the tar, in indexes that were read out of one: unique within it."""
_OURS = (*INDEX_SCHEMA.names, DIGEST, MEMBER)
_COLUMN_TYPES = (int, float, bool, type(None))
_MOST_FIELDS = 1_000
"""Distinct fields that the `.json` files of a tar may have in total; each becomes a column."""


@dataclass(frozen=True)
class SampleOptions:
    """What the user says about the samples of shards; None leaves it to what is found."""

    image_column: str | None = None
    """Suffix of the images to take, of samples with several."""
    text_column: str | None = None
    """Suffix of the texts to take, or a field of the `.json`, `alt.en` within an object; not split at lines."""
    need_text: bool = True
    """No row for a sample whose text cannot be read: it is counted as that, not as a row without a text."""


@dataclass
class Rows:
    """The table of a tar."""

    table: pa.Table
    """A row for each text: the columns of `INDEX_SCHEMA`, `MEMBER`, the fields of the `.json`, and `label`."""
    no_such_text: str = ""
    """Why no sample has the text that was asked for; "" if any has."""
    taken: Mapping[str, str] = field(default_factory=lambda: {"image": "image", "text": "text"})
    """What is taken for `image`, `text` and `label`: suffixes (`.jpg`), or fields."""


def rows_of(
    name: str, samples: Sequence[TarSample], class_names: str | None, options: SampleOptions, problems: list[str]
) -> Rows:
    """The rows of the samples of the tar `name`; notes on choices, and what is left out, are added to `problems`.

    `class_names` has the name of each class in a line. Raises `OpenAlignError` if `text_column` names an object.
    """
    if not samples:
        return Rows(INDEX_SCHEMA.empty_table())
    labels = labels_of(name, samples, class_names, problems)
    texts = asked_texts(name, samples, options.text_column) if options.text_column else found_texts(name, samples)
    if not any(texts.of_sample) and not options.text_column and are_names(labels, class_names):
        texts.of_sample = [[in_words(label)] if label else [] for label in labels]
        texts.notes.append(f"{name}: there are no texts, and the names of the classes are taken")
        texts.taken = "the name of the class"
    problems += texts.notes
    rows = _Fields(name)
    for sample, captions, label, chosen in zip(samples, texts.of_sample, labels, texts.chosen, strict=True):
        if sample.is_unread and options.need_text and not any(map(str.strip, captions)):
            continue  # it was counted when its text could not be read
        row = rows.row_of(sample, label, chosen)
        rows.complete += [row | {"text": caption} for caption in _rows_for(captions)]
    problems += first_ones(Kind.METADATA_NOT_READ, rows.refused, "samples have fields that are left out")
    if not rows.complete:
        return Rows(INDEX_SCHEMA.empty_table(), texts.no_such_text)
    table = table_of(rows.complete)
    table = table.set_column(table.column_names.index("text"), "text", table["text"].cast(pa.string()))
    if any((row["text"] or "").startswith(("[", "(")) for row in rows.complete[:100]):
        table = captions_as_rows(table, "text", need_text=True, problems=problems, where=name)[0]
    return Rows(table, texts.no_such_text, _taken(samples, texts.taken))


def _taken(samples: Sequence[TarSample], text: str) -> dict[str, str]:
    suffixes = Counter(sample.image.suffix for sample in samples)
    taken = {"image": f".{suffixes.most_common(1)[0][0]}", "text": text}
    return taken | ({"label": ".cls"} if any(sample.label is not None for sample in samples) else {})


class _Fields:
    """Makes rows out of samples, with unique names and a limited number of columns."""

    def __init__(self, name: str) -> None:
        self.complete: list[dict[str, Any]] = []
        self.refused: list[str] = []
        self._name = name
        self._columns = dict.fromkeys(_OURS)
        self._members: Counter[str] = Counter()

    def row_of(self, sample: TarSample, label: str | None, chosen: str | None) -> dict[str, Any]:
        member = valid(sample.image.name)
        self._members[member] += 1
        if (times := self._members[member]) > 1:
            member = f"{member}#{times}"
        row = {
            "key": sample.key,
            "text": None,
            "image_offset": sample.image.offset,
            "image_size": sample.image.size,
            MEMBER: member,
        }
        if label is not None:
            row["label"] = label
        others = {suffix: text for suffix, text in sample.texts.items() if suffix != chosen}
        fields = _scalars(row, others | with_inner_fields(sample.fields))
        if len(self._columns.keys() | fields.keys()) > _MOST_FIELDS:
            fields = _scalars(row, others | sample.fields)
        new = fields.keys() - self._columns.keys()
        if len(self._columns) + len(new) > _MOST_FIELDS:
            self.refused.append(
                f"{self._name}: the fields of sample {sample.key} are left out: "
                f"the samples have more than {_MOST_FIELDS:,} distinct fields in total"
            )
            return row
        self._columns |= dict.fromkeys(new)
        return row | fields


def _scalars(row: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that a column can hold; one that has the name of another column and another value is `json.NAME`."""
    found = {}
    for name, value in fields.items():
        if isinstance(value, str):
            value = value if value.isascii() else valid(value)
        elif not isinstance(value, _COLUMN_TYPES):
            continue
        if name in row or name in _OURS:
            if row.get(name) == value or value is None:
                continue
            name = f"json.{name}"
        found[name if name.isascii() else valid(name)] = value
    return found


def _rows_for(captions: Sequence[str]) -> Sequence[str | None]:
    """The text of each row that a sample gets; one without a text gets a row."""
    return [valid(caption) for caption in captions] or [None]


def with_texts_of(index: pa.Table, name: str, options: SampleOptions) -> Rows:
    """The rows of a sidecar index with the texts that are asked for: those of another column, or its own."""
    column = options.text_column
    if column is None or column.lower().removeprefix(".") in ("text", *TEXT_ORDER[:1]):
        return Rows(index)
    outer = column if column in index.column_names else column.partition(".")[0]
    if outer not in index.column_names or outer in (*INDEX_SCHEMA.names, DIGEST):
        others = [each for each in index.column_names if each not in (*INDEX_SCHEMA.names, DIGEST)]
        return Rows(index, f"{name} has no texts {column!r}: its samples have the text and fields {', '.join(others)}")
    texts: list[str | None] = []
    rows: list[int] = []
    for row, value in enumerate(index[outer].to_pylist()):
        try:
            captions = captions_of(field_at({outer: value}, column))
        except KeyError:
            captions = []
        if captions is None:
            where = f"the field {column} of row {row + 1}"
            raise OpenAlignError(f"{name}: {where} is an object: name a field in it, as {column}.NAME")
        taken = _rows_for(captions)
        texts += taken
        rows += [row] * len(taken)
    index = index if len(rows) == len(index) else index.take(pa.array(rows, pa.int64()))
    at = index.column_names.index("text")
    return Rows(index.set_column(at, "text", pa.array(texts, pa.string())), taken={"image": "image", "text": column})


def image_names(index: pa.Table, tar: str) -> pa.ChunkedArray | None:
    """The names of images that were found in the tar itself, unique among all tars: `TAR/MEMBER`.

    None for an index with a sidecar: its images have the names that were given to them when it was written.
    """
    if MEMBER not in index.column_names:
        return None
    return pc.binary_join_element_wise(pa.scalar(tar), index[MEMBER], "/")
