"""One walk finds the files of a folder, the same on disk and at a URL, and leaves out hidden ones."""

import os
from pathlib import Path

import fsspec
import pytest

from openalign.data.files.walk import file_states, files_below
from openalign.data.left_out import Kind, counted

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


def skipped(folder: Path | str) -> dict[str, int]:
    problems: list[str] = []
    files_below(folder, problems)
    return counted(problems)


@pytest.mark.parametrize("where", ["disk", "url"])
def test_what_is_hidden_is_counted_by_file(folder: Path, url: str, where: str) -> None:
    assert skipped(folder if where == "disk" else url) == {Kind.HIDDEN: len(NAMES) - len(VISIBLE)}


def test_thumbnails_and_files_of_other_programs_are_skipped_and_counted(tmp_path: Path) -> None:
    others = (
        *("@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg", "@eaDir/a.jpg/SYNOPHOTO_THUMB_B.jpg", ".thumbnails/a.png"),
        *("b/__MACOSX/._a.jpg", "b/._a.jpg", "Thumbs.db", "b/desktop.ini", "#recycle/old.jpg", "b/@eaDir/x.jpg"),
    )
    for name in ("a.jpg", "b/a.jpg", *others):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert files_below(tmp_path) == ["a.jpg", "b/a.jpg"]
    assert skipped(tmp_path) == {Kind.HIDDEN: len(others)}


def test_links_to_folders_are_followed_unless_they_lead_back(tmp_path: Path) -> None:
    data, away = tmp_path / "data", tmp_path / "away"
    for folder in (data / "a", away / "deep"):
        folder.mkdir(parents=True)
        (folder / "x.jpg").write_bytes(b"x")
    (data / "away").symlink_to(away)
    (data / "file.jpg").symlink_to(away / "deep" / "x.jpg")
    assert files_below(data) == ["a/x.jpg", "away/deep/x.jpg", "file.jpg"]
    assert skipped(data) == {}
    (data / "a" / "loop").symlink_to(data)
    (away / "deep" / "back").symlink_to(data / "a")
    (data / "up").symlink_to(tmp_path)
    (data / "a" / "self").symlink_to(data / "a" / "self")
    (data / "nowhere.jpg").symlink_to(tmp_path / "missing.jpg")
    (data / "twice").symlink_to(away / "deep")
    assert files_below(data) == ["a/x.jpg", "away/deep/x.jpg", "file.jpg"]
    assert skipped(data) == {Kind.LINK_NOT_FOLLOWED: 6}


def test_pipes_odd_names_and_closed_folders_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "a.jpg").write_bytes(b"x")
    for odd in (b"caf\xe9.jpg", b"\xff.txt"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + odd)).write_bytes(b"x")
    os.mkfifo(tmp_path / "pipe.jpg")
    scandir = os.scandir

    def refused(path: str) -> object:
        if path.endswith("closed"):  # the tests may run as root, to whom all folders are open
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    assert files_below(tmp_path) == ["a.jpg"]
    assert skipped(tmp_path) == {Kind.NAME_NOT_UTF8: 2, Kind.FILE_NOT_READ: 1, Kind.FOLDER_NOT_READ: 1}


def test_a_bounded_walk_reads_upper_folders_first_and_ends(tmp_path):
    for name in ("a/deep/1.jpg", "a/deep/2.jpg", "b/3.jpg", "4.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert files_below(tmp_path, most=1) == ["4.jpg"]
    assert files_below(tmp_path, most=2) == ["4.jpg", "b/3.jpg"]
    assert len(files_below(tmp_path, most=3)) == 4
