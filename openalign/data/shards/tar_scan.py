"""Reading the members of a tar without an index: it may be cut off, damaged or malicious."""

import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Self, cast

from openalign.data.left_out import Kind, LeftOut
from openalign.data.shards.members import Member, Part, is_hidden, parsed
from openalign.data.shards.sidecar import MAX_IMAGE_BYTES

MAX_TEXT_BYTES = 16 << 20
"""Longer texts and `.json` files of samples are left out, since they are read into memory."""
_MAX_HEADER_BYTES = 16 << 10
"""A longer header ends the scan: paths have at most 4,096 bytes, and `tarfile` needs quadratic time for a header."""
_BLOCKS_READ = 128 * tarfile.BLOCKSIZE
_MOST_SINGLE = 20
"""Messages on single members; further ones are counted in one."""
_READ = (Part.TEXT, Part.FIELDS, Part.LABEL)
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


@dataclass
class Scanned:
    """What a tar holds, in its order."""

    name: str
    """Of the tar, for messages."""
    members: list[Member] = field(default_factory=list)
    is_cut: bool = False
    """Whether it is cut off, or damaged so that the rest cannot be found."""
    cut_member: str | None = None
    """The name of the member within which it is cut off, if that is known."""
    too_large: list[Member] = field(default_factory=list)
    """Members that are not read because of their size."""
    bytes_after: int = 0
    """Bytes after the end of the tar that are no further one."""
    hidden: int = 0
    links: int = 0
    devices: int = 0

    def problems(self) -> Iterator[LeftOut]:
        """A message for each member that is not among `members`, or for each kind of them."""
        for kind in dict.fromkeys(_KIND_OF_LARGE[each.part] for each in self.too_large):
            messages = [
                f"{self.name}: {each.name} has {each.size:,} bytes and is left out: at most {_most(kind):,} are read"
                for each in self.too_large
                if _KIND_OF_LARGE[each.part] is kind
            ]
            yield from first_ones(kind, messages, "members are too large and are left out")
        if self.bytes_after:
            message = f"{self.name}: {self.bytes_after:,} bytes after the end of the tar are not read, and are no tar"
            yield LeftOut(Kind.MEMBER_NOT_USED, message)
        if self.hidden:
            message = f"{self.name}: {self.hidden:,} hidden members, or files that a system adds, are left out"
            yield LeftOut(Kind.HIDDEN, message, self.hidden)
        if self.links:
            message = f"{self.name}: {self.links:,} links are not followed: write the tar with `tar --dereference`"
            yield LeftOut(Kind.LINK_NOT_FOLLOWED, message, self.links)
        if self.devices:
            message = f"{self.name}: {self.devices:,} members are not regular files and are left out"
            yield LeftOut(Kind.MEMBER_NOT_USED, message, self.devices)


def first_ones(kind: Kind, messages: Sequence[str], more: str) -> list[LeftOut]:
    """The first messages, one thing each; then one for all others: how many, and `more`, which says what they are."""
    found = [LeftOut(kind, message) for message in messages[:_MOST_SINGLE]]
    if rest := len(messages) - len(found):
        found.append(LeftOut(kind, f"{messages[0].partition(': ')[0]}: {rest:,} more {more}", rest))
    return found


def _most(kind: Kind) -> int:
    return MAX_IMAGE_BYTES if kind is Kind.IMAGE_NOT_READ else MAX_TEXT_BYTES


_KIND_OF_LARGE = {
    Part.IMAGE: Kind.IMAGE_NOT_READ,
    Part.TEXT: Kind.TEXT_NOT_READ,
    Part.LABEL: Kind.TEXT_NOT_READ,
    Part.FIELDS: Kind.METADATA_NOT_READ,
}


def scan(name: str, stream: IO[bytes]) -> Scanned:
    """All members of a tar, with the contents of texts and `.json` files; of one that is cut off, those before.

    Raises `tarfile.ReadError` if it has no member that can be found, `OSError` if the stream cannot be read.
    """
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    found = Scanned(name)
    _refuse_compressed(_read(stream, 8))
    start: int | None = 0
    while start is not None:
        end = _scan_one(found, stream, start, size)
        if end is None:
            break
        stream.seek(end)
        if _read(stream, tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):  # an empty block is the end of a tar
            found.is_cut = True
            break
        start = _next_tar(stream)
        if start is not None and not _is_header(stream, start):
            found.is_cut = size - start < tarfile.BLOCKSIZE
            found.bytes_after = 0 if found.is_cut else size - start
            break
    return found


def _scan_one(found: Scanned, stream: IO[bytes], start: int, size: int) -> int | None:
    """Add the members of the tar that begins at `start`; returns where it ends, None if it is cut off or damaged.

    Tars are joined end to end where somebody joins them as files.
    """
    targets: dict[str, tarfile.TarInfo] = {}
    stream.seek(start)
    try:
        headers = cast(IO[bytes], _Headers(stream))
        opened = tarfile.open(fileobj=headers, mode="r:", tarinfo=_Member)  # noqa: SIM115 - the caller closes the stream
        while (member := opened.next()) is not None:
            if member.size < 0 or member.offset_data + member.size > size:
                found.is_cut, found.cut_member = True, member.name
                return None
            targets.setdefault(member.name, member)
            _add(member, found, stream, targets)
    except OSError:
        raise
    except Exception as error:  # tarfile raises most of the built-in exceptions on damaged headers
        if not found.members:
            raise tarfile.ReadError(str(error) or type(error).__name__) from None
        found.is_cut = True
        return None
    return opened.offset


def _next_tar(stream: IO[bytes]) -> int | None:
    """The offset of the first block after the empty ones at which the stream stands; None if all are empty."""
    while block := _read(stream, _BLOCKS_READ):
        rest = block.lstrip(b"\0")
        if rest:
            return (stream.tell() - len(rest)) // tarfile.BLOCKSIZE * tarfile.BLOCKSIZE
    return None


def _is_header(stream: IO[bytes], offset: int) -> bool:
    stream.seek(offset)
    try:
        tarfile.TarInfo.frombuf(_read(stream, tarfile.BLOCKSIZE), "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _add(member: tarfile.TarInfo, found: Scanned, stream: IO[bytes], targets: Mapping[str, tarfile.TarInfo]) -> None:
    """Add one member of a tar to what was found, or to the counts of what is left out."""
    if member.isdir():
        return
    if is_hidden(member.name):
        found.hidden += 1
        return
    name, key, suffix, part = parsed(member.name)
    if member.islnk():  # a hard link: the bytes are those of a member before
        member = targets.get(member.linkname, member)
    if not member.isfile() or member.issparse():
        found.links += member.issym() or member.islnk()
        found.devices += not (member.issym() or member.islnk())
        return
    content = None
    if part is Part.IMAGE or part in _READ:
        if member.size > _most(_KIND_OF_LARGE[part]):
            found.too_large.append(Member(name, key, suffix, part, member.offset_data, member.size))
            return
        if part is not Part.IMAGE:
            stream.seek(member.offset_data)
            content = _read(stream, member.size)
    found.members.append(Member(name, key, suffix, part, member.offset_data, member.size, content))


def _refuse_compressed(head: bytes) -> None:
    for start, kind in _COMPRESSED.items():
        if head.startswith(start):
            raise tarfile.ReadError(f"it is compressed with {kind}, so no sample can be read by itself: decompress it")


class _Member(tarfile.TarInfo):
    """A member whose header is parsed in half the time where it is that of a plain file: owner and times are unused."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        size = _size_of_plain_file(buf)
        if size is None:
            return super().frombuf(buf, encoding, errors)
        member = cls(buf[:100].partition(b"\0")[0].decode(encoding, errors))
        member.size = size
        return member


def _size_of_plain_file(header: bytes | bytearray) -> int | None:
    """The size in an intact header of a regular file whose name is in one part; None for any other header."""
    if header[156:157] != tarfile.REGTYPE or header[345:346] != b"\0":
        return None
    try:
        checksum, size = int(header[148:154], 8), int(header[124:135], 8)
    except ValueError:
        return None
    is_intact = checksum == sum(header) - sum(header[148:156]) + 8 * ord(" ")
    return size if is_intact and size >= 0 else None


class _Headers:
    """The stream that `tarfile` reads from; it refuses reads larger than a header.

    `tarfile` itself reads as many bytes as a header claims to have, even 2^60.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header claims to have {size:,} bytes")
        return _read(self._stream, size)


def _read(stream: IO[bytes], size: int) -> bytes:
    try:
        return stream.read(size)
    except Exception as error:  # each remote file system has exceptions of its own
        raise OSError(f"its bytes cannot be read: {error}") from None
