"""A dataset that `datasets` wrote with `save_to_disk`, or several of them, a folder for each split."""

from collections.abc import Sequence
from pathlib import Path

from openalign.data.pairs.from_tables import pairs_of_arrow
from openalign.data.pairs.layouts.layout import Finding
from openalign.data.pairs.layouts.source import PathOrUrl, Source
from openalign.data.pairs.options import ReadOptions
from openalign.data.pairs.pairs import Pairs
from openalign.data.tables.datasets import arrow_files
from openalign.errors import OpenAlignError


class SavedDataset:
    """Arrow files beside a `state.json`. A part is the folder of a split."""

    name = "saved-dataset"
    title = "Hugging Face dataset saved to disk"
    recognised_by = "`state.json` in the folder, or in a folder for each split"

    def find(self, source: Source) -> Finding | None:
        if not source.is_folder or not isinstance(source.at, Path):
            return None
        states = [file for file in source.others if file.rpartition("/")[2] == "state.json" and file.count("/") < 2]
        if not states:
            return None
        folders = sorted(file.rpartition("/")[0] for file in states)
        parts: dict[str, list[PathOrUrl]] = {folder: [source.child(folder)] for folder in folders}
        return Finding(f"it holds {states[0]}", parts, source.loose_images("saved dataset"))

    def read(self, name: str, parts: Sequence[PathOrUrl], options: ReadOptions) -> Pairs:
        problems: list[str] = []
        files = [file for part in parts if isinstance(part, Path) for file in arrow_files(part, problems)]
        if not files:
            raise OpenAlignError(f"{name} is a saved dataset without rows")
        return pairs_of_arrow(name, files, options, problems)
