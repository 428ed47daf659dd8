"""Names of tar members: keys, suffixes, and what is hidden."""

import pytest

from openalign.data.shards.members import IMAGE_ORDER, Part, is_hidden, parsed, rank


@pytest.mark.parametrize(
    ("name", "key", "suffix", "part"),
    [
        ("a.jpg", "a", "jpg", Part.IMAGE),
        ("./x/y/A.B.JPEG", "x/y/A.B", "jpeg", Part.IMAGE),
        ("././a.txt", "a", "txt", Part.TEXT),
        ("dir.v2/a", "dir.v2/a", "", Part.OTHER),
        ("a.jxl", "a", "jxl", Part.UNREAD_IMAGE),
        ("a.DNG", "a", "dng", Part.IMAGE),
        ("a.json", "a", "json", Part.FIELDS),
        ("a.cls", "a", "cls", Part.LABEL),
        ("a.npy", "a", "npy", Part.OTHER),
        ("a.", "a", "", Part.OTHER),
    ],
)
def test_a_name_is_cut_at_its_last_dot(name: str, key: str, suffix: str, part: Part) -> None:
    assert parsed(name)[1:] == (key, suffix, part)


@pytest.mark.parametrize(
    "name",
    ["._a.jpg", "x/._a.jpg", "__MACOSX/a.jpg", ".DS_Store", "a/@eaDir/b.jpg", "PaxHeaders.12/a.jpg", "Thumbs.db"],
)
def test_files_that_systems_add_are_hidden(name: str) -> None:
    assert is_hidden(name)


@pytest.mark.parametrize("name", ["a.jpg", "./a.jpg", "../a.jpg", "Train/a.jpg", "T.jpg", "_a.jpg", "P/x.y/a.jpg"])
def test_other_files_are_not(name: str) -> None:
    assert not is_hidden(name)


def test_suffixes_are_ordered_plain_ones_first() -> None:
    some = ["seg.png", "depth.jpg", "webp", "png", "jpg", "tiff"]
    assert sorted(some, key=lambda suffix: rank(suffix, IMAGE_ORDER)) == [
        *("jpg", "png", "webp", "tiff"),
        *("depth.jpg", "seg.png"),
    ]
