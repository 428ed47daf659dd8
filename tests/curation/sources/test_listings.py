"""Sources that list their images themselves."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from openalign.curation.sources.locations import parse_location
from openalign.data.shards.writer import ShardWriter
from openalign.errors import OpenAlignError
from openalign.files import whole_folder
from tests.curation.extracted import Extracted, extracted

JPEG = b"\xff\xd8\xff\xe0 not decoded here"


def shown(found: Extracted) -> list[tuple[str, str | None]]:
    return [(row["image"], row["text"]) for row in found.occurrences]


def locations(found: Extracted) -> list[str]:
    return [row["location"] for row in found.images]


def write_tar(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def test_img2dataset_tars_are_read_in_place_and_named_by_their_members(tmp_path: Path) -> None:
    first = {"0.jpg": JPEG + b"0", "0.txt": b"An  apple", "0.json": json.dumps({"url": "http://a.org/0.jpg"}).encode()}
    write_tar(tmp_path / "00000.tar", first)
    write_tar(tmp_path / "00001.tar", {"1.jpg": JPEG + b"1"})
    found = extracted([tmp_path], tmp_path.parent / "work", workers=2)
    assert shown(found) == [(f"{tmp_path}/00000.tar/0.jpg", "An apple"), (f"{tmp_path}/00001.tar/1.jpg", None)]
    assert [(row["page"], row["host"]) for row in found.occurrences] == [("http://a.org/0.jpg", "a.org"), (None, None)]
    assert [parse_location(location).read() for location in locations(found)] == [JPEG + b"0", JPEG + b"1"]


def test_an_image_of_a_shard_that_is_another_one_by_now_is_refused(tmp_path: Path) -> None:
    with ShardWriter(tmp_path / "shards") as shards:
        for number in range(3):
            shards.write(str(number), JPEG + b"%d" % number, "a pear", {})
    found = extracted([tmp_path / "shards"], tmp_path / "work", workers=1)
    assert [parse_location(location).read() for location in locations(found)] == [
        JPEG + b"%d" % number for number in range(3)
    ]
    tar = tmp_path / "shards" / "shard-00000.tar"
    tar.write_bytes(tar.read_bytes().replace(JPEG + b"1", JPEG + b"7"))
    with pytest.raises(OpenAlignError, match=r"shard-00000\.tar holds other bytes at \d+ than were written there"):
        parse_location(locations(found)[1]).read()
    assert parse_location(locations(found)[2]).read() == JPEG + b"2"
    with tar.open("r+b") as file:
        file.truncate(600)
    with pytest.raises(OpenAlignError, match=r"shard-00000\.tar is shorter than its index says"):
        parse_location(locations(found)[2]).read()


def test_a_shards_index_that_is_not_as_it_was_written_is_refused(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "out") as partial, ShardWriter(partial / "shards") as shards:
        shards.write("0", JPEG, "a pear", {})
    index = tmp_path / "out" / "shards" / "shard-00000.index.parquet"
    index.write_bytes(index.read_bytes().replace(b"a pear", b"a peer"))
    for source in (tmp_path / "out", tmp_path / "out" / "shards", tmp_path / "out" / "shards" / "shard-00000.tar"):
        with pytest.raises(OpenAlignError, match=r"shard-00000\.index\.parquet has changed since it was written"):
            extracted([source], tmp_path / "work", workers=1)


def test_a_shard_that_was_cut_off_is_told(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", {"0.jpg": JPEG, "0.txt": b"a pear", "1.jpg": JPEG * 50, "1.txt": b"an apple"})
    with (tmp_path / "0.tar").open("r+b") as file:
        file.truncate(2200)
    found = extracted([tmp_path / "0.tar"], tmp_path / "work", workers=1)
    assert [text for _, text in shown(found)] == ["a pear"]
    assert found.problems == [
        f"{tmp_path}/0.tar is cut off or damaged after 1 samples, which are used: fetch or write it again"
    ]


def test_class_folders_give_their_names_as_texts(tmp_path: Path) -> None:
    for name in ("red_apple/1.jpg", "red_apple/2.jpg", "pear/1.jpg"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(JPEG)
    found = extracted([tmp_path / "photos"], tmp_path / "work", workers=1)
    assert [text for _, text in shown(found)] == ["pear", "red apple", "red apple"]
    assert all(parse_location(location).read() == JPEG for location in locations(found))


def test_list_of_pairs_in_a_folder_is_taken_before_its_images(tmp_path: Path) -> None:
    folder = tmp_path / "heldout"
    folder.mkdir()
    for name in ("a.jpg", "unlisted.jpg"):
        (folder / name).write_bytes(JPEG)
    (folder / "pairs.csv").write_text("file,text\na.jpg,An apple\n")
    found = extracted([folder], tmp_path / "work", workers=1)
    assert shown(found) == [(f"{folder}/a.jpg", "An apple")]
    assert locations(found) == [f"file://{folder}/a.jpg"]


def test_markers_of_missing_values_in_shards_are_no_texts_or_told(tmp_path: Path) -> None:
    texts = [b"\\N", b"nan", b"a nan bread"]
    members = {f"{number}.jpg": JPEG + b"%d" % number for number in range(3)}
    write_tar(tmp_path / "0.tar", members | {f"{number}.txt": text for number, text in enumerate(texts)})
    found = extracted([tmp_path / "0.tar"], tmp_path / "work", workers=1)
    assert [text for _, text in shown(found)] == [None, "nan", "a nan bread"]
    assert any("1 texts may be markers of missing values (`nan` 1)" in problem for problem in found.problems)
