"""A folder of images: each with a text file beside it, or in a folder for each class, or alone."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from openalign.data.images.formats import is_image_name
from openalign.data.pairs.file_images import FileImages, image_paths, text_beside
from openalign.data.pairs.layouts.layout import Finding
from openalign.data.pairs.layouts.source import PathOrUrl, Source
from openalign.data.pairs.options import ReadOptions
from openalign.data.pairs.pairs import Pairs
from openalign.errors import OpenAlignError


class Images:
    """All images below a folder, sorted by path. The part is the folder."""

    name = "images"
    title = "folder of images"
    recognised_by = "image files in the folder or below"

    def find(self, source: Source) -> Finding | None:
        if not source.is_folder or not isinstance(source.at, Path):
            return None
        images = [file for file in source.files if is_image_name(file)]
        if not images:
            return None
        return Finding(f"it holds {images[0]}", {"": [source.at]})

    def read(self, name: str, parts: Sequence[PathOrUrl], options: ReadOptions) -> Pairs:
        (folder,) = parts
        assert isinstance(folder, Path)
        paths, problems = image_paths(folder)
        texts = [_text_beside(folder / path, problems) for path in paths]
        columns = {"image": pa.array([str(path) for path in paths]), "text": pa.array(texts, pa.string())}
        read_from = {"image": "path", "text": "the text file beside each image"}
        if all(text is None for text in texts) and all(len(path.parts) == 2 for path in paths):
            labels = [path.parts[0] for path in paths]
            words = [" ".join(label.replace("_", " ").replace("-", " ").split()) for label in labels]
            columns |= {"text": pa.array(words), "label": pa.array(labels)}
            read_from |= {"text": "the name of the folder", "label": "the name of the folder"}
        table = pa.table(columns)
        return replace(Pairs.of(name, table, FileImages(folder, table["image"]), problems), columns=read_from)


def _text_beside(image: Path, problems: list[str]) -> str | None:
    try:
        return text_beside(image)
    except OpenAlignError as error:
        problems.append(str(error))
        return None
