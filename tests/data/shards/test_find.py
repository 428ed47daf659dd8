"""Tars by their names: patterns, missing ones, files of other tools beside them."""

from pathlib import Path

import fsspec
import pytest

from openalign.data.left_out import counted
from openalign.data.pairs.open import open_pairs
from openalign.data.shards.find import beside_tars, expanded, is_pattern, matching, missing_tars, unread_shards
from openalign.errors import OpenAlignError
from tests.data.shards.tars import jpeg, tar_of


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("{00..03}.tar", ["00.tar", "01.tar", "02.tar", "03.tar"]),
        ("{9..11}.tar", ["9.tar", "10.tar", "11.tar"]),
        ("{2..0}", ["2", "1", "0"]),
        ("{00..10..5}", ["00", "05", "10"]),
        ("{a,b}-{0..1}.tar", ["a-0.tar", "a-1.tar", "b-0.tar", "b-1.tar"]),
        ("{a,b{1,2}}", ["a", "b1", "b2"]),
        ("{a}.tar", ["{a}.tar"]),
        ("{}.tar", ["{}.tar"]),
        ("{0..999999999}.tar", ["{0..999999999}.tar"]),
        ("plain.tar", ["plain.tar"]),
    ],
)
def test_braces_stand_for_names_as_in_a_shell(pattern: str, names: list[str]) -> None:
    assert expanded(pattern) == names
    assert is_pattern(pattern) == (len(names) > 1)


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        (["00000.tar", "00001.tar", "00003.tar"], 1),
        (["train/00001.tar", "train/00004.tar", "train/00002.tar"], 1),
        (["x-00000-of-00004.tar", "x-00003-of-00004.tar"], 2),
        (["x-1-of-3.tar", "x-3-of-3.tar"], 1),
        (["a/00000.tar", "a/00000_stats.json", "a/00001_stats.json"], 1),
        (["s-0.tar", "s-0.index.parquet", "s-1.index.parquet", "s-2.index.parquet"], 2),
        (["0.tar", "1.tar", "2.tar", "10.tar"], 0),  # more are missing than there: these numbers do not count
        (["2021.tar", "2022.tar", "2023.tar"], 0),
        (["00000.tar", "00001.tar", "b/00007.tar"], 0),
        (["laion2B-1.tar", "coco17-2.tar"], 0),
        (["00000.parquet", "00002.parquet"], 0),
    ],
)
def test_tars_that_the_names_of_others_tell_of_are_counted(files: list[str], missing: int) -> None:
    assert counted(missing_tars(files)).get("files that are announced and missing", 0) == missing


def test_the_lists_of_img2dataset_are_told_and_other_forms_counted() -> None:
    files = ["00000.tar", "00000.parquet", "00000_stats.json", "00001.tar.gz", "s.tar", "s.index.parquet", "notes.txt"]
    told = beside_tars(files)
    assert told[0].startswith("2 files that describe the tars, such as 00000.parquet, are not read")
    assert counted(told) == {"files of a kind that is not read": 1}


@pytest.mark.parametrize(
    ("files", "advice"),
    [
        (["00000.tfrecord", "00000.parquet", "00000_stats.json"], "--output_format webdataset"),
        (["a.tar.gz", "README.md"], "decompress it first"),
        (["b/x.tgz"], "decompress it first"),
        (["a.tar.gz", "images/a.jpg"], ""),
        (["a.tfrecord", "captions.csv"], ""),
        (["a.parquet"], ""),
    ],
)
def test_shards_in_another_form_alone_are_refused_with_advice(tmp_path: Path, files: list[str], advice: str) -> None:
    assert (advice in unread_shards(files)) if advice else (unread_shards(files) == "")
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes(b"x")
    if advice:
        with pytest.raises(OpenAlignError, match=advice):
            open_pairs(tmp_path)


def test_a_pattern_is_read_and_what_it_names_in_vain_is_counted(tmp_path: Path) -> None:
    for number in (0, 1, 3):
        tar_of(tmp_path / f"{number:03d}.tar", {"a.jpg": jpeg(number), "a.txt": b"text %d" % number})
    pairs = open_pairs(f"{tmp_path}/{{000..003}}.tar")
    assert pairs.texts() == ["text 0", "text 1", "text 3"]
    assert pairs.table["image"].to_pylist() == ["000.tar/a.jpg", "001.tar/a.jpg", "003.tar/a.jpg"]
    assert counted(pairs.problems) == {"files that are announced and missing": 1}
    assert open_pairs(f"{tmp_path}/00[13].tar").texts() == ["text 1", "text 3"]
    for all_of_them in (f"{tmp_path}/*.tar", tmp_path):
        assert counted(open_pairs(all_of_them).problems) == {"files that are announced and missing": 1}
    with pytest.raises(OpenAlignError, match="matches no file"):
        open_pairs(f"{tmp_path}/val-*.tar")
    with pytest.raises(OpenAlignError, match="name them with braces"):
        matching("https://a.test/*.tar")
    assert matching("https://a.test/{0..1}.tar")[0] == ["https://a.test/0.tar", "https://a.test/1.tar"]


def test_names_of_images_tell_tars_of_equal_names_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, folder in enumerate(("a", "b")):
        tar_of(tmp_path / folder / "0.tar", {"x.jpg": jpeg(number), "x.txt": b"text"})
    monkeypatch.chdir(tmp_path)
    for source in (".", tmp_path, "./", "*/0.tar", "{a,b}/0.tar", f"file://{tmp_path}"):
        assert open_pairs(source).table["image"].to_pylist() == ["a/0.tar/x.jpg", "b/0.tar/x.jpg"]
    for source in ("a/0.tar", "./a/0.tar", "a", tmp_path / "a" / "0.tar", "a/?.tar"):
        assert open_pairs(source).table["image"].to_pylist() == ["0.tar/x.jpg"]
    files = fsspec.filesystem("memory")
    for folder in ("a", "b"):
        files.pipe_file(f"/named/{folder}/0.tar", (tmp_path / folder / "0.tar").read_bytes())
    for source in ("memory://named", "memory://named/*/0.tar", "memory://named/{a,b}/0.tar"):
        assert len(set(open_pairs(source).table["image"].to_pylist())) == 2
    files.rm("/named", recursive=True)
