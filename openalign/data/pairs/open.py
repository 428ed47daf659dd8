"""Opening a DATA argument: find out which layout it has, and read that."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from openalign.data.files import remote
from openalign.data.files.damage import packed_unnamed, start_of, what_it_is
from openalign.data.files.walk import one_look
from openalign.data.left_out import Kind, LeftOut, refuse_left_out
from openalign.data.pairs.folder_files import looks_like_image
from openalign.data.pairs.layouts.registry import LAYOUTS, Recognised, recognise
from openalign.data.pairs.layouts.source import Source
from openalign.data.pairs.layouts.split_column import of_split, split_column
from openalign.data.pairs.layouts.splits import chosen_parts
from openalign.data.pairs.missing_texts import without_markers
from openalign.data.pairs.options import ReadOptions
from openalign.data.pairs.pairs import Pairs, is_filled
from openalign.data.sites import HTML_SUFFIXES, WARC_SUFFIXES
from openalign.data.tables.suffixes import TABLE_SUFFIXES, table_suffix
from openalign.errors import OpenAlignError

_WITHOUT_TEXTS = (Kind.HIDDEN, Kind.IMAGE_FORMAT)
"""Kinds of things that hold no texts, so that they are no reason for their absence."""
_REASONS = 2


def open_pairs(
    source: str | Path,
    *,
    image_column: str | None = None,
    text_column: str | None = None,
    need_text: bool = True,
    where: Mapping[str, str] | None = None,
    split: str | None = None,
    layout: str | None = None,
    strict: bool = False,
) -> Pairs:
    """Open a DATA argument, in whichever layout it has (see `openalign.data.pairs.layouts.registry.LAYOUTS`).

    A file, row or text that cannot be read gets a message in `Pairs.problems`, and the others are read.

    Args:
        source: path or URL. Shards may be at a URL that fsspec opens (s3://, gs://, http(s)://).
        image_column, text_column: columns of a table; default: the first with a usual name.
        need_text: leave out rows without a text, and count them in `problems`.
        where: keep only the rows with this value in each of these columns.
        split: the split to read, of data with several; "all" for every one.
        layout: the name of the layout; default: the first that the data have.
        strict: raise an error if anything is left out.

    Raises:
        OpenAlignError: the source does not exist, has no images, texts or such columns, holds several splits and
            texts are needed, or nothing in it is readable; or, with `strict`, anything was left out.
        UsageError: there is no such layout or split.
    """
    options = ReadOptions(image_column, text_column, need_text, split, layout)
    with one_look():
        opened = Source.of(source)
        recognised = recognise(opened, layout)
        if recognised is None:
            raise unknown(opened)
        pairs = _read(opened, recognised, options, by_rows=split_column(list(where or {})) is None)
    pairs = with_texts(pairs) if need_text else pairs
    if strict:
        refuse_left_out(pairs.name, pairs.problems)
    return pairs.where(where or {})


def _read(source: Source, recognised: Recognised, options: ReadOptions, *, by_rows: bool) -> Pairs:
    """The pairs of the chosen split: told apart by files and folders, else, `by_rows`, by a column `split`."""
    finding = recognised.finding
    mixing = not options.need_text
    splits: Collection[str] = finding.splits
    if options.need_text and options.layout is None:
        recognised.check_sure(source.name)
    by_rows = by_rows and not any(splits)
    split, parts = chosen_parts(source.name, finding.splits, None if by_rows else options.split, mixing=mixing)
    try:
        pairs = without_markers(recognised.layout.read(source.name, parts, options))
    except OpenAlignError as error:
        error.args = (f"{error}{_of_files_not_used(finding.problems)}",)
        raise
    if by_rows:
        pairs, split, splits = of_split(pairs, options.split, mixing=mixing)
    return replace(
        pairs,
        reading=replace(recognised.reading(split), splits=tuple(each for each in splits if each)),
        problems=(*source.skipped, *finding.problems, *pairs.problems),
    )


def _of_files_not_used(problems: Sequence[str]) -> str:
    """The first message on a file beside what is read, which may hold what that lacks, as a further sentence."""
    told = [each for each in problems if isinstance(each, LeftOut) and each.kind == Kind.FILE_NOT_USED]
    return f". {told[0]}" if told else ""


def unknown(source: Source) -> OpenAlignError:
    """The error for data of no known layout."""
    looked_for = ", ".join(f"{layout.title} ({layout.name})" for layout in LAYOUTS)
    if source.is_folder:
        if any(file.lower().endswith((*WARC_SUFFIXES, *HTML_SUFFIXES)) for file in source.files):
            return _crawled(source)
        found = [file for file in source.files if table_suffix(file)]
        given = f". To use a table in it, give the table: {source.child(found[0])}" if found else ""
        told = f". {source.skipped[0]}" if source.skipped else ""
        return OpenAlignError(
            f"{source.name} holds no shards, no pairs.csv and no images{given}{told}. Looked for: {looked_for}"
        )
    if not isinstance(source.at, Path):
        if not remote.exists(source.at):
            return OpenAlignError(f"{source.name} does not exist")
        return OpenAlignError(f"{source.name} holds no shards (.tar): only shards can be read from a URL")
    if any(suffix.lower() in (".warc", ".wat") for suffix in source.at.suffixes):
        return _crawled(source)
    start = start_of(source.at)
    if looks_like_image(source.at.name):
        pattern = source.at.with_name(f"*{source.at.suffix}")
        return OpenAlignError(
            f"{source.name} is one image: give its folder, or a pattern in quotation marks: '{pattern}'"
        )
    if what := what_it_is(start) or packed_unnamed(source.at, start):
        return OpenAlignError(f"{source.name} cannot be read: {what}")
    tables = ", ".join(TABLE_SUFFIXES)
    return OpenAlignError(f"{source.name} is neither a folder nor a table ({tables}) nor a shard (.tar)")


def _crawled(source: Source) -> OpenAlignError:
    what = "holds web pages or a crawl" if source.is_folder else "is a crawl"
    return OpenAlignError(f"{source.name} {what}: run `openalign curate {source.name} --to DIR`, then give DIR")


def with_texts(pairs: Pairs) -> Pairs:
    """The pairs that have a text; the others are counted. Raises `OpenAlignError` if none has."""
    reasons = [each for each in pairs.problems if not (isinstance(each, LeftOut) and each.kind in _WITHOUT_TEXTS)]
    named = "problem" if len(reasons) == 1 else "problems"
    first = f". The first {named}: {'; '.join(reasons[:_REASONS])}" if reasons else ""
    if not len(pairs):
        raise OpenAlignError(f"{pairs.name}: nothing in it can be read{first}")
    has_text = is_filled(pairs.table["text"])
    if has_text.all():
        return pairs
    kept = np.flatnonzero(has_text)
    if len(kept) == 0:
        raise OpenAlignError(f"{pairs.name} holds {len(pairs):,} images but no texts: each image needs one{first}")
    nearest = pairs.row_name(int(np.flatnonzero(~has_text)[0]))
    left_out = len(pairs) - len(kept)
    message = f"{left_out:,} of {len(pairs):,} rows have no text and are left out, the first: {nearest}"
    return replace(pairs.select(kept), problems=(*pairs.problems, LeftOut(Kind.ROW_WITHOUT_TEXT, message, left_out)))
