"""Only regular files are read; everything else is an error at once."""

import os
from pathlib import Path

import pytest

from openalign.regular import opened_regular, read_regular


def test_a_file_is_read_also_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "link", 7) == b"content"
    with opened_regular(tmp_path / "file") as file:
        assert file.read(3) == b"con"


def test_a_larger_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with pytest.raises(OSError, match="larger than 6 bytes"):
        read_regular(tmp_path / "file", 6)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "missing"])
def test_what_is_not_a_regular_file_is_refused_without_waiting(tmp_path: Path, kind: str) -> None:
    path = {"device": Path("/dev/zero"), "folder": tmp_path}.get(kind, tmp_path / kind)
    if kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(OSError, match="No such file" if kind == "missing" else "not a regular file"):
        read_regular(path, 100)
