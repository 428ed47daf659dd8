"""Damage to a file is detected before the file is used."""

import json
import os
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openalign.checksums import CHECKSUMS, check_beside, check_files, read_checksums, write_checksums
from openalign.errors import OpenAlignError
from openalign.files import whole_checked_file


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.bin").write_bytes(b"0123456789")
    (tmp_path / "deep" / "b.bin").write_bytes(b"abc")
    write_checksums(tmp_path)
    return tmp_path


def test_a_folder_as_it_was_written_passes(folder):
    check_files(folder, ["a.bin", "deep/b.bin"], "make it again")
    assert set(read_checksums(folder)) == {"a.bin", "deep/b.bin"}


@pytest.mark.parametrize("content", [b"0123456780", b"012345678", b"01234567890", b""])
def test_another_content_is_an_error_with_advice(folder, content):
    (folder / "a.bin").write_bytes(content)
    with pytest.raises(OpenAlignError, match=r"a\.bin .*: make it again"):
        check_files(folder, ["a.bin"], "make it again")


def test_a_missing_file_is_an_error(folder):
    (folder / "a.bin").unlink()
    with pytest.raises(OpenAlignError, match=r"a\.bin cannot be read \(No such file or directory\): make it again"):
        check_files(folder, ["a.bin"], "make it again")


def test_files_that_came_later_are_not_checked(folder):
    (folder / "later.txt").write_text("mine")
    check_files(folder, ["later.txt"], "")


def test_a_folder_without_checksums_passes(tmp_path):
    assert read_checksums(tmp_path) is None
    check_files(tmp_path, ["a.bin"], "")


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_damaged_checksums_are_an_error_or_without_effect(folder, data):
    whole = (folder / CHECKSUMS).read_bytes()
    before = read_checksums(folder)
    position = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:position] + bytes([whole[position] ^ data.draw(st.integers(1, 255))]) + whole[position + 1 :]
    (folder / CHECKSUMS).write_bytes(damaged)
    try:
        assert read_checksums(folder) == before
    except OpenAlignError:
        pass
    finally:
        (folder / CHECKSUMS).write_bytes(whole)


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"null", b"[" * 100_000, json.dumps({"files": 3}).encode()])
def test_checksums_with_any_content_are_an_error(folder, content):
    (folder / CHECKSUMS).write_bytes(content)
    with pytest.raises(OpenAlignError, match="is damaged"):
        read_checksums(folder)


def test_a_hard_linked_copy_of_older_checksums_stays_as_it_is(folder, tmp_path):
    copy = tmp_path.with_name(tmp_path.name + "-copy")
    copy.mkdir()
    copy.joinpath(CHECKSUMS).hardlink_to(folder / CHECKSUMS)
    before = read_checksums(folder)
    write_checksums(copy)
    assert read_checksums(folder) == before
    assert read_checksums(copy) == {}


def test_a_single_file_has_its_checksum_beside_it(tmp_path):
    with whole_checked_file(tmp_path / "a.json") as partial:
        partial.write_text("{}")
    check_beside(tmp_path / "a.json", "")
    checked = subprocess.run(
        ["sha256sum", "-c", "a.json.sha256"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert checked.stdout == "a.json: OK\n"
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(OpenAlignError, match=r"a\.json has changed since it was written .*: make it again"):
        check_beside(tmp_path / "a.json", "make it again")
    (tmp_path / "a.json.sha256").unlink()
    check_beside(tmp_path / "a.json", "")


def test_a_kill_before_the_checksum_leaves_the_new_file_without_one(tmp_path, monkeypatch):
    with whole_checked_file(tmp_path / "a.json") as partial:
        partial.write_text("old")
    monkeypatch.setattr("openalign.files.checksum_of", lambda path: 1 / 0)
    with pytest.raises(ZeroDivisionError), whole_checked_file(tmp_path / "a.json") as partial:
        partial.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    check_beside(tmp_path / "a.json", "")


def put_pipe(path):
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def put_endless_device(path):
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("put", [put_pipe, put_endless_device])
def test_what_is_not_a_regular_file_is_refused_and_not_opened(folder, put):
    (folder / "empty").write_bytes(b"")
    write_checksums(folder)
    put(folder / "empty")
    with pytest.raises(OpenAlignError, match=r"empty cannot be read \(not a regular file\)"):
        check_files(folder, ["empty"], "make it again")
    put(folder / CHECKSUMS)
    with pytest.raises(OpenAlignError, match="not a regular file"):
        read_checksums(folder)
    put(folder / "a.bin.sha256")
    with pytest.raises(OpenAlignError, match=r"a\.bin\.sha256 cannot be read \(not a regular file\)"):
        check_beside(folder / "a.bin", "make it again")


def test_checksums_of_impossible_size_are_refused_unread(folder):
    with (folder / CHECKSUMS).open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(OpenAlignError, match="larger than 268,435,456 bytes"):
        read_checksums(folder)
