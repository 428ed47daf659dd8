"""One walk finds the files of a folder, the same on disk and at a URL, and leaves out hidden ones."""

import os
from pathlib import Path

import fsspec
import pytest

from openalign.data.files.walk import file_states, files_below

NAMES = (
    "b.txt",
    "a/b.txt",
    "a-b/c.txt",
    ".DS_Store",
    "a/.hidden",
    ".git/config",
    "a/node_modules/x/y.js",
    "a/.x/z.jpg",
)
VISIBLE = ["a-b/c.txt", "a/b.txt", "b.txt"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_text(name)
    return tmp_path / "data"


@pytest.fixture
def url(folder: Path) -> str:
    memory = fsspec.filesystem("memory")
    for name in NAMES:
        memory.pipe(f"/walk/{name}", name.encode())
    return "memory://walk"


def test_visible_files_are_found_sorted_by_name(folder: Path) -> None:
    assert files_below(folder) == VISIBLE


def test_a_url_has_the_same_files(url: str) -> None:
    assert files_below(url) == VISIBLE


def test_a_hidden_name_above_the_folder_does_not_hide_its_files(tmp_path: Path) -> None:
    (tmp_path / ".cache" / "images").mkdir(parents=True)
    (tmp_path / ".cache" / "images" / "a.jpg").write_bytes(b"")
    assert files_below(tmp_path / ".cache" / "images") == ["a.jpg"]


def test_states_change_with_a_visible_file_only(folder: Path) -> None:
    before = list(file_states(folder))
    assert len(before) == len(VISIBLE)
    (folder / ".DS_Store").write_text("changed")
    (folder / "a" / ".new").write_text("new")
    assert list(file_states(folder)) == before
    os.utime(folder / "b.txt", ns=(0, 1))
    changed = list(file_states(folder))
    assert changed[:2] == before[:2] and changed[2] != before[2]


def test_states_at_a_url_change_with_a_visible_file_only(url: str) -> None:
    memory, before = fsspec.filesystem("memory"), list(file_states(url))
    assert len(before) == len(VISIBLE)
    memory.pipe("/walk/.DS_Store", b"changed")
    assert list(file_states(url)) == before
    memory.pipe("/walk/b.txt", b"changed")
    assert [old == new for old, new in zip(before, file_states(url), strict=True)] == [True, True, False]


def test_a_single_file_has_one_state_and_a_pipe_has_none(folder: Path, url: str) -> None:
    assert list(file_states(folder / "b.txt")) == list(file_states(folder))[2:]
    assert len(list(file_states(f"{url}/b.txt"))) == 1
    os.mkfifo(folder / "pipe")
    assert list(file_states(folder / "pipe")) == []
    assert len(list(file_states(folder))) == len(VISIBLE)
