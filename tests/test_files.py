"""Outputs appear whole or not at all, and a run that was killed between two renames loses nothing."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from openalign import files
from openalign.checksums import read_checksums
from openalign.errors import OpenAlignError
from openalign.files import cache_in, recover_folder, whole_file, whole_folder
from openalign.locks import locked


class Killed(BaseException):
    """Stands for a kill: nothing that cleans up afterwards may help."""


def write(folder, content):
    with whole_folder(folder) as partial:
        (partial / "it").write_text(content)


def killed_after(steps_left, function):
    """The function, but a kill when `steps_left` runs out."""

    def counted(*arguments, **options):
        if next(steps_left, None) is None:
            raise Killed
        return function(*arguments, **options)

    return counted


def content_of(folder):
    return (folder / "it").read_text()


def test_a_file_is_whole_or_not_there(tmp_path):
    with pytest.raises(RuntimeError), whole_file(tmp_path / "a.txt") as partial:
        partial.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with whole_file(tmp_path / "a.txt") as partial:
        partial.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_two_writers_of_one_file_leave_one_of_both_whole(tmp_path):
    with whole_file(tmp_path / "a.txt") as first, whole_file(tmp_path / "a.txt") as second:
        first.write_text("first")
        second.write_text("second")
    assert (tmp_path / "a.txt").read_text() == "first"  # which was renamed last


def test_a_folder_is_replaced_and_has_checksums(tmp_path):
    write(tmp_path / "out", "old")
    write(tmp_path / "out", "new")
    assert content_of(tmp_path / "out") == "new"
    assert set(read_checksums(tmp_path / "out")) == {"it"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_after_an_error_the_older_folder_stands(tmp_path):
    write(tmp_path / "out", "old")
    with pytest.raises(RuntimeError), whole_folder(tmp_path / "out"):
        raise RuntimeError
    assert content_of(tmp_path / "out") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_kill_at_any_rename_or_removal_loses_nothing(tmp_path, monkeypatch):
    """Each step of a replacement is the last one in turn; a reader then finds the older folder or the new one."""
    steps = 0
    for number in range(20):
        target = tmp_path / str(number) / "out"
        write(target, "old")
        steps_left = iter(range(number))
        with monkeypatch.context() as patched:
            patched.setattr(files.Path, "rename", killed_after(steps_left, files.Path.rename))
            patched.setattr(files.shutil, "rmtree", killed_after(steps_left, files.shutil.rmtree))
            try:
                write(target, "new")
            except Killed:
                steps += 1
        recover_folder(target)
        assert content_of(target) in ("old", "new")
        write(target, "newer")
        assert content_of(target) == "newer"
        assert [path.name for path in target.parent.iterdir()] == ["out"]
    assert steps == 4  # three renames and a removal


def test_a_reader_waits_for_no_writer_where_a_folder_stands(tmp_path):
    write(tmp_path / "out", "old")
    with locked(tmp_path / "out"):
        recover_folder(tmp_path / "out")
    recover_folder(tmp_path / "none")


def test_the_folder_of_a_live_run_is_left_alone(tmp_path):
    with ThreadPoolExecutor(1) as other, whole_folder(tmp_path / "out") as partial:
        with pytest.raises(OpenAlignError, match="another run"):
            other.submit(write, tmp_path / "out", "second").result()
        assert partial.exists()


def test_a_file_where_the_folder_should_be_stays(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(FileExistsError):
        whole_folder(tmp_path / "out").__enter__()
    assert (tmp_path / "out").read_text() == "mine"


def test_everything_is_on_the_disk_before_the_rename_that_promises_it(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(files, "sync", lambda path: done.append(path.name))
    rename = files.Path.rename
    monkeypatch.setattr(files.Path, "rename", lambda self, to: (done.append(f"-> {to.name}"), rename(self, to)))
    with whole_folder(tmp_path / "out") as partial:
        (partial / "deep").mkdir()
        (partial / "deep" / "it").write_text("x")
    promised = done.index("-> .out.whole")
    assert {"it", "deep", "checksums.json", ".out.partial"} <= set(done[:promised])
    assert done[-1] == tmp_path.name


def test_a_link_to_a_folder_stays_one_and_leads_to_the_new_folder(tmp_path):
    write(tmp_path / "disk" / "out", "old")
    (tmp_path / "out").symlink_to(tmp_path / "disk" / "out")
    write(tmp_path / "out", "new")
    assert (tmp_path / "out").is_symlink()
    assert content_of(tmp_path / "disk" / "out") == "new"
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["out"]
    with locked(tmp_path / "out"), ThreadPoolExecutor(1) as other:
        second = other.submit(write, tmp_path / "disk" / "out", "second")
        assert isinstance(second.exception(), OpenAlignError)


def test_a_new_folder_that_was_damaged_before_it_was_in_place_does_not_replace_the_older_one(tmp_path):
    write(tmp_path / "out", "older")
    for spoil in (lambda whole: (whole / "it").write_text(""), lambda whole: (whole / "checksums.json").unlink()):
        (tmp_path / "out").rename(tmp_path / ".out.older")
        write(tmp_path / "new", "newer")
        (tmp_path / "new").rename(tmp_path / ".out.whole")
        spoil(tmp_path / ".out.whole")
        recover_folder(tmp_path / "out")
        assert content_of(tmp_path / "out") == "older"
        assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_files_with_the_temporary_names_are_not_taken_for_folders(tmp_path):
    write(tmp_path / "out", "older")
    (tmp_path / "out").rename(tmp_path / ".out.older")
    (tmp_path / ".out.whole").write_text("")
    recover_folder(tmp_path / "out")
    assert content_of(tmp_path / "out") == "older"


def test_a_mount_point_is_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(files.Path, "is_mount", lambda self: True)
    (tmp_path / "out").mkdir()
    with pytest.raises(OpenAlignError, match="name a folder inside it"), whole_folder(tmp_path / "out"):
        raise AssertionError("no work may begin")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("blocked", ["cache", "cache/step", "cache/step/result"])
@pytest.mark.parametrize("kind", ["file", "link to nowhere"])
def test_a_file_where_a_cache_needs_a_folder_is_named(tmp_path, blocked, kind):
    path = tmp_path / blocked
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("") if kind == "file" else path.symlink_to(tmp_path / "nowhere")
    wanted = tmp_path / "cache" / "step" / "result"
    message = rf"{blocked} is a file, where the cache needs a folder: remove it"
    with pytest.raises(OpenAlignError, match=message), cache_in(tmp_path / "cache"):
        wanted.mkdir(parents=True, exist_ok=True)


def test_a_folder_where_a_cache_needs_a_file_is_named(tmp_path):
    (tmp_path / "cache" / "result" / "inside").mkdir(parents=True)
    message = r"cache/result is a folder, where the cache needs a file: remove it"
    result = tmp_path / "cache" / "result"
    with pytest.raises(OpenAlignError, match=message), cache_in(result.parent), whole_file(result) as partial:
        partial.write_text("")


def test_what_is_in_the_way_elsewhere_is_no_matter_of_the_cache(tmp_path):
    (tmp_path / "other").write_text("")
    with pytest.raises(FileExistsError), cache_in(tmp_path / "cache"):
        (tmp_path / "other").mkdir()
