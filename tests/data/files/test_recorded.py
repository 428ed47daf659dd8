"""Files are compared with the checksums that their folder, or its parent, records."""

from pathlib import Path

import pytest

from openalign.checksums import write_checksums
from openalign.data.files.recorded import check_recorded
from openalign.errors import OpenAlignError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shards").mkdir()
    for name in ("pairs.parquet", "shards/a.tar", "shards/b.tar"):
        (tmp_path / name).write_text(name)
    write_checksums(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["pairs.parquet", "shards/b.tar"])
def test_a_changed_file_is_named_with_the_advice(folder: Path, name: str) -> None:
    files = [folder / "shards" / "a.tar", folder / "pairs.parquet", folder / "shards" / "b.tar"]
    check_recorded(files, "fetch it again")
    (folder / name).write_text("x" * len(name))
    with pytest.raises(OpenAlignError, match=rf"{name} has changed .*: fetch it again"):
        check_recorded(files, "fetch it again")


def test_files_without_a_record_are_not_checked(folder: Path, tmp_path: Path) -> None:
    (folder / "later.csv").write_text("added later")
    (folder / "pairs.parquet").write_text("changed")
    check_recorded([folder / "later.csv", folder / "shards" / "a.tar"], "")
    (folder / "checksums.json").unlink()
    check_recorded([folder / "pairs.parquet"], "")
