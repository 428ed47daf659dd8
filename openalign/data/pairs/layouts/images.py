"""A folder of images of which nothing is said."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from openalign.data.pairs.file_images import FileImages
from openalign.data.pairs.folder_files import gathered, image_files
from openalign.data.pairs.layouts.layout import Finding
from openalign.data.pairs.layouts.source import PathOrUrl, Source
from openalign.data.pairs.options import ReadOptions
from openalign.data.pairs.pairs import Pairs


class Images:
    """All images below a folder, sorted by path, without texts. The part is the folder."""

    name = "images"
    title = "folder of images without texts"
    recognised_by = "image files in the folder or below, and nothing that could be their texts"

    def find(self, source: Source) -> Finding | None:
        if not source.is_folder or not isinstance(source.at, Path) or not source.images:
            return None
        return Finding(f"it holds {source.images[0]}", {"": [source.at]}, gives_texts=False)

    def read(self, name: str, parts: Sequence[PathOrUrl], options: ReadOptions) -> Pairs:
        folder, files = gathered([part for part in parts if isinstance(part, Path)])
        images = image_files(files, folder)
        table = pa.table({"image": pa.array(images, pa.string()), "text": pa.nulls(len(images), pa.string())})
        return replace(Pairs.of(name, table, FileImages(folder, table["image"])), columns={"image": "path"})
