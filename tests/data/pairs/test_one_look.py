"""Opening a folder walks it once, and each opening looks again."""

from pathlib import Path

from openalign.data.files import walk
from openalign.data.files.walk import files_below, one_look
from openalign.data.pairs.open import open_pairs


def test_a_folder_of_images_is_walked_once(tmp_path, paint, monkeypatch):
    for number in range(3):
        paint(tmp_path / f"{number}.jpg", "red")
    walked = []
    go = walk._Walk.go
    monkeypatch.setattr(walk._Walk, "go", lambda self: (walked.append(self.root), go(self))[1])
    assert len(open_pairs(tmp_path, need_text=False)) == 3
    assert walked == [str(tmp_path)]


def test_each_opening_looks_again(tmp_path, paint):
    paint(tmp_path / "a.jpg", "red")
    assert len(open_pairs(tmp_path, need_text=False)) == 1
    paint(tmp_path / "b.jpg", "blue")
    assert len(open_pairs(tmp_path, need_text=False)) == 2
    (tmp_path / "a.jpg").unlink()
    assert open_pairs(tmp_path, need_text=False).table["image"].to_pylist() == ["b.jpg"]


def test_a_walk_that_ends_early_is_not_taken_for_a_whole_one(tmp_path: Path):
    for folder in ("a", "b", "c"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.txt").write_text("")
    with one_look():
        assert len(files_below(tmp_path, most=1)) < 3
        assert len(files_below(tmp_path)) == 3


def test_messages_of_a_walk_are_given_each_time(tmp_path: Path):
    (tmp_path / ".hidden").write_text("")
    with one_look():
        for _ in range(2):
            problems: list[str] = []
            assert files_below(tmp_path, problems) == []
            assert len(problems) == 1
