"""Captions that people wrote into image files, as programs write them."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from openalign.data.images.embedded import embedded_caption

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8))
XMP = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:description><rdf:Alt><rdf:li xml:lang="de">Ein Boot</rdf:li><rdf:li xml:lang="x-default">{}</rdf:li></rdf:Alt>
</dc:description></rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""


def stored(format: str, **options: object) -> bytes:
    file = io.BytesIO()
    PICTURE.save(file, format, **options)
    return file.getvalue()


def exif(text: str) -> bytes:
    tags = Image.Exif()
    tags[0x010E] = text.encode()  # Pillow would write "?" for letters that are not ASCII
    return tags.tobytes()


def with_iptc(caption: bytes) -> bytes:
    """A JPEG with a caption in Photoshop's block of IPTC."""
    records = b"\x1c\x02\x78" + struct.pack(">H", len(caption)) + caption
    block = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(records)) + records + b"\0" * (len(records) % 2)
    segment = b"Photoshop 3.0\0" + block
    jpeg = stored("JPEG")
    return jpeg[:2] + b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("caption", ["A red boat & its crew", "Ein rotes Boot, Büsum", "赤いボート"])
def test_the_description_in_xmp_is_a_caption(format: str, caption: str) -> None:
    packet = XMP.format(caption.replace("&", "&amp;")).encode()
    options = {"tiffinfo": {700: packet}} if format == "TIFF" else {"xmp": packet}
    assert embedded_caption(stored(format, **options)) == caption


def test_a_png_keeps_its_xmp_in_a_text_chunk() -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt("XML:com.adobe.xmp", XMP.format("Two boats"))
    assert embedded_caption(stored("PNG", pnginfo=chunks)) == "Two boats"


@pytest.mark.parametrize("caption", ["Grandmother's garden", "Der Garten in Köln"])
def test_iptc_and_exif_are_captions(caption: str) -> None:
    assert embedded_caption(with_iptc(caption.encode())) == caption
    assert embedded_caption(with_iptc(caption.encode("cp1252"))) == caption
    assert embedded_caption(stored("JPEG", exif=exif(caption))) == caption


def test_xmp_comes_before_exif() -> None:
    both = stored("JPEG", xmp=XMP.format("From XMP").encode(), exif=exif("From EXIF"))
    assert embedded_caption(both) == "From XMP"
    by_camera = stored("JPEG", xmp=XMP.format("SONY DSC").encode(), exif=exif("From EXIF"))
    assert embedded_caption(by_camera) == "From EXIF"


@pytest.mark.parametrize(
    "written",
    [
        *("OLYMPUS DIGITAL CAMERA", "SONY DSC", "SAMSUNG CAMERA PICTURES", "Exif_JPEG_PICTURE", "hdr", "oznor", "dav"),
        *("DCIM\\100MEDIA\\DJI_0001.JPG", "Created with GIMP", "IMG_2041.jpg", "2019-05-01 12:00", "Untitled", " "),
    ],
)
def test_what_cameras_and_programs_write_is_no_caption(written: str) -> None:
    assert embedded_caption(stored("JPEG", exif=exif(written))) is None


@pytest.mark.parametrize(
    "written", ["My new digital camera", "Created in 1987", "Photo of a dog", "Screenshot of a map"]
)
def test_what_people_write_is_one(written: str) -> None:
    assert embedded_caption(stored("JPEG", exif=exif(written))) == written


def test_entities_are_not_expanded_and_damage_is_no_error() -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY b "boat">]>' + XMP.format("&b;").encode()
    assert embedded_caption(stored("JPEG", xmp=bomb)) is None
    wide = b"\xfe\xff" + bomb.decode().encode("utf-16-be")
    assert embedded_caption(stored("JPEG", xmp=wide)) is None
    assert embedded_caption(stored("JPEG", xmp=bomb, exif=exif("A boat"))) == "A boat"
    assert embedded_caption(stored("JPEG", xmp=XMP.format("<").encode())) is None
    whole = stored("JPEG", xmp=XMP.format("A boat").encode(), exif=exif("A boat"))
    for end in range(0, len(whole), 97):
        assert embedded_caption(whole[:end]) in (None, "A boat")
    assert embedded_caption(b"") is None
