"""Sources that are data sets in a layout that training reads as well: their rows, with where each image is stored."""

from pathlib import Path
from typing import Any

from openalign.curation.html.urls import normalise
from openalign.curation.html.whitespace import clean_text
from openalign.curation.isolation.columns import values_of
from openalign.curation.isolation.records import Problem, RecordError, one_record
from openalign.curation.sources.listings import Listed, add
from openalign.curation.sources.locations import (
    FileLocation,
    ImageLocation,
    InlineLocation,
    UrlLocation,
    parse_location,
)
from openalign.curation.sources.occurrences import PartitionWriter
from openalign.curation.sources.storage import PathOrUrl
from openalign.data.left_out import Kind, LeftOut
from openalign.data.pairs.layouts.registry import layout_called
from openalign.data.pairs.options import ReadOptions
from openalign.data.pairs.pairs import Pairs


def read_part(partition: PartitionWriter, layout: str, name: str, part: PathOrUrl, options: ReadOptions) -> None:
    """Add the pairs of one part of a data set in `layout`; `name` is that of the data set.

    An image in a file is named by its path, one at a URL by the URL, any other by the part and its name or row there.
    """
    pairs = layout_called(layout).read(name, [part], options)
    partition.problems += pairs.problems
    partition.columns = dict(pairs.columns)
    base = part if isinstance(part, Path) and part.is_dir() else Path(part).parent
    for row, text in enumerate(values_of(pairs.table["text"])):
        partition.records += 1
        row_name = pairs.row_name(row).removesuffix(f" ({pairs.table['image'][row].as_py()})")
        listed = _listed(pairs, row, text, part, base)
        if isinstance(listed, Problem):
            partition.problems.append(LeftOut(Kind.TEXT_NOT_READ, listed.of(row_name)))
        elif listed is None:
            partition.problems.append(LeftOut(Kind.ROW_WITHOUT_IMAGE, f"{row_name} names no image."))
        else:
            add(partition, listed)
            if listed.location is None and not normalise(listed.name):
                message = f"{row_name}: there is no file {listed.name}."
                partition.problems.append(LeftOut(Kind.IMAGE_NOT_READ, message))
                partition.is_finished = False  # the next run looks whether it is there by then


@one_record
def _listed(pairs: Pairs, row: int, text: Any, part: PathOrUrl, base: Path) -> Listed | None:
    """The image and the text of a row; None if it has no image."""
    if isinstance(text, Problem):
        raise RecordError(text.reason)
    words = None if text is None else clean_text(text)
    place = pairs.images.location(row)
    image = pairs.table["image"][row].as_py()
    location: ImageLocation | None
    if place:
        location = parse_location(place)
    elif image:
        location = InlineLocation.of(pairs.image_bytes(row))
    else:
        return None
    if isinstance(location, UrlLocation):
        return Listed(normalise(str(location.file)) or str(location.file), words, None)
    if isinstance(location, FileLocation):
        path = Path(location.file)
        name = str(base / path.relative_to(base.absolute())) if path.is_relative_to(base.absolute()) else str(path)
        return Listed(name, words, location if path.is_file() else None)
    return Listed(f"{part}/{image}", words, location)
