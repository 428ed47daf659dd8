"""`inspect`: how a DATA argument would be read, what would be left out, and what its rows are like."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from openalign.data.left_out import counted
from openalign.data.pairs.layouts.registry import LAYOUTS, Recognised, recognise
from openalign.data.pairs.layouts.source import PathOrUrl, Source
from openalign.data.pairs.layouts.split_column import of_split, rows_of_splits
from openalign.data.pairs.layouts.splits import ALL_SPLITS, UNNAMED, chosen_parts
from openalign.data.pairs.open import unknown
from openalign.data.pairs.options import ReadOptions
from openalign.data.pairs.pairs import Pairs
from openalign.errors import OpenAlignError
from openalign.inspection.elsewhere import Elsewhere, elsewhere, pages_in, web
from openalign.inspection.reading import SplitRead, read_split
from openalign.inspection.samples import Example, Sizes, languages_of, sample_images
from openalign.options import option


@dataclass(frozen=True)
class Inspection:
    """How a DATA argument would be read."""

    name: str
    layout: str
    """The layout's name, as `--layout` takes it; `index`, `run`, `model`, `crawl` or `pages` for what is no DATA."""
    title: str
    why: str
    """What was recognised."""
    rows: int | None
    """Rows that would be read, of all splits; None if they are not counted (a crawl)."""
    splits: dict[str, int] = field(default_factory=dict)
    """The rows of each split; empty where there are none."""
    columns: dict[str, str] = field(default_factory=dict)
    """What is taken for `image`, `text` and `label`: a column or field, or words."""
    other_columns: dict[str, str] = field(default_factory=dict)
    """The other columns, and the types of their values."""
    others: tuple[str, ...] = ()
    """Further layouts that fit, which `--layout` chooses."""
    lost: dict[str, int] = field(default_factory=dict)
    """The number of things of each kind that would be left out."""
    problems: list[str] = field(default_factory=list)
    """The messages about them, and notes on what was read otherwise than it is written (plain strings)."""
    notes: list[str] = field(default_factory=list)
    """Notes on what would be read, and how to choose."""
    sizes: Sizes | None = None
    languages: dict[str, float] = field(default_factory=dict)
    """The most frequent languages of some texts, with their shares."""
    examples: list[Example] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """`data`, `layout`, `rows`, `columns`, `splits`, `lost` and more, as `openalign inspect --json` prints them."""
        plain = ("layout", "title", "why", "rows", "columns", "splits", "lost", "other_columns", "notes", "languages")
        sizes = None
        if self.sizes is not None:
            spreads = {name: vars(getattr(self.sizes, name)) for name in ("width", "height", "file_bytes")}
            sizes = {"images": self.sizes.images, "formats": self.sizes.formats, **spreads}
        examples = [{"image": each.name, "text": each.text, "label": each.label} for each in self.examples]
        return {
            "data": self.name,
            **{name: getattr(self, name) for name in plain},
            "other_layouts": list(self.others),
            "problems": self.problems[:_LISTED],
            "sizes": sizes,
            "examples": examples,
        }


_LISTED = 200


def inspect(
    data: str | Path,
    *,
    split: str | None = None,
    layout: str | None = None,
    image_column: str | None = None,
    text_column: str | None = None,
) -> Inspection:
    """Tell how `data` (any DATA) would be read. Several splits are described, where commands ask for one.

    Tables of more than 64 MB and folders of more than 32 shards are counted, and only some of their rows are read.

    Raises:
        OpenAlignError: `data` does not exist, has no layout that is known, or nothing in it can be read.
        UsageError: there is no such layout or split.
    """
    source = Source.of(data)
    if layout is None and (other := elsewhere(source)) is not None:
        return _of_other(source, other)
    recognised = recognise(source, layout)
    if recognised is None:
        other = web(source)
        if other is None:
            raise unknown(source)
        return _of_other(source, other)
    options = ReadOptions(image_column, text_column, True, split, layout)
    return _of_data(source, recognised, options)


def _of_other(source: Source, other: Elsewhere) -> Inspection:
    notes = [f"not readable as DATA: {other.advice}"]
    return Inspection(source.name, other.name, other.title, other.why, other.rows, notes=notes)


def _of_data(source: Source, recognised: Recognised, options: ReadOptions) -> Inspection:
    read = _read_splits(source, recognised, options)
    first = next(iter(read.values())).pairs
    sampled = sample_images(first)
    languages, unnamed = languages_of(first)
    opening: list[str] = [*source.skipped, *recognised.finding.problems]
    problems = [*opening, *(problem for each in read.values() for problem in each.problems), *sampled.problems]
    notes = [note for each in read.values() for note in each.notes]
    taken = {"image", "text", "label", *first.columns.values()}
    return Inspection(
        name=source.name,
        layout=recognised.layout.name,
        title=recognised.layout.title,
        why=recognised.finding.why,
        rows=sum(each.rows for each in read.values()),
        splits={split: each.rows for split, each in read.items() if split},
        columns=_taken(first),
        other_columns={field.name: _kind(field.type) for field in first.table.schema if field.name not in taken},
        others=recognised.others,
        lost=counted(problems),
        problems=problems,
        notes=[*_choices(source, recognised, options, list(read)), *dict.fromkeys(notes), *sampled.notes, *unnamed],
        sizes=sampled.sizes,
        languages=languages,
        examples=sampled.examples,
    )


def _taken(pairs: Pairs) -> dict[str, str]:
    """What is taken for image, text and label; a column `label` is one wherever there is one."""
    label = {"label": "label"} if "label" in pairs.table.column_names else {}
    taken = label | dict(pairs.columns)
    return {role: taken[role] for role in ("image", "text", "label") if taken.get(role)}


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_struct(kind) or pa.types.is_map(kind):
        return "objects"
    return "lists" if pa.types.is_nested(kind) else str(kind)


def _read_splits(source: Source, recognised: Recognised, options: ReadOptions) -> dict[str, SplitRead]:
    """The rows of each split, or of the chosen one; what cannot be read of several is noted."""
    splits: dict[str, Sequence[PathOrUrl]] = dict(recognised.finding.splits)
    if any(splits) and options.split not in (None, ALL_SPLITS):
        chosen, parts = chosen_parts(source.name, splits, options.split, mixing=False)
        splits = {chosen: parts}
    elif len(splits) > 1:
        splits = {split or UNNAMED: parts for split, parts in splits.items()}
    read: dict[str, SplitRead] = {}
    errors: list[OpenAlignError] = []
    for name, its_parts in splits.items():
        try:
            read[name] = read_split(recognised.layout, source.name, its_parts, options)
        except OpenAlignError as error:
            errors.append(error)
    if not read:
        way = f"read as {recognised.layout.title}, since {recognised.finding.why}"
        raise type(errors[0])(f"{errors[0]} ({way})")
    if errors:
        name, first = next(iter(read.items()))
        read[name] = SplitRead(first.pairs, first.rows, first.problems, [*first.notes, *map(str, errors)])
    return read if any(read) else _by_rows(read[""], options)


def _by_rows(read: SplitRead, options: ReadOptions) -> dict[str, SplitRead]:
    """The splits that a column tells apart, in data whose files tell none."""
    if options.split is not None:
        pairs, split, _ = of_split(read.pairs, options.split, mixing=True)
        return {split: SplitRead(pairs, len(pairs), read.problems, read.notes)}
    rows = rows_of_splits(read.pairs.table)
    if len(rows) < 2:
        return {"": read}
    if read.rows != len(read.pairs):
        notes = [
            *read.notes,
            f"a column `split` names the splits ({', '.join(rows)}): choose one with {option('split')}",
        ]
        return {"": SplitRead(read.pairs, read.rows, read.problems, notes)}
    problems = {split: read.problems if not number else () for number, split in enumerate(rows)}
    return {
        split: SplitRead(read.pairs.select(numbers), len(numbers), problems[split], read.notes)
        for split, numbers in rows.items()
    }


def _choices(source: Source, recognised: Recognised, options: ReadOptions, splits: list[str]) -> list[str]:
    """What commands ask for, and how to choose another reading."""
    notes = []
    if options.split is None and len(splits) > 1:
        notes.append(f"choose a split with {option(split=splits[0])}, or all with {option(split=ALL_SPLITS)}")
    if recognised.others and options.layout is None:
        titles = {layout.name: layout.title for layout in LAYOUTS}
        named = ", ".join(f"{option(layout=name)} ({titles[name]})" for name in recognised.others)
        notes.append(f"it could also be read with {named}")
    if pages := pages_in(source):
        notes.append(f"`openalign curate` reads its {len(pages):,} web pages, such as {pages[0]}, instead")
    if options.layout is None:
        try:
            recognised.check_sure(source.name)
        except OpenAlignError as error:
            notes.append(f"`train` and `tokenizer` refuse it: {error}")
    return notes
