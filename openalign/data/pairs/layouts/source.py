"""What a DATA argument names: a file, a folder with all that is below it, or a URL. Layouts are recognised from it."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from openalign.data.files import remote
from openalign.data.files.walk import files_below
from openalign.data.images.formats import is_image_name
from openalign.data.images.maps import maps_among
from openalign.data.left_out import Kind, LeftOut
from openalign.data.pairs.beside.maps import maps_left_out
from openalign.data.pairs.beside.texts import Beside, first_captions, texts_beside
from openalign.data.pairs.beside.unused import unread_texts
from openalign.data.pairs.folder_files import are_images, image_files, unread_files
from openalign.data.pairs.listed_splits import are_lists, candidates
from openalign.data.pairs.named_images import NamedImages
from openalign.data.shards.find import is_pattern, matching
from openalign.data.split_names import standard_split_of
from openalign.errors import OpenAlignError

PathOrUrl = Path | str
"""A local path, or a URL as a string."""


@dataclass(frozen=True)
class Source:
    """A DATA argument. The files below a folder are listed once, when a layout first asks for them."""

    name: str
    """As the user gave it."""
    at: PathOrUrl
    skipped: list[str] = field(default_factory=list)
    """A message for each kind of file, link or folder below it that is never read."""
    chosen: tuple[str, ...] | None = None
    """The files of a folder that a pattern stands for, by their relative paths; None for all."""
    tops: tuple[str, ...] | None = None
    """The files and folders that a pattern stands for."""

    @classmethod
    def of(cls, given: str | Path) -> "Source":
        """The source that a path, a `file://` URL or another URL names, or a pattern: `{00..10}.tar`, `train-*.tar`.

        Raises `OpenAlignError` if it is local and does not exist.
        """
        name = str(given)
        if is_pattern(name) and not Path(name).exists():
            return cls._of_pattern(name)
        if remote.is_url(name) and not name.startswith("file://"):
            return cls(name, name)
        path = Path(remote.local_path(name)) if name.startswith("file://") else Path(name)
        if not path.exists():
            raise OpenAlignError(f"{path} does not exist")
        return cls(name, path)

    @classmethod
    def _of_pattern(cls, pattern: str) -> "Source":
        found, missing = matching(pattern.removeprefix("file://"))
        folders = [f"{file.rpartition('/')[0]}/" for file in found]
        folder = os.path.commonprefix(folders).rpartition("/")[0]  # noqa: RUF071 - commonpath spoils URLs
        at: PathOrUrl = folder if remote.is_url(found[0]) else Path(folder)
        skipped: list[str] = []
        if missing:
            message = f"{pattern}: {len(missing):,} of these files are not there, the first: {missing[0]}"
            skipped.append(LeftOut(Kind.FILE_MISSING, message, len(missing)))
        tops = tuple(file.removeprefix(f"{folder}/") if file != folder else "" for file in found)
        files: list[str] = []
        for top in tops:
            inside = files_below(at / top, skipped) if isinstance(at, Path) and (at / top).is_dir() else [""]
            files += [f"{top}/{file}".strip("/") for file in inside]
        return cls(pattern, at, skipped, tuple(files), tops)

    @cached_property
    def is_folder(self) -> bool:
        """Whether it is a folder; a URL is one if the server lists files below it, or no suffix names it as a file."""
        if self.chosen is not None:
            return True
        if isinstance(self.at, Path):
            return self.at.is_dir()
        return self._is_listed or self.at.endswith("/") or not PurePosixPath(urlsplit(self.at).path).suffix

    @cached_property
    def _is_listed(self) -> bool:
        """Whether a server lists all that is below a URL. One of http may show links to tars at least."""
        return isinstance(self.at, str) and remote.is_folder(self.at)

    @cached_property
    def files(self) -> list[str]:
        """The paths of the files below a folder, relative, with slashes, sorted; of a file, its own name."""
        if self.chosen is not None:
            return list(self.chosen)
        if isinstance(self.at, str) and self.is_folder and not self._is_listed:
            return [tar.removeprefix(f"{self.at.rstrip('/')}/") for tar in remote.list_tars(self.at)]
        return files_below(self.at, self.skipped) if self.is_folder else [PurePosixPath(str(self.at)).name]

    @cached_property
    def others(self) -> list[str]:
        """Those of `files` that are no images by their names: few, mostly, so that layouts look for theirs here."""
        return [] if are_images(self.files) else [file for file in self.files if not is_image_name(file)]

    @cached_property
    def images(self) -> list[str]:
        """Those of `files` that are images and can be decoded; the others are told in `skipped`."""
        folder = self.at if isinstance(self.at, Path) else None
        self.skipped.extend(unread_files(self.files, folder, self.name))
        return image_files(self.files, folder)

    @cached_property
    def maps(self) -> dict[str, str]:
        """Those of `images` that are masks or the like of others, with those others."""
        return maps_among(self.images)

    @cached_property
    def own_images(self) -> list[str]:
        """Those of `images` that are no masks or the like of others."""
        return [image for image in self.images if image not in self.maps] if self.maps else self.images

    @cached_property
    def named_images(self) -> NamedImages:
        """The images below a folder, by the names that tables give them."""
        return NamedImages(Path(self.at), self.files, split_of=standard_split_of)

    @cached_property
    def beside(self) -> Beside:
        """The text files of each of `images`."""
        return texts_beside(self.images, self.others)

    @cached_property
    def captions(self) -> str | None:
        """One of these text files that holds a caption; None if none does."""
        return first_captions(self.at, self.beside) if isinstance(self.at, Path) and self.is_folder else None

    @cached_property
    def split_lists(self) -> list[str]:
        """Text files that name the images of a split each."""
        if not isinstance(self.at, Path) or not candidates(self.files):
            return []
        return are_lists(self.at, self.files, self.named_images)

    @cached_property
    def folders(self) -> dict[str, list[str]]:
        """The names of the files in each folder below, by the folder's relative path ("" is the source itself)."""
        found: dict[str, list[str]] = {}
        for file in self.files:
            folder, _, name = file.rpartition("/")
            found.setdefault(folder, []).append(name)
        return found

    def child(self, relative: str) -> PathOrUrl:
        """The file or folder at a path relative to a folder ("" is the source itself)."""
        if not self.is_folder or not relative:
            return self.at
        return self.at / relative if isinstance(self.at, Path) else f"{self.at.rstrip('/')}/{relative}"

    def parts(self, folders: Mapping[str, Sequence[str]]) -> dict[str, list[PathOrUrl]]:
        """The folders of each split as paths; of a pattern, what it stands for where there are no splits."""
        if self.tops is not None and list(folders) == [""]:
            return {"": self.children(self.tops)}
        return {split: self.children(each) for split, each in folders.items()}

    def outside(self, folders: Mapping[str, Sequence[str]]) -> list[str]:
        """A message on the images that lie in none of the folders of the splits."""
        tops = tuple(f"{each}/" for some in folders.values() for each in some)
        others = [] if list(folders) == [""] else [image for image in self.images if not image.startswith(tops)]
        maps = {image: self.maps[image] for image in others if image in self.maps}
        others = [image for image in others if image not in maps]
        found: list[str] = [maps_left_out(maps, self.name)] if maps else []
        if others:
            lie = f"{len(others):,} images lie beside the folders of the splits, the first: {others[0]}"
            found.append(LeftOut(Kind.IMAGE_OUTSIDE, f"{self.name}: {lie}", len(others)))
        return found

    def loose_images(self, what: str) -> list[str]:
        """A message on the images in a folder whose images are those in `what`; a note if `what` may name them."""
        if not self.is_folder or not self.images:
            return []
        message = f"{self.name}: {len(self.images):,} images lie beside the {what}, the first: {self.images[0]}"
        if what != "shards":
            return [f"{message}: they are read only where a row names them instead of holding its image"]
        return [LeftOut(Kind.IMAGE_OUTSIDE, message, len(self.images))]

    def unread_texts(self) -> list[str]:
        """Messages on the text and JSON files with the names of images, for a layout that takes none of them."""
        return unread_texts(self.at, self.name, self.beside, self.captions) if isinstance(self.at, Path) else []

    def children(self, relative: Iterable[str]) -> list[PathOrUrl]:
        """`child` of each."""
        return [self.child(each) for each in relative]
