"""Pages of a TIFF and frames of an animation: the first is read, and the others are counted, by headers alone."""

from collections.abc import Mapping

from PIL import Image

from openalign.data.images.formats import format_of
from openalign.data.images.header import open_with_pillow, without_warnings
from openalign.data.left_out import Kind, LeftOut

_MOST = 10_000
"""Pages or frames that are counted in one image: a hostile file may claim or hold millions."""
_SUBFILE_TYPE = 254
"""The tag of a TIFF whose lowest bit marks a smaller version of another page, as thumbnails and pyramids are."""
_LONGEST_BRANDS = 256


def frames_in(data: bytes) -> int:
    """The number of pages of a TIFF or of frames of an animation, of which the first is decoded; 1 for anything else.

    Pages that are smaller versions of others are none. Of damaged bytes it is the number up to the damage. More than
    10,000 count as 10,000.
    """
    known = format_of(data)
    if known is None or not known.is_decoded or not _may_have_several(data, known.name):
        return 1
    try:
        if known.name == "gif":
            return _frames_of_gif(data)
        with open_with_pillow(data) as image, without_warnings():
            return _pages_in(image) if known.name == "tiff" else min(int(getattr(image, "n_frames", 1)), _MOST)
    except Exception:  # Pillow's plugins raise most of the built-in exceptions on damaged bytes
        return 1


def further_frames(frames: Mapping[str, int], where: str, of: str = "") -> list[str]:
    """A message on images of which one page or frame is read, given the number of all of each; none if there are none.

    `of` says of which images, such as ` of 256 sampled rows`.
    """
    if not frames:
        return []
    first, number = next(iter(frames.items()))
    message = (
        f"{where}: {len(frames):,} images{of} have several pages or frames, of which the first is read, 1 of "
        f"{number:,} in the first such image: {first}"
    )
    return [LeftOut(Kind.FURTHER_FRAME, message, sum(frames.values()) - len(frames))]


def _may_have_several(data: bytes, name: str) -> bool:
    """Whether the head of an image of this format announces an animation, where one can tell without opening it."""
    if name == "png":
        return b"acTL" in data[: max(data.find(b"IDAT"), 0)]
    if name == "webp":
        return data[12:16] == b"VP8X" and bool(data[20:21]) and bool(data[20] & 2)
    if name == "avif":
        return b"avis" in data[8 : min(int.from_bytes(data[:4], "big"), _LONGEST_BRANDS)]
    return name in ("tiff", "gif", "heic")


def _frames_of_gif(data: bytes) -> int:
    """The pictures among the blocks of a GIF; Pillow would have no bound on their number."""
    frames, position = 0, 13 + _colours(data[10])
    try:
        while frames < _MOST:
            kind = data[position]
            if kind == 0x2C:
                frames += 1
                position += 11 + _colours(data[position + 9])
            elif kind == 0x21:
                position += 2
            else:  # the trailer, or damage
                break
            while size := data[position]:
                position += size + 1
            position += 1
    except IndexError:
        pass
    return max(frames, 1)


def _colours(flags: int) -> int:
    """Bytes of the table of colours that these flags announce."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _pages_in(image: Image.Image) -> int:
    pages = 0
    for number in range(_MOST):
        try:
            image.seek(number)
        except Exception:  # EOFError after the last one, others where the next is damaged
            break
        pages += not int(image.tag_v2.get(_SUBFILE_TYPE, 0)) & 1  # type: ignore[attr-defined]
    return max(pages, 1)
