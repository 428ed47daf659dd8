"""All layouts, and which of them data have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from openalign.data.pairs.layouts.caption_files import CaptionFiles
from openalign.data.pairs.layouts.class_folders import ClassFolders
from openalign.data.pairs.layouts.coco import Coco
from openalign.data.pairs.layouts.images import Images
from openalign.data.pairs.layouts.layout import Choosable, Finding, Layout
from openalign.data.pairs.layouts.metadata_folder import MetadataFolder
from openalign.data.pairs.layouts.parquet_dataset import ParquetDataset
from openalign.data.pairs.layouts.saved_dataset import SavedDataset
from openalign.data.pairs.layouts.source import Source
from openalign.data.pairs.layouts.table_beside import TableBeside
from openalign.data.pairs.layouts.table_file import TableFile
from openalign.data.pairs.layouts.webdataset import WebDataset
from openalign.data.pairs.reading import Reading
from openalign.errors import OpenAlignError, UsageError
from openalign.options import option

LAYOUTS: Sequence[Layout] = (
    WebDataset(),
    Coco(),
    TableFile(),
    MetadataFolder(),
    SavedDataset(),
    ParquetDataset(),
    TableBeside(),
    CaptionFiles(),
    ClassFolders(),
    Images(),
)
"""In order: data that have several of these layouts are read in the first, and the others are named."""


@dataclass(frozen=True)
class Recognised:
    """The layout that data are read in."""

    layout: Layout
    finding: Finding
    others: tuple[str, ...] = ()
    """The names of further layouts that the data have."""
    rivals: Mapping[str, str] = field(default_factory=dict)
    """Those among them that give other texts, and why they were recognised."""

    def check_sure(self, name: str) -> None:
        """Raise `OpenAlignError` if the data could be read in another layout, with other texts."""
        if self.rivals:
            ways = {self.layout.name: self.finding.why} | dict(self.rivals)
            told = ", or as ".join(f"{layout} (since {why})" for layout, why in ways.items())
            choices = " or ".join(option(layout=layout) for layout in ways)
            raise OpenAlignError(
                f"{name} could be read as {told}: choose one with {choices} (the setting `layout`), "
                "or give the path of the file or folder that is meant"
            )

    def reading(self, split: str) -> Reading:
        """How the data are read, in this split."""
        return Reading(
            layout=self.layout.name,
            title=self.layout.title,
            why=self.finding.why,
            split=split,
            splits=tuple(each for each in self.finding.splits if each),
            others=self.others,
        )


def recognise(source: Source, layout: str | None = None) -> Recognised | None:
    """The layout of a source, or that of the given name; None if it has none.

    Raises `UsageError` if there is no layout of that name, or the data do not have it.
    """
    assert source.images is not None  # those of formats that are not read are counted, whatever the layout
    if layout is not None:
        return _asked(source, layout)
    found = [(each, finding) for each in LAYOUTS if (finding := each.find(source)) is not None]
    if not found:
        return None
    others = tuple(each.name for each, _ in found[1:])
    rivals = {each.name: finding.why for each, finding in found[1:] if finding.gives_texts and source.is_folder}
    return Recognised(*found[0], others, rivals)


def layout_called(name: str) -> Layout:
    """The layout of this name. Raises `UsageError` if there is none."""
    layout = next((each for each in LAYOUTS if each.name == name), None)
    if layout is None:
        raise UsageError(f"there is no layout {name!r}: choose one of {', '.join(each.name for each in LAYOUTS)}")
    return layout


def _asked(source: Source, name: str) -> Recognised:
    layout = layout_called(name)
    finding = layout.find_asked(source) if isinstance(layout, Choosable) else layout.find(source)
    if finding is None:
        raise UsageError(f"{source.name} is not in the layout {name}, which is recognised by {layout.recognised_by}")
    return Recognised(layout, finding)
