"""Sources that list their images themselves."""

import io
import json
import tarfile
from pathlib import Path

from openalign.curate.sources import read_image
from tests.curate.extracted import Extracted, extracted

JPEG = b"\xff\xd8\xff\xe0 not looked into here"


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


def test_img2dataset_tars_are_read_in_place_and_named_by_their_address(tmp_path: Path) -> None:
    first = {"0.jpg": JPEG + b"0", "0.txt": b"An  apple", "0.json": json.dumps({"url": "http://a.org/0.jpg"}).encode()}
    write_tar(tmp_path / "00000.tar", first)
    write_tar(tmp_path / "00001.tar", {"1.jpg": JPEG + b"1"})
    found = extracted([tmp_path], tmp_path.parent / "work", workers=2)
    assert shown(found) == [("http://a.org/0.jpg", "An apple"), (f"{tmp_path}/00001.tar/1", None)]
    assert [read_image(location) for location in locations(found)] == [JPEG + b"0", JPEG + b"1"]


def test_class_folders_give_their_names_as_texts(tmp_path: Path) -> None:
    for name in ("red_apple/1.jpg", "red_apple/2.jpg", "pear/1.jpg"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(JPEG)
    found = extracted([tmp_path / "photos"], tmp_path / "work", workers=1)
    assert [text for _, text in shown(found)] == ["pear", "red apple", "red apple"]
    assert all(read_image(location) == JPEG for location in locations(found))


def test_list_of_pairs_in_a_folder_is_taken_before_its_images(tmp_path: Path) -> None:
    folder = tmp_path / "heldout"
    folder.mkdir()
    for name in ("a.jpg", "unlisted.jpg"):
        (folder / name).write_bytes(JPEG)
    (folder / "pairs.csv").write_text("file,text\na.jpg,An apple\n")
    found = extracted([folder], tmp_path / "work", workers=1)
    assert shown(found) == [(f"{folder}/a.jpg", "An apple")]
    assert locations(found) == [f"file://{folder}/a.jpg"]
