"""DATA may be a pattern: what it stands for is read, and nothing beside it."""

from pathlib import Path

import pytest

from openalign.data.pairs.open import open_pairs
from openalign.errors import OpenAlignError
from tests.data.pairs.folders import put


def test_a_pattern_of_folders_stands_for_these(tmp_path: Path) -> None:
    for name in ("2023-12", "2024-01", "2024-02"):
        put(tmp_path / name, a=f"of {name}")
    assert open_pairs(f"{tmp_path}/2024-*").texts() == ["of 2024-01", "of 2024-02"]
    assert open_pairs(f"{tmp_path}/{{2023-12,2024-02}}").texts() == ["of 2023-12", "of 2024-02"]


def test_a_pattern_of_images_stands_for_these(tmp_path: Path) -> None:
    put(tmp_path, a1=None, a2=None, b1=None)
    assert open_pairs(f"{tmp_path}/a*.jpg", need_text=False).table["image"].to_pylist() == ["a1.jpg", "a2.jpg"]
    with pytest.raises(OpenAlignError, match="matches no file"):
        open_pairs(f"{tmp_path}/c*.jpg")


def test_a_folder_whose_name_looks_like_a_pattern_is_a_folder(tmp_path: Path) -> None:
    put(tmp_path / "[a]*", a="one")
    assert open_pairs(tmp_path / "[a]*").texts() == ["one"]
