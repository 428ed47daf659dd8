"""Build an index from folders of vectors that `openalign embed` wrote: no image is read, and no model is needed."""

import json
import os
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from openalign.data.files.remote import is_url
from openalign.data.images.decode import encode_jpeg
from openalign.data.images.read import ImageInput
from openalign.data.left_out import Kind, LeftOut
from openalign.data.pairs.class_names import are_ids
from openalign.embedding.columns import Embedded
from openalign.embedding.manifest import Manifest
from openalign.embedding.read import Vectors
from openalign.errors import OpenAlignError
from openalign.model import hub
from openalign.model.dual_encoder import DualEncoder
from openalign.search.derived.grouping import sketch_of
from openalign.search.prepare import Item, Known, Prepared, Renamed
from openalign.search.store.changes import Facts, Listed

_GREY = 128
_BLANK_SIDE = 32
"""Pixels of the longer side of what stands for a thumbnail that is missing."""


class GivenVectors(DualEncoder):
    """In place of the model of a manifest: its "prepared images" are vectors that were embedded before."""

    image_size = 1
    temperature = 1.0

    def __init__(self, manifest: Manifest) -> None:
        self.name, self.width, self.fingerprint = manifest.model, manifest.width, manifest.fingerprint

    def prepare(self, image: ImageInput) -> NDArray[Any]:
        raise OpenAlignError(f"{self.name} is not loaded: an index of vectors reads no image.")

    def _embed_prepared(self, images: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(images.astype(np.float32))

    def _embed_text_batch(self, texts: Sequence[str]) -> torch.Tensor:
        """By the model itself, where it is at hand: an index needs texts only to tell where matches end."""
        model = hub.load(self.name)
        if model.fingerprint != self.fingerprint:
            raise OpenAlignError(f"{self.name} is not the model of these vectors any more.")
        return torch.from_numpy(model.embed_texts(texts))


class VectorsSource:
    """The images of one source, as far as they have been read from folders of vectors; see `SourceListing`."""

    is_whole = True

    def __init__(
        self, number: int, name: str, read_as: str, problems: Sequence[str], *, with_files: bool = False
    ) -> None:
        self.number, self.name, self.read_as, self.problems = number, name, read_as, tuple(problems)
        self._files = _Files(name) if with_files else None
        self._columns: set[str] = set()
        self._copies: Counter[str] = Counter()

    @property
    def columns(self) -> list[str]:
        """The names of the columns that `Listed.fields` has."""
        return sorted(self._columns)

    def names(self) -> Iterator[tuple[str, int]]:
        """The name of each image, and how many of that name are before it."""
        return ((name, copy) for name, count in self._copies.items() for copy in range(count))

    def listed(self, row: Embedded) -> Listed:
        """The next image of the source."""
        copy = self._copies[row.key]
        self._copies[row.key] += 1
        if row.fields:
            self._columns.update(json.loads(row.fields))
        # A folder "2020" says nothing of its images.
        shown = row.text or (row.label if row.label and not are_ids([row.label]) else None)
        path = self._files.path(row.key) if self._files else None
        return Listed(self.number, row.key, copy, "", path, shown, row.page, row.label, row.fields)


class _Files:
    """The image files of a source, as far as they are on this machine: below a folder, or beside a table."""

    def __init__(self, source: str) -> None:
        self._beside = not is_url(source) and Path(source).is_file()
        self._folder = str(Path(source).parent) if self._beside else source

    def path(self, key: str) -> str | None:
        """The path of an image as `Listed.path` has it; None if there is no such file, as of images in shards."""
        if is_url(key) or is_url(self._folder):
            return None
        path = os.path.normpath(os.path.join(self._folder, key))  # noqa: PTH118 - millions of times
        if not os.path.isfile(path):  # noqa: PTH113
            return None
        top = f"{self._folder}/"
        if not path.startswith(top):
            return path
        return f"../{path[len(top) :]}" if self._beside else path[len(top) :]


class GivenImages:
    """The images of folders of vectors, for a run into an index."""

    def __init__(self, folders: Sequence[Vectors]) -> None:
        self._folders = folders
        self.model = GivenVectors(folders[0].manifest)
        self.names = list(dict.fromkeys(name for each in folders for name in each.manifest.sources))
        """The names of the sources, each once."""
        self.options = folders[0].manifest.options
        """How all of them were read."""

    def __len__(self) -> int:
        return sum(map(len, self._folders))

    @property
    def thumbnails(self) -> bool:
        """Whether all folders have them."""
        return all(each.manifest.thumbnails for each in self._folders)

    def sources(self, numbers: Sequence[int], *, with_files: bool = False) -> list[VectorsSource]:
        """The sources, by their numbers in the index; what was left out of a folder is told of its first source.

        `with_files` looks whether each image is in a file of its own on this machine, as an index in a folder shows it.
        """
        read_as = {name: how for each in self._folders for name, how in _of_sources(each.manifest)}
        problems: dict[str, list[str]] = {name: [] for name in self.names}
        for each in self._folders:
            for kind, number in each.manifest.lost.items():
                message = f"{each.folder}: {number:,} {kind}"
                problems[each.manifest.sources[0]].append(LeftOut(Kind(kind), message, number))
        self._sources = [
            VectorsSource(number, name, read_as[name], problems[name], with_files=with_files)
            for number, name in zip(numbers, self.names, strict=True)
        ]
        return self._sources

    def batches(self, rows: int = 1024) -> Iterator[list[tuple[Listed, Embedded, NDArray[np.float16]]]]:
        """All images in order with their vectors (D,), at most `rows` at a time; `sources` has been called."""
        for folder in self._folders:
            sources = [self._sources[self.names.index(name)] for name in folder.manifest.sources]
            for batch in folder.batches(rows):
                yield [
                    (sources[row.source].listed(row), row, vector_D)
                    for row, vector_D in zip(batch.rows, batch.vectors_ND, strict=True)
                ]

    def items(self, known: Known) -> Generator[Item, None, None]:
        """All images in order; one whose bytes the index has is not written again."""
        for batch in self.batches():
            for listed, row, vector_D in batch:
                image = known.known(row.digest)
                yield Renamed(listed, image) if image is not None else _prepared(listed, row, vector_D)


def open_all(folders: Sequence[str | Path], fingerprint: str | None = None) -> GivenImages:
    """The images of folders of vectors, by the model with this fingerprint (None: any, but the same for all).

    Raises:
        OpenAlignError: one is not whole, or their models, or the options with which sources were read, differ.
    """
    first = Vectors(Path(folders[0]), fingerprint)
    opened = [first, *(Vectors(Path(folder), first.manifest.fingerprint) for folder in folders[1:])]
    for each in opened:
        if each.manifest.options != first.manifest.options:
            raise OpenAlignError(
                f"{first.folder} and {each.folder} were read with different options ({first.manifest.options} and "
                f"{each.manifest.options}), so that originals could not be found again: make an index of each."
            )
    return GivenImages(opened)


def _of_sources(manifest: Manifest) -> Iterator[tuple[str, str]]:
    return zip(manifest.sources, manifest.read_as, strict=True)


def _prepared(listed: Listed, row: Embedded, vector_D: NDArray[np.float16]) -> Prepared:
    facts = Facts(row.width, row.height, row.bytes, row.date, row.latitude, row.longitude)
    thumbnail = row.thumbnail or blank(row.width, row.height)
    return Prepared(listed, row.key, row.digest, facts, thumbnail, sketch_of(thumbnail), vector_D)


@lru_cache(maxsize=256)
def blank(width: int, height: int) -> bytes:
    """A grey JPEG of these proportions."""
    scale = _BLANK_SIDE / max(width, height)
    shape = (max(1, round(height * scale)), max(1, round(width * scale)), 3)
    return encode_jpeg(np.full(shape, _GREY, np.uint8))
