"""The same picture gives the same pixels, in whatever form it is handed over."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from openalign.data.images.decode import decode, resize
from openalign.data.images.header import MAX_PIXELS, ImageError
from openalign.data.images.read import read_image
from openalign.errors import OpenAlignError

SMOOTH = Image.fromarray(resize(np.random.default_rng(0).integers(0, 255, (5, 7, 3), dtype=np.uint8), 50, 70))
MODES = {
    "JPEG": ("L", "RGB", "CMYK"),
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "GIF": ("1", "L", "P", "RGBA"),
    "WEBP": ("L", "RGB", "RGBA"),
    "BMP": ("1", "L", "P", "RGB"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I"),
    "AVIF": ("L", "RGB", "RGBA"),
    "JPEG2000": ("L", "LA", "RGB", "RGBA", "I;16"),
    "ICO": ("RGB", "RGBA"),
    "PPM": ("1", "L", "RGB", "I;16"),
}
LOSSY = ("JPEG", "AVIF", "JPEG2000", "WEBP", "GIF")
WITH_EXIF = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")


def picture(mode: str) -> Image.Image:
    """A smooth picture in this mode; half of it transparent where the mode can say so."""
    if mode in ("I;16", "I"):
        return Image.fromarray((np.asarray(SMOOTH.convert("L")).astype(np.uint16) << 8) + 77).convert(mode)
    if mode == "LAB":
        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        return ImageCms.profileToProfile(SMOOTH, srgb, lab, outputMode="LAB")
    image = SMOOTH.convert(mode)
    if mode in ("LA", "RGBA"):
        alpha = np.zeros((image.height, image.width), np.uint8)
        alpha[:, :35] = 255
        image.putalpha(Image.fromarray(alpha))
    return image


def encoded(image: Image.Image, format: str, orientation: int = 1) -> bytes:
    options: dict[str, object] = {"sizes": [image.size]} if format == "ICO" else {}
    if orientation != 1:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif
    stored = io.BytesIO()
    image.save(stored, format, **options)
    return stored.getvalue()


@pytest.mark.parametrize(("format", "mode"), [(format, mode) for format in MODES for mode in MODES[format]])
@pytest.mark.parametrize("orientation", [1, 6, 7])
def test_path_bytes_and_pillow_image_give_the_same_pixels(
    tmp_path: Path, format: str, mode: str, orientation: int
) -> None:
    if orientation != 1 and format not in WITH_EXIF:
        orientation = 1
    data = encoded(picture(mode), format, orientation)
    (tmp_path / "picture").write_bytes(data)
    pixels = read_image(tmp_path / "picture")
    assert pixels.dtype == np.uint8
    assert pixels.shape == ((50, 70, 3) if orientation == 1 else (70, 50, 3))
    with Image.open(io.BytesIO(data)) as opened:
        loaded = opened.copy()
        for other in (str(tmp_path / "picture"), data, bytearray(data), memoryview(data), opened, loaded):
            difference = np.abs(read_image(other).astype(int) - pixels)
            assert difference.max() <= (2 if format == "JPEG" else 0)
    lossless = encoded(Image.fromarray(pixels), "PNG")
    assert np.array_equal(read_image(lossless), pixels)
    assert np.array_equal(read_image(pixels), pixels)


@pytest.mark.parametrize(("format", "mode"), [(format, mode) for format in MODES for mode in MODES[format]])
def test_every_format_shows_the_picture_that_was_saved(format: str, mode: str) -> None:
    expected = np.asarray(SMOOTH.convert("1" if mode == "1" else "L").convert("RGB")).astype(int)
    colours = np.asarray(SMOOTH).astype(int)
    if mode in ("RGB", "RGBA", "P", "CMYK", "YCbCr", "LAB"):
        expected = colours
    found = read_image(encoded(picture(mode), format)).astype(int)
    if mode in ("LA", "RGBA"):
        expected = expected.copy()
        expected[:, 35:] = 255
    tolerance = 25 if mode == "P" or format in LOSSY else 3
    assert np.abs(found - expected).mean() < tolerance
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("mode", ["RGBa", "La", "PA", "RGBX", "HSV", "I;16B", "I;16L"])
def test_pillow_modes_that_no_file_has_are_read_as_pillow_means_them(mode: str) -> None:
    if mode.startswith("I"):
        image, grey = Image.new(mode, (4, 3), 0x8000), 0x80
        assert np.array_equal(read_image(image), np.full((3, 4, 3), grey))
        return
    clear = {"RGBa": ("RGBA", (0, 0, 0, 0)), "La": ("LA", (0, 0)), "PA": ("PA", (0, 0))}
    if mode in clear:
        start, value = clear[mode]
        assert (read_image(Image.new(start, (4, 3), value).convert(mode)) == 255).all()
    else:
        assert np.abs(read_image(SMOOTH.convert(mode)).astype(int) - np.asarray(SMOOTH)).mean() < 4


def test_the_forms_of_an_array() -> None:
    grey = np.asarray(SMOOTH.convert("L"))
    shown = np.repeat(grey[:, :, None], 3, axis=2)
    alpha = np.full_like(grey, 255)
    for array in (
        *(grey, grey[:, :, None], shown, np.dstack([grey, alpha]), np.dstack([shown, alpha])),
        *(grey.astype(np.uint16) << 8, shown.astype(">u2") * 256 + 255, np.asfortranarray(shown), shown[::1]),
    ):
        assert np.array_equal(read_image(array), shown)
    assert (read_image(np.dstack([shown, np.zeros_like(grey)])) == 255).all()
    assert read_image(np.array([[True, False]])).tolist() == [[[255] * 3, [0] * 3]]
    assert np.array_equal(read_image(np.asarray(SMOOTH)[:, ::-1]), np.asarray(SMOOTH)[:, ::-1])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), r"must be uint8.*not float32 \(4, 4, 3\)"),
        (np.zeros((4, 4, 3), np.int64), "not int64"),
        (np.zeros((3, 40, 40), np.uint8), r"not uint8 \(3, 40, 40\)"),
        (np.zeros((2, 4, 4, 3), np.uint8), r"not uint8 \(2, 4, 4, 3\)"),
        (np.zeros((4,), np.uint8), r"not uint8 \(4,\)"),
        (np.zeros((0, 4, 3), np.uint8), "4 x 0 has no pixels"),
        (np.broadcast_to(np.uint8(0), (20_000, 20_000)), "20000 x 20000 is more than 100 million"),
    ],
)
def test_an_array_that_is_no_picture_is_refused(array: np.ndarray, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        read_image(array)


@pytest.mark.parametrize("other", [None, 3, ["a.jpg"], io.BytesIO(b"")])
def test_other_objects_are_refused_by_their_type(other: object) -> None:
    with pytest.raises(ImageError, match=f"a path, bytes, .*not {type(other).__name__}"):
        read_image(other)  # type: ignore[arg-type]


def test_a_pillow_image_that_cannot_be_read_is_an_image_error(tmp_path: Path) -> None:
    whole = encoded(SMOOTH, "PNG")
    (tmp_path / "torn.png").write_bytes(whole[: len(whole) // 2])
    with Image.open(tmp_path / "torn.png") as torn, pytest.raises(ImageError, match=r"torn\.png is closed, truncated"):
        read_image(torn)
    (tmp_path / "whole.png").write_bytes(whole)
    with Image.open(tmp_path / "whole.png") as closed:
        pass
    with pytest.raises(ImageError, match="closed"):
        read_image(closed)
    with pytest.raises(ImageError, match="more than 100 million pixels"):
        read_image(Image.new("1", (MAX_PIXELS // 1000 + 1, 1000)))
    with pytest.raises(ImageError, match="floating-point"):
        read_image(SMOOTH.convert("F"))
    with pytest.raises(ImageError, match="floating-point"):
        read_image(encoded(SMOOTH.convert("L").convert("F"), "TIFF"))


def test_a_turned_picture_that_the_caller_has_made_upright_is_not_turned_again() -> None:
    data = encoded(SMOOTH, "PNG", orientation=6)
    with Image.open(io.BytesIO(data)) as opened:
        assert np.array_equal(read_image(ImageOps.exif_transpose(opened)), read_image(data))
        assert np.array_equal(read_image(opened.convert("RGBA")), read_image(data))


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_an_orientation_in_xmp_alone_counts(format: str) -> None:
    """Pillow takes it where EXIF has none; a JPEG that is decoded without Pillow must not differ."""
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    if format == "JPEG":
        stored = io.BytesIO()
        SMOOTH.save(stored, "JPEG", xmp=xmp)
        data = stored.getvalue()
    else:
        from PIL.PngImagePlugin import PngInfo

        info, stored = PngInfo(), io.BytesIO()
        info.add_itxt("XML:com.adobe.xmp", xmp.decode())
        SMOOTH.save(stored, "PNG", pnginfo=info)
        data = stored.getvalue()
    assert decode(data).shape == (70, 50, 3)
    with Image.open(io.BytesIO(data)) as opened:
        assert np.abs(read_image(opened).astype(int) - decode(data)).max() <= 2


def test_exif_behind_other_long_segments_is_found() -> None:
    whole = encoded(SMOOTH, "JPEG", orientation=6)
    filler = b"\xff\xe9" + (60_002).to_bytes(2, "big") + bytes(60_000)
    assert decode(whole[:2] + 2 * filler + whole[2:]).shape == (70, 50, 3)


def test_a_transparent_grey_of_sixteen_bits_lies_on_white() -> None:
    image = Image.fromarray(np.array([[3000, 40_000]], np.uint16))
    stored = io.BytesIO()
    image.save(stored, "PNG", transparency=3000)
    assert read_image(stored.getvalue())[0].tolist() == [[255] * 3, [40_000 >> 8] * 3]


def test_one_pillow_image_many_times_at_once_is_read_whole() -> None:
    data = encoded(SMOOTH.resize((700, 500)), "PNG")
    expected = read_image(data)
    for _ in range(5):
        with Image.open(io.BytesIO(data)) as opened, ThreadPoolExecutor(8) as threads:
            for found in threads.map(read_image, [opened] * 16):
                assert np.array_equal(found, expected)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_pixels_are_the_same_as_png_as_pillow_image_and_as_array(
    height: int, width: int, mode: str, seed: int
) -> None:
    random = np.random.default_rng(seed)
    if mode == "I;16":
        image = Image.fromarray(random.integers(0, 65_536, (height, width), dtype=np.uint16))
    else:
        image = Image.fromarray(random.integers(0, 256, (height, width, 4), dtype=np.uint8), "RGBA").convert(mode)
    found = read_image(encoded(image, "PNG"))
    assert np.array_equal(read_image(image), found)
    if mode != "P":  # an array of palette indices does not say so
        assert np.array_equal(read_image(np.asarray(image)), found)


def test_a_file_url_is_read_and_an_address_is_told_to_be_one(tmp_path: Path) -> None:
    Image.new("RGB", (4, 3), "red").save(tmp_path / "a b.png")
    assert np.array_equal(read_image(f"file://{tmp_path}/a%20b.png"), read_image(tmp_path / "a b.png"))
    for address in ("https://example.org/a.png", "s3://bucket/a.png"):
        with pytest.raises(OpenAlignError, match=f"^{address}: is an address, not a file"):
            read_image(address)
