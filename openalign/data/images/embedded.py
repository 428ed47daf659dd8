"""The caption that a person wrote into an image file: XMP, IPTC or EXIF; the pixels are not read.

Lightroom, digiKam, Apple Photos and stock agencies write it as XMP `dc:description` (XMP specification part 1), which
older programs write as IPTC 2:120 (IIM 4.2), and cameras and Windows as EXIF `ImageDescription`.
"""

import re
from collections.abc import Callable
from xml.etree import ElementTree

from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.IptcImagePlugin import getiptcinfo

from openalign.data.images.formats import format_of, is_image_name
from openalign.data.images.header import open_with_pillow, without_warnings

_MOST_XMP_BYTES = 1 << 20
_LONGEST = 10_000
"""Characters of a caption; more are something else."""
_DESCRIPTION = "{http://purl.org/dc/elements/1.1/}description"
_ITEM = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_EXIF_DESCRIPTION, _XMP_TAG = 0x010E, 700
_IPTC_CAPTION, _IPTC_CHARSET = (2, 120), (1, 90)
_UTF8 = b"\x1b%G"
_OF_PROGRAMS = re.compile(
    r"(?-i:[A-Z. -]*DIGITAL CAMERA)|(?:sony|minolta) dsc|samsung(?: camera pictures)?|exif[_ ]jpeg.*|dcim[\\/].*|"
    r"dav|sdr|r?hdr\w*|cof|oznor\w*|mde|edf|ptr|nor|fbt|default|untitled|image|photo|picture|screen ?shot|"
    r"(?:created|edited|processed|generated|optimi[sz]ed) with .*|file written by .*|lead technologies.*|"
    r"applemark|binary comment|<[?a-z].*|[\W\d_]*",
    re.IGNORECASE | re.DOTALL,
)
"""What cameras and programs write where a person may write a caption: `OLYMPUS DIGITAL CAMERA`, `SONY DSC`."""


def embedded_caption(data: bytes) -> str | None:
    """The caption in an image file; None if there is none, or one that a camera or a program wrote by itself.

    Of several that of XMP, else of IPTC, else of EXIF. Malformed metadata count as absent, and nothing is raised.
    """
    if (known := format_of(data)) is None or not known.is_decoded or known.by_preview:
        return None
    try:
        with open_with_pillow(data) as image, without_warnings():
            for read in (_of_xmp, _of_iptc, _of_exif):
                if (caption := _caption(read, image)) is not None:
                    return caption
    except Exception:  # Pillow's plugins raise most of the built-in exceptions on damaged bytes
        return None
    return None


def _caption(read: Callable[[Image.Image], str | None], image: Image.Image) -> str | None:
    """What `read` finds, if a person may have written it."""
    try:
        found = read(image)
    except Exception:  # as above; another kind of metadata may be whole
        return None
    text = (found or "").partition("\0")[0].strip()
    if not text or len(text) > _LONGEST or _OF_PROGRAMS.fullmatch(text) or is_image_name(text):
        return None
    return text


def _of_xmp(image: Image.Image) -> str | None:
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if packet is None and image.format == "TIFF":
        packet = image.tag_v2.get(_XMP_TAG)  # type: ignore[attr-defined]
    packet = packet.encode() if isinstance(packet, str) else packet
    # A definition of entities, which no program writes, could expand without end; in UTF-16 it has zeros in between.
    if not isinstance(packet, bytes) or len(packet) > _MOST_XMP_BYTES or b"<!" in packet.replace(b"\0", b""):
        return None
    root = ElementTree.fromstring(packet.strip(b"\0 \r\n\t"))
    for described in root.iter():
        if in_attribute := described.get(_DESCRIPTION):
            return in_attribute
        if described.tag == _DESCRIPTION:
            items = list(described.iter(_ITEM))
            chosen = next((item for item in items if item.get(_LANGUAGE) == "x-default"), next(iter(items), described))
            return chosen.text
    return None


def _of_iptc(image: Image.Image) -> str | None:
    found = (getiptcinfo(image) if isinstance(image, ImageFile) else None) or {}
    caption = found.get(_IPTC_CAPTION)
    caption = caption[0] if isinstance(caption, list) and caption else caption
    return _decoded(caption, found.get(_IPTC_CHARSET) == _UTF8) if isinstance(caption, bytes) else None


def _of_exif(image: Image.Image) -> str | None:
    caption = image.getexif().get(_EXIF_DESCRIPTION)
    if isinstance(caption, str):  # Pillow takes the bytes for Latin-1, where most programs write UTF-8
        caption = caption.encode("latin-1", "ignore")
    return _decoded(caption, False) if isinstance(caption, bytes) else None


def _decoded(text: bytes, is_utf8: bool) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("utf-8" if is_utf8 else "cp1252", "replace")
