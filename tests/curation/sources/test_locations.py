"""Locations of images: the strings in tables stand for the same locations when they are parsed again."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openalign.curation.sources.locations import (
    FileLocation,
    ImageLocation,
    ParquetLocation,
    TarLocation,
    UrlLocation,
    WarcLocation,
    location_of,
    parse_location,
)
from openalign.data.shards.sidecar import digest_of
from openalign.errors import OpenAlignError

names = st.text(st.sampled_from("ab#+%:/?. \n\t\\é東"), min_size=1, max_size=12)
paths = names.map(lambda name: Path("/folder") / name.lstrip("/"))
urls = names.map(lambda name: f"s3://bucket/{name}")
files = paths | urls
numbers = st.integers(0, 1 << 40)
digests = st.binary(max_size=8).map(bytes.hex)
locations = st.one_of(
    st.builds(FileLocation, paths),
    st.builds(UrlLocation, urls),
    st.builds(WarcLocation, files, numbers),
    st.builds(TarLocation, files, numbers, numbers, digests),
    st.builds(ParquetLocation, files, numbers, numbers, numbers),
)


@given(locations)
def test_parsing_a_written_location_gives_it_back(location: ImageLocation) -> None:
    assert parse_location(location.write()) == location


@pytest.mark.parametrize(
    ("location", "text"),
    [
        (FileLocation(Path("/a b/#1.jpg")), "file:///a b/#1.jpg"),
        (UrlLocation("s3://bucket/a.jpg"), "at://s3://bucket/a.jpg"),
        (WarcLocation(Path("/crawl.warc.gz"), 412), "warc:///crawl.warc.gz#412"),
        (TarLocation(Path("/a.tar"), 512, 9), "tar:///a.tar#512+9"),
        (TarLocation("s3://bucket/a.tar", 512, 9, "beef"), "tar://s3://bucket/a.tar#512+9+beef"),
        (ParquetLocation(Path("/a.parquet"), 2, 0, 17), "parquet:///a.parquet#2+0+17"),
    ],
)
def test_the_strings_are_those_of_earlier_versions(location: ImageLocation, text: str) -> None:
    """Cached results are found by them."""
    assert location.write() == text


def test_relative_files_are_written_as_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert location_of(Path("a.jpg")).write() == f"file://{tmp_path}/a.jpg"
    assert WarcLocation(Path("a.warc"), 7).write() == f"warc://{tmp_path}/a.warc#7"


@pytest.mark.parametrize("text", ["", "/a.jpg", "https://a.org/a.jpg", "warc:///a.warc", "tar:///a.tar#1"])
def test_other_text_is_no_location(text: str) -> None:
    with pytest.raises(ValueError):
        parse_location(text)


def test_bytes_of_a_tar_are_checked_against_size_and_digest(tmp_path: Path) -> None:
    file = tmp_path / "a.tar"
    file.write_bytes(b"--image--")
    assert TarLocation(file, 2, 5).read() == b"image"
    assert TarLocation(file, 2, 5, digest_of(b"image").hex()).read() == b"image"
    with pytest.raises(OpenAlignError, match="holds other bytes at 2"):
        TarLocation(file, 2, 5, digest_of(b"other").hex()).read()
    with pytest.raises(OpenAlignError, match="shorter than its index"):
        TarLocation(file, 2, 50).read()


def test_a_file_that_is_gone_is_an_error_with_its_location(tmp_path: Path) -> None:
    for location in (FileLocation(tmp_path / "x.jpg"), ParquetLocation(tmp_path / "x.parquet", 0, 0, 0)):
        with pytest.raises(OpenAlignError, match=f"^{re.escape(location.write())} could not be read: "):
            location.read()
