"""Untrusted image bytes are decoded, or refused with a reason."""

import io
import pickle
import struct
import warnings
import zlib

import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from openalign.data.images.decode import decode, encode_jpeg, resize, shrink
from openalign.data.images.header import ImageError, ImageHeader, read_header

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")
PICTURE = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)


def encoded(format: str, image: NDArray[np.uint8] = PICTURE, mode: str = "RGB", **options: object) -> bytes:
    stored = io.BytesIO()
    Image.fromarray(image).convert(mode).save(stored, format, **options)
    return stored.getvalue()


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header promises any number of pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF"])
def test_lossless_formats_decode_to_the_same_pixels(format: str) -> None:
    assert np.array_equal(decode(encoded(format)), PICTURE)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_jpeg_without_three_colours_decodes_to_rgb(mode: str) -> None:
    assert decode(encoded("JPEG", mode=mode)).shape == (90, 120, 3)


def test_sixteen_bit_grey_keeps_its_brightness() -> None:
    stored = io.BytesIO()
    Image.fromarray(np.full((4, 4), 0x8000, np.uint16)).save(stored, "PNG")
    assert np.array_equal(decode(stored.getvalue()), np.full((4, 4, 3), 0x80))


@pytest.mark.parametrize("value", [-1, 65_536, 2**31 - 1])
def test_pixels_of_more_than_sixteen_bits_are_refused(value: int) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.full((8, 8), value, np.int32)).save(stream, "TIFF")
    with pytest.raises(ImageError, match="pixels of 32 bits, whose range is not known"):
        decode(stream.getvalue())


def test_transparency_lies_on_white() -> None:
    stored = io.BytesIO()
    Image.new("RGBA", (5, 4), (255, 0, 0, 0)).save(stored, "PNG")
    assert np.array_equal(decode(stored.getvalue()), np.full((4, 5, 3), 255))


def test_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    stored = io.BytesIO()
    frames[0].save(stored, "GIF", save_all=True, append_images=frames[1:])
    assert decode(stored.getvalue())[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_as_pillow_does(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    smooth = resize(PICTURE[:6, :8], 90, 120)
    stored = encoded(format, smooth, exif=exif, **({"lossless": True} if format == "WEBP" else {}))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(stored))).convert("RGB"))
    assert np.array_equal(decode(stored), expected)


def test_malformed_exif_leaves_the_pixels_as_stored() -> None:
    whole = encoded("JPEG")
    broken = b"Exif\x00\x00MM\x00*\xff\xff\xff\xff"
    segment = b"\xff\xe1" + struct.pack(">H", len(broken) + 2) + broken
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode(whole[:2] + segment + whole[2:]).shape == (90, 120, 3)


def test_scaled_decoding_keeps_the_shorter_side_long_enough() -> None:
    large = encoded("JPEG", resize(PICTURE, 600, 800))
    for min_side in (1, 75, 76, 299, 600, 2000):
        height, width, _ = decode(large, min_side=min_side).shape
        assert min(height, width) >= min(min_side, 600)
    assert decode(large, min_side=75).shape == (75, 100, 3)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_file_is_called_truncated(format: str, share: float) -> None:
    whole = encoded(format)
    with pytest.raises(ImageError) as error:
        decode(whole[: int(len(whole) * share)])
    shown = "WebP" if format == "WEBP" else format
    # A TIFF that lost its directory has no size to read: nothing tells it from other bytes.
    assert error.value.reason in (
        (f"truncated {shown}",) if format != "TIFF" else ("truncated TIFF", "not a raster image")
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'></svg>", "not a raster image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not a raster image"),
        (b"<!doctype html><title>404</title>", "not a raster image"),
        (b"\xff\xd8\xff", "truncated JPEG"),
    ],
)
def test_bytes_that_are_not_an_image_are_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=f"^{reason}$"):
        decode(data)


def test_a_pixel_bomb_is_refused_before_it_is_decoded() -> None:
    bomb = png_that_claims(30_000, 30_000)
    assert read_header(bomb) == ImageHeader("png", 30_000, 30_000)
    with warnings.catch_warnings(), pytest.raises(ImageError, match="30000 x 30000 is more than 100 million pixels"):
        warnings.simplefilter("error")
        decode(bomb)


def test_a_large_image_below_the_limit_gives_no_warning() -> None:
    with warnings.catch_warnings(), pytest.raises(ImageError, match="truncated"):
        warnings.simplefilter("error")
        decode(png_that_claims(9_900, 9_900))


@pytest.mark.parametrize(
    "raised",
    [
        *(struct.error("x"), SyntaxError("x"), EOFError(), MemoryError(), OverflowError("x"), ZeroDivisionError()),
        *(RecursionError("x"), KeyError("x"), AttributeError("x"), OSError("x"), Image.DecompressionBombError("x")),
        *(AssertionError(), NotImplementedError(), RuntimeError("x"), ValueError("two\nlines")),
    ],
)
@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_whatever_a_decoder_raises_is_an_image_error(
    monkeypatch: pytest.MonkeyPatch, format: str, raised: Exception
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise raised

    whole = encoded(format)
    monkeypatch.setattr(simplejpeg, "decode_jpeg", refuse)
    for broken in ("open", "frombuffer"):
        monkeypatch.setattr(Image, broken, refuse)
    monkeypatch.setattr("openalign.data.images.decode.open_with_pillow", refuse)
    with pytest.raises(ImageError) as error:
        decode(whole)
    assert "\n" not in error.value.reason
    monkeypatch.setattr("openalign.data.images.header.open_with_pillow", refuse)
    with pytest.raises(ImageError):
        read_header(b"II*\0" + bytes(100))


def test_a_jpeg_is_as_large_as_its_decoder_finds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of damaged bytes the decoder may make another size than our reader of headers."""
    monkeypatch.setattr(simplejpeg, "decode_jpeg_header", lambda data: (40_000, 50_000, "RGB", "420"))
    with pytest.raises(ImageError, match="50000 x 40000 is more than 100 million pixels"):
        decode(encoded("JPEG"))


def test_an_image_inside_another_is_not_larger_than_its_container_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = png_that_claims(12_000, 12_000)
    monkeypatch.setattr("openalign.data.images.decode.read_header", lambda data: ImageHeader("png", 8, 8))
    with pytest.raises(ImageError, match="12000 x 12000 is more than 100 million pixels"):
        decode(bomb)


def test_an_image_too_long_for_a_jpeg_is_an_error() -> None:
    assert len(encode_jpeg(np.zeros((1, 65_500, 3), np.uint8))) > 0
    with pytest.raises(ImageError, match="65501 x 1 is more than the 65500 px a JPEG can have"):
        encode_jpeg(np.zeros((1, 65_501, 3), np.uint8))


@given(
    format=st.sampled_from(FORMATS),
    start=st.integers(0, 2000),
    noise=st.binary(max_size=40),
    end=st.one_of(st.none(), st.integers(0, 3000)),
)
def test_damage_anywhere_raises_nothing_but_image_errors(
    format: str, start: int, noise: bytes, end: int | None
) -> None:
    whole = _ENCODED[format]
    damaged = (whole[:start] + noise + whole[start + len(noise) :])[:end]
    try:
        image = decode(damaged, min_side=16)
    except ImageError:
        return
    assert image.dtype == np.uint8
    assert image.shape[2] == 3


_ENCODED = {format: encoded(format) for format in FORMATS}


def test_resize_equals_pillow_within_a_grey_level() -> None:
    ours = resize(PICTURE, 33, 47)
    pillow = np.asarray(Image.fromarray(PICTURE).resize((47, 33), Image.Resampling.BILINEAR))
    assert np.abs(ours.astype(int) - pillow).max() <= 1
    assert ours.flags.c_contiguous


def test_resize_takes_read_only_pixels() -> None:
    image = PICTURE.copy()
    image.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert resize(image, 10, 10).shape == (10, 10, 3)


def test_shrink_keeps_the_aspect_and_never_enlarges() -> None:
    assert shrink(PICTURE, 45).shape == (45, 60, 3)
    assert shrink(PICTURE, 400) is PICTURE


def test_an_encoded_jpeg_decodes_to_nearly_the_same() -> None:
    smooth = resize(PICTURE[:6, :8], 90, 120)
    assert np.abs(decode(encode_jpeg(smooth, quality=95)).astype(int) - smooth).mean() < 4


def test_an_image_error_survives_the_way_back_from_a_worker() -> None:
    assert pickle.loads(pickle.dumps(ImageError("truncated GIF"))).reason == "truncated GIF"


@pytest.mark.parametrize("place", ["before the frame", "after the frame"])
def test_a_jpeg_of_very_many_blocks_of_exif_is_refused(place: str) -> None:
    plain, block = encoded("JPEG"), b"\xff\xe1\0\x10Exif\0\0" + b"x" * 8
    position = 2 if place == "before the frame" else plain.index(b"\xff\xda")
    decode(plain[:position] + block * 64 + plain[position:])
    for count in (65, 200_000):
        with pytest.raises(ImageError, match=r"^JPEG with too many blocks of EXIF$|^damaged JPEG$"):
            decode(plain[:position] + block * count + plain[position:])
