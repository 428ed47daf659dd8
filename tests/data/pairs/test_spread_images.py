"""A table whose images are spread over several folders, and names that more than one of these holds."""

from pathlib import Path

import pytest

from openalign.data.left_out import Kind, counted
from openalign.data.pairs.open import open_pairs
from openalign.errors import OpenAlignError
from tests.data.pairs.folders import JPEG, put


def table(folder: Path, suffix: str, *names: str) -> Path:
    lines = ["image,caption", *(f"{name}{suffix},the one called {name}" for name in names)]
    (folder / "list.csv").write_text("\n".join(lines) + "\n")
    return folder


def images_and_texts(folder: Path) -> dict[str, str]:
    pairs = open_pairs(folder)
    return dict(zip(pairs.table["image"].to_pylist(), pairs.texts(), strict=True))


@pytest.mark.parametrize("suffix", ["", ".jpg"])
@pytest.mark.parametrize("parts", [("scans_1", "scans_2"), ("a/pictures", "b/pictures", "c/pictures")])
def test_parts_of_equal_size_are_read_together(tmp_path: Path, suffix: str, parts: tuple[str, ...]) -> None:
    for number, part in enumerate(parts):
        put(tmp_path / part, **{f"leaf{number}x": None, f"leaf{number}y": None})
    names = [f"leaf{number}{each}" for number in range(len(parts)) for each in "xy"]
    expected = {
        f"{part}/leaf{number}{each}.jpg": f"the one called leaf{number}{each}"
        for number, part in enumerate(parts)
        for each in "xy"
    }
    assert images_and_texts(table(tmp_path, suffix, *names)) == expected


def test_a_name_in_two_of_the_folders_is_left_out_and_counted(tmp_path: Path) -> None:
    put(tmp_path / "one", oak=None, ash=None, elm=None, fir=None)
    put(tmp_path / "two", oak=None, yew=None)
    pairs = open_pairs(table(tmp_path, ".jpg", "oak", "ash", "elm", "fir", "yew"))
    assert pairs.table["image"].to_pylist() == ["one/ash.jpg", "one/elm.jpg", "one/fir.jpg", "two/yew.jpg"]
    assert counted(pairs.problems) == {Kind.FILE_MISSING: 1, Kind.IMAGE_NOT_NAMED: 2}
    assert any("row 1 names oak.jpg, which is in one and in two" in problem for problem in pairs.problems)


def test_one_folder_that_holds_all_names_is_meant(tmp_path: Path) -> None:
    put(tmp_path / "one", oak=None, ash=None, elm=None)
    put(tmp_path / "two", oak=None, ash=None)
    assert list(images_and_texts(table(tmp_path, ".jpg", "oak", "ash", "elm"))) == [
        "one/oak.jpg",
        "one/ash.jpg",
        "one/elm.jpg",
    ]


def test_two_folders_that_hold_all_names_are_refused(tmp_path: Path) -> None:
    for part in ("day", "night"):
        put(tmp_path / part, oak=None, ash=None)
    with pytest.raises(OpenAlignError, match=r"images that are in .*day and in .*night: give one"):
        open_pairs(table(tmp_path, ".jpg", "oak", "ash"))


def test_masks_of_images_in_several_folders_are_none_of_them(tmp_path: Path) -> None:
    put(tmp_path / "part1", oak=None, ash=None)
    put(tmp_path / "part2", elm=None, fir=None)
    (tmp_path / "masks").mkdir()
    for name in ("oak", "ash", "elm", "fir"):
        (tmp_path / "masks" / f"{name}.png").write_bytes(JPEG)
    names = ["part1/oak.jpg", "part1/ash.jpg", "part2/elm.jpg", "part2/fir.jpg"]
    assert list(images_and_texts(table(tmp_path, "", "oak", "ash", "elm", "fir"))) == names


def test_a_table_that_cannot_be_read_is_told_where_one_is_left(tmp_path: Path) -> None:
    put(tmp_path, oak=None, ash=None)
    (tmp_path / "marks.csv").write_text("image,kind\noak.jpg,broad leaf\nash.jpg,narrow leaf\n")
    pairs = open_pairs(table(tmp_path, ".jpg", "oak", "ash"))
    assert len(pairs) == 2
    assert any("marks.csv has no text column" in problem for problem in pairs.problems)


@pytest.mark.parametrize("form", ["sample_submission.csv", "sampleSubmission.csv"])
def test_the_form_for_predictions_of_a_competition_is_not_read(tmp_path: Path, form: str) -> None:
    put(tmp_path / "train", oak=None, ash=None)
    put(tmp_path / "test", elm=None)
    (tmp_path / "train.csv").write_text("id,label\noak,broad leaf\nash,narrow leaf\n")
    (tmp_path / form).write_text("id,label\nelm,broad leaf\n")
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == ["broad leaf", "narrow leaf"]
    assert any(f"{form} is a form for predictions" in problem for problem in pairs.problems)


@pytest.mark.parametrize("links", ["fetch.txt", "a_sources.txt"])
def test_a_guess_at_a_table_without_a_header_does_not_win_over_one_that_cannot_be_read(
    tmp_path: Path, links: str
) -> None:
    put(tmp_path / "images", oak=None, ash=None)
    (tmp_path / "captions.txt").write_text("oak\ta broad leaf\ta leaf of an oak\nash\ta narrow leaf\tone of an ash\n")
    (tmp_path / links).write_text("oak\tget it from there\told1.jpg\nash\tget it from here\told2.jpg\n")
    with pytest.raises(
        OpenAlignError, match=rf"several tables.*{links} has no header line.*captions\.txt has no header"
    ):
        open_pairs(tmp_path)
