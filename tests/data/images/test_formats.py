"""One table recognises image formats, by suffix and by first bytes, and everything agrees with it."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openalign.data.images.decode import decode
from openalign.data.images.formats import FORMATS, IMAGE_SUFFIXES, format_of, is_image_name, suffix_of
from openalign.data.images.header import ImageError, read_header
from openalign.data.pairs.open import open_pairs
from openalign.data.shards.index import index_path
from openalign.data.shards.writer import ShardWriter

DECODED = [each.name for each in FORMATS if each.pillow and not each.extra]
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)
JXL = b"\xff\x0a\xfa\x7f" + bytes(64)


def encoded(name: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((32, 48, 3), 90, np.uint8)).save(stream, name)
    return stream.getvalue()


@pytest.mark.parametrize("name", DECODED)
def test_a_format_that_is_decoded_is_recognised_by_its_first_bytes(name: str) -> None:
    data = encoded(name)
    found = format_of(data)
    assert found is not None and found.name == name == read_header(data).format
    assert decode(data).shape[2] == 3


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\xff\xd8\xff\xe0", "jpeg"),
        (b"GIF87a", "gif"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "webp"),
        (b"II*\0", "tiff"),
        (b"MM\0*", "tiff"),
        (b"\0\0\0\x1cftypavif", "avif"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif", "avif"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1heic", "heic"),
        (HEIC, "heic"),
        (b"II*\0\x10\0\0\0CR\x02\0", "raw"),
        (b"\0\0\0\x18ftypcrx \0\0\0\x01", "raw"),
        (b"IIRO\x08\0\0\0", "raw"),
        (b"IIRS\x08\0\0\0", "raw"),
        (b"MMOR\0\0\0\x08", "raw"),
        (b"IIU\0\x18\0\0\0", "raw"),
        (b"FUJIFILMCCD-RAW 0201", "raw"),
        (JXL, "jxl"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
    ],
)
def test_first_bytes_tell_the_format(head: bytes, name: str) -> None:
    found = format_of(head)
    assert found is not None and found.name == name


@pytest.mark.parametrize("head", [b"", b"<html>", b"RIFF\x10\0\0\0WAVE", b"%PDF-1.7", b"BMW", b"P1 is a road", b"GIF8"])
def test_other_files_are_not_taken_for_images(head: bytes) -> None:
    assert format_of(head) is None


@pytest.mark.parametrize(("name", "content"), [("photo.jxl", JXL), ("photo.JXL", b"\0\0\0\x0cJXL \r\n\x87\n")])
def test_a_format_that_is_not_decoded_is_recognised_and_refused_by_name(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / "other.png").write_bytes(encoded("png"))
    pairs = open_pairs(tmp_path, need_text=False)
    assert pairs.table["image"].to_pylist() == ["other.png"]
    assert any(name in problem for problem in pairs.problems)
    with pytest.raises(ImageError, match=r"^JXL is not supported$"):
        decode(content)


@pytest.mark.parametrize("name", DECODED)
def test_a_shard_stores_each_format_under_a_suffix_that_is_read_again(tmp_path: Path, name: str) -> None:
    with ShardWriter(tmp_path) as shards:
        shards.write("000", encoded(name), "a text", {})
    [tar] = tmp_path.glob("*.tar")
    index_path(tar).unlink()
    with tarfile.open(tar) as members:
        assert f"000.{suffix_of(name)}" in members.getnames()
    assert open_pairs(tar).image_bytes(0) == encoded(name)


def test_suffixes_belong_to_one_format_each() -> None:
    suffixes = [suffix for each in FORMATS for suffix in each.suffixes]
    assert len(suffixes) == len(IMAGE_SUFFIXES)
    assert is_image_name("a/b.c/PHOTO.JPG") and not is_image_name("a.jpg/notes") and not is_image_name("jpg.txt")
