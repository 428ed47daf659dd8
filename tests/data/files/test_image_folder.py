"""The folder of a table's images is found beside it, by the files that are there."""

from pathlib import Path

import pytest

from openalign.data.files.image_folder import folder_of_images


@pytest.mark.parametrize(
    ("table", "folder"),
    [
        ("captions.txt", "."),
        ("captions.txt", "Images"),
        ("annotations/captions_val2017.json", "val2017"),
        ("annotations/captions.csv", "."),
    ],
)
def test_images_are_found_where_they_are(tmp_path: Path, table: str, folder: str) -> None:
    for name in (f"{folder}/a.jpg", f"{folder}/sub/b.jpg", "other/c.jpg", table):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = folder_of_images(tmp_path / table, ["a.jpg", None, "sub/b.jpg", "absent.jpg", "http://a.test/b.jpg"])
    assert found.resolve() == (tmp_path / folder).resolve()


def test_the_table_s_own_folder_is_taken_where_nothing_is_found(tmp_path: Path) -> None:
    (tmp_path / "Images").mkdir()
    for names in (["a.jpg"], ["http://a.test/b.jpg"], ["/absolute/a.jpg"], ["a" * 300], ["a\0b"], []):
        assert folder_of_images(tmp_path / "t.csv", names) == tmp_path


def test_the_folder_that_holds_most_of_the_images_is_taken(tmp_path: Path) -> None:
    for name in ("train/a.jpg", "val/a.jpg", "val/b.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert folder_of_images(tmp_path / "t.csv", ["a.jpg", "b.jpg"]) == tmp_path / "val"


def test_folders_of_other_data_sets_are_not_searched(tmp_path: Path) -> None:
    for name in ("one/t.csv", "two/a.jpg", "b.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert folder_of_images(tmp_path / "one" / "t.csv", ["a.jpg", "b.jpg"]) == tmp_path / "one"
