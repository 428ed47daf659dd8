"""Image formats: their names, file suffixes and first bytes, in one table that everything else consults."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from openalign.extras import EXTRAS, missing

HEAD_BYTES = 32
"""`format_of` needs this many bytes of a file."""


@dataclass(frozen=True)
class ImageFormat:
    """A raster format that is recognised, whether or not it can be decoded."""

    name: str
    suffixes: tuple[str, ...]
    """Suffixes of its files, without the dot; the first is used for writing."""
    start: re.Pattern[bytes]
    """Matches the first `HEAD_BYTES` of a valid file."""
    signature: bytes = b""
    """A file with these first bytes has this format, even if it is truncated or malformed; empty if that is unsafe."""
    pillow: tuple[str, ...] = ()
    """Pillow's names for it; empty if Pillow does not decode it."""
    extra: str = ""
    """The extra that decodes it, if the base install does not."""
    by_preview: bool = False
    """Whether the JPEG in it is decoded (see `raw_preview`)."""

    @property
    def shown(self) -> str:
        """The name for messages."""
        return shown_format(self.name)

    @property
    def is_decoded(self) -> bool:
        """Whether this installation decodes it."""
        return self.by_preview or bool(self.pillow and not (self.extra and missing(EXTRAS[self.extra])))

    @property
    def why_not(self) -> str:
        """Why it is not decoded, in a few words."""
        if self.extra:
            return f"{self.shown} is not supported without pip install 'openalign[{self.extra}]'"
        return f"{self.shown} is not supported"


def _format(
    name: str,
    suffixes: str,
    start: bytes,
    signature: bytes = b"",
    *,
    pillow: str | None = None,
    extra: str = "",
    by_preview: bool = False,
) -> ImageFormat:
    names = tuple((name.upper() if pillow is None else pillow).split())
    return ImageFormat(name, tuple(suffixes.split()), re.compile(start, re.DOTALL), signature, names, extra, by_preview)


# Pillow would also open formats that run other programs (EPS) or that no web page shows; those are left out.
# AVIF and HEIC are both HEIF containers, which differ in their brands.
# RAW files of most cameras begin like a TIFF; those here have beginnings of their own (CR2, CR3, ORF, RW2, RAF).
_RAW_SUFFIXES = "dng nef nrw cr2 cr3 arw sr2 orf rw2 raf pef srw 3fr erf"
_RAW_STARTS = rb"II\*\0\x10\0\0\0CR|....ftypcrx |II(?:RO|RS|U\0)|MMOR|FUJIFILMCCD-RAW"

FORMATS = (
    _format("jpeg", "jpg jpeg jfif jpe", rb"\xff\xd8\xff", b"\xff\xd8\xff", pillow="JPEG MPO"),
    _format("png", "png apng", rb"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n"),
    _format("gif", "gif", rb"GIF8[79]a", b"GIF8"),
    _format("webp", "webp", rb"RIFF....WEBP", b"RIFF"),
    _format("bmp", "bmp", rb"BM.{4}\0\0\0\0", b"BM"),
    _format("tiff", "tiff tif", rb"II\*\0(?!\x10\0\0\0CR)|MM\0\*"),
    _format("avif", "avif", rb"....ftyp(?:avi[fs]|(?:mif1|msf1).{4}(?:.{4})*?avi[fs])"),
    _format("jpeg2000", "jp2 j2k jpx jpf j2c", rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"),
    _format("ico", "ico", rb"\0\0\x01\0[\x01-\xff]\0"),
    _format("ppm", "ppm pgm pbm pnm", rb"P[1-6]\s+[\d#]"),
    _format("heic", "heic heif hif", rb"....ftyp(?:hei[cxms]|hev[cxms]|mif1|msf1)", pillow="HEIF", extra="photos"),
    _format("raw", _RAW_SUFFIXES, _RAW_STARTS, pillow="", by_preview=True),
    _format("jxl", "jxl", rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", pillow=""),
)

IMAGE_SUFFIXES = frozenset(suffix for each in FORMATS for suffix in each.suffixes)
"""Suffixes of image files, without the dot. Those that are not decoded are included, so that users learn it."""


def format_of(head: bytes) -> ImageFormat | None:
    """The format of a file by its first `HEAD_BYTES`; None if it is not an image of a known format."""
    return next((each for each in FORMATS if each.start.match(head[:HEAD_BYTES])), None)


def is_image_name(path: str) -> bool:
    """Whether a file name has one of `IMAGE_SUFFIXES`, in upper or lower case."""
    return path.rpartition(".")[2].lower() in IMAGE_SUFFIXES


def reading_advice(suffixes: Iterable[str]) -> str:
    """What to do about images with these suffixes, which are not decoded: `convert them to PNG or JPEG`."""
    extras = {each.extra for each in FORMATS if each.extra and not each.is_decoded and {*suffixes} & {*each.suffixes}}
    return f"pip install 'openalign[{','.join(sorted(extras))}]'" if extras else "convert them to PNG or JPEG"


def suffix_of(name: str) -> str:
    """The suffix for writing a format that can be decoded, given its `ImageHeader.format`: `jpeg` -> `jpg`."""
    return next(each.suffixes[0] for each in FORMATS if name == each.name or name.upper() in each.pillow)


def shown_format(name: str) -> str:
    """The name of a format for messages: `webp` -> `WebP`, `png` -> `PNG`."""
    return {"webp": "WebP", "raw": "camera RAW"}.get(name, name.upper())
