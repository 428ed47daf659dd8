"""What a DATA argument names: a file, a folder with all that is below it, or a URL. Layouts are recognised from it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from openalign.data.files import remote
from openalign.data.files.walk import files_below
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

    @classmethod
    def of(cls, given: str | Path) -> "Source":
        """The source that a path, a `file://` URL or another URL names.

        Raises `OpenAlignError` if it is local and does not exist.
        """
        name = str(given)
        if remote.is_url(name) and not name.startswith("file://"):
            return cls(name, name)
        path = Path(name.removeprefix("file://"))
        if not path.exists():
            raise OpenAlignError(f"{path} does not exist")
        return cls(name, path)

    @cached_property
    def is_folder(self) -> bool:
        """Whether it is a folder; a URL is one if the server lists files below it."""
        return self.at.is_dir() if isinstance(self.at, Path) else remote.is_folder(self.at)

    @cached_property
    def files(self) -> list[str]:
        """The paths of the files below a folder, relative, with slashes, sorted; of a file, its own name."""
        return files_below(self.at) if self.is_folder else [PurePosixPath(str(self.at)).name]

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

    def children(self, relative: Iterable[str]) -> list[PathOrUrl]:
        """`child` of each."""
        return [self.child(each) for each in relative]
