"""Every DATA argument of the design opens as pairs, and every bad one says what to do."""

import csv
import io
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from openalign.data.images.decode import decode, encode_jpeg
from openalign.data.pairs import file_images
from openalign.data.pairs.open import open_pairs
from openalign.data.shards.writer import ShardWriter
from openalign.errors import OpenAlignError

SHARED = Path(__file__).parents[3].parent / "shared" / "data"
JPEG = encode_jpeg(np.zeros((8, 12, 3), np.uint8))


def put(folder: Path, **texts: str | None) -> Path:
    """Images in `folder`, each with its text beside it where it has one."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.jpg").write_bytes(JPEG)
        if text is not None:
            (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return folder


def test_a_folder_of_images_with_texts_is_sorted_and_searched_below(tmp_path: Path) -> None:
    put(tmp_path, b="two\n words ", a="one")
    put(tmp_path / "deeper" / "still", c="three")
    put(tmp_path / ".hidden", d="four")
    pairs = open_pairs(tmp_path)
    assert pairs.table.to_pylist() == [
        {"image": "a.jpg", "text": "one"},
        {"image": "b.jpg", "text": "two words"},
        {"image": "deeper/still/c.jpg", "text": "three"},
    ]
    assert pairs.image_bytes(2) == JPEG


def test_rows_without_text_are_left_out_and_counted(tmp_path: Path) -> None:
    put(tmp_path, a="one", b=None, c="three")
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == ["one", "three"]
    assert pairs.row_name(1) == f"{tmp_path} row 3 (c.jpg)"
    assert pairs.problems == (f"1 of 3 rows have no text and are left out, the first: {tmp_path} row 2 (b.jpg)",)
    assert open_pairs(tmp_path, need_text=False).texts() == ["one", "", "three"]


def test_class_folders_give_labels_and_their_words(tmp_path: Path) -> None:
    put(tmp_path / "hot_dog", a=None)
    put(tmp_path / "ice-cream", a=None)
    assert open_pairs(tmp_path).table.to_pylist() == [
        {"image": "hot_dog/a.jpg", "text": "hot dog", "label": "hot_dog"},
        {"image": "ice-cream/a.jpg", "text": "ice cream", "label": "ice-cream"},
    ]


def test_a_table_names_images_relative_to_itself(tmp_path: Path) -> None:
    put(tmp_path / "pictures", a=None)
    table = tmp_path / "photos.csv"
    table.write_text("file,title,split\npictures/a.jpg,a photo,train\nmissing.jpg,none,val\n")
    pairs = open_pairs(table)
    assert pairs.image_bytes(0) == JPEG
    assert pairs.table["split"].to_pylist() == ["train", "val"]
    with pytest.raises(OpenAlignError, match=r"photos\.csv row 2 \(missing\.jpg\): .*No such file"):
        pairs.image_bytes(1)


def test_rows_are_chosen_by_the_values_of_columns(tmp_path: Path) -> None:
    put(tmp_path, a=None)
    table = tmp_path / "photos.csv"
    table.write_text("file,title,split,year\na.jpg,one,train,1\na.jpg,two,val,1\na.jpg,,val,2\na.jpg,four,val,2\n")
    pairs = open_pairs(table, where={"split": "val", "year": "2"})
    assert pairs.texts() == ["four"]
    assert pairs.row_name(0).endswith("row 4 (a.jpg)")
    assert len(pairs.problems) == 1 and "1 of 4 rows have no text" in pairs.problems[0]
    assert open_pairs(table, need_text=False, where={"year": "2"}).texts() == ["", "four"]
    assert open_pairs(table).where({"split": "val", "year": "2"}).table.equals(pairs.table)
    for where, message in (({"kind": "x"}, "no column `kind`.*image, text, split"), ({"year": "3"}, "row with year=3")):
        with pytest.raises(OpenAlignError, match=message):
            open_pairs(table, where=where)


def test_a_folder_with_a_pairs_table_opens_the_table(tmp_path: Path) -> None:
    put(tmp_path, a=None)
    (tmp_path / "pairs.csv").write_text("file,text,objects\na.jpg,a text,x;y\n")
    pairs = open_pairs(tmp_path)
    assert pairs.table.to_pylist() == [{"image": "a.jpg", "text": "a text", "objects": "x;y"}]
    assert pairs.image_bytes(0) == JPEG


def test_shards_open_by_themselves_by_their_folder_and_by_the_curated_folder(tmp_path: Path) -> None:
    with ShardWriter(tmp_path / "shards", 2) as writer:
        for i in range(3):
            writer.write(
                f"{i}", JPEG + bytes([i]), f"text {i}", {"image": f"http://a.test/{i}", "page": None if i < 2 else "p"}
            )
    (tmp_path / "pairs.parquet").write_bytes(b"the shards come first")
    for source in (tmp_path, tmp_path / "shards"):
        pairs = open_pairs(source)
        assert pairs.texts() == ["text 0", "text 1", "text 2"]
        assert pairs.table["page"].to_pylist() == [None, None, "p"]
        assert pairs.row_name(2) == f"{source} row 3 (http://a.test/2)"
        assert pairs.image_bytes(2) == JPEG + b"\x02"
    assert len(open_pairs(tmp_path / "shards" / "shard-00001.tar")) == 1


def test_selected_pairs_keep_their_names_and_go_to_workers(tmp_path: Path) -> None:
    pairs = open_pairs(put(tmp_path, a="one", b="two", c="three")).select([2, 0])
    arrived = pickle.loads(pickle.dumps(pairs))
    assert arrived.texts() == ["three", "one"]
    assert arrived.texts(np.array([1])) == ["one"]
    assert arrived.row_name(0) == f"{tmp_path} row 3 (c.jpg)"


def test_the_fingerprint_follows_images_and_their_order(tmp_path: Path) -> None:
    pairs = open_pairs(put(tmp_path, a="one", b="two"))
    before = pairs.fingerprint()
    assert open_pairs(tmp_path).fingerprint() == before
    assert pairs.select([1, 0]).fingerprint() != before
    (tmp_path / "a.jpg").write_bytes(JPEG + b"\0")
    assert open_pairs(tmp_path).fingerprint() != before


def test_an_address_cannot_be_read_before_it_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("a dog\thttp://a.test/1.jpg\n")
    with pytest.raises(OpenAlignError, match="only an address: run `openalign curate`"):
        open_pairs(tmp_path / "t.tsv").image_bytes(0)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere", "nowhere does not exist"),
        ("http://a.test/photos.csv", "is the URL of a table: download the table"),
        ("empty", "holds no shards, no pairs.csv and no images"),
        ("bare", "holds 2 images but no texts"),
        ("crawl.warc.gz", "is a crawl: run `openalign curate"),
        ("data.zip", "is neither a folder nor a table"),
        ("odd", r"a\.txt is not UTF-8 at byte 3"),
    ],
)
def test_a_source_that_cannot_be_opened_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    put(tmp_path / "bare", a=None, b=None)
    put(tmp_path / "odd", a="")
    (tmp_path / "odd" / "a.txt").write_bytes("café".encode("latin-1"))
    for name in ("crawl.warc.gz", "data.zip"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(OpenAlignError, match=message):
        open_pairs(source)


@pytest.mark.skipif(not SHARED.exists(), reason="the real sets are not beside this checkout")
def test_real_product_photos_open_by_their_table(tmp_path: Path) -> None:
    with (SHARED / "fashion" / "pairs.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with tarfile.open(SHARED / "fashion" / "images.tar") as tar:
        for member, _ in zip(tar, range(40), strict=False):
            if member.isfile():
                stored = tar.extractfile(member)
                assert stored is not None
                (tmp_path / Path(member.name).name).write_bytes(stored.read())
    kept = [row for row in rows if (tmp_path / row["file"]).exists()]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(kept)
    (tmp_path / "pairs.csv").write_text(text.getvalue(), encoding="utf-8")
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == [row["title"] for row in kept]
    assert pairs.table["articleType"].to_pylist() == [row["articleType"] for row in kept]
    assert all(decode(pairs.image_bytes(row)).ndim == 3 for row in range(len(pairs)))


def test_an_image_whose_name_is_not_utf8_is_left_out_and_said(tmp_path: Path) -> None:
    put(tmp_path, a="one", b="two")
    (tmp_path / "b.jpg").rename(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg"))
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == ["one"]
    assert pairs.problems == (
        f"{tmp_path}: 1 images whose names are not UTF-8 are left out, the first: caf\ufffd.jpg: rename them",
    )


def test_a_text_beside_an_image_that_cannot_be_read_costs_that_image_alone(tmp_path: Path) -> None:
    put(tmp_path, a="one", b=None, c="")
    (tmp_path / "b.txt").mkdir()
    (tmp_path / "c.txt").write_bytes("café".encode("latin-1"))
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == ["one"]
    assert pairs.problems[0] == f"{tmp_path}/b.txt cannot be read: Is a directory"
    assert pairs.problems[1].startswith(f"{tmp_path}/c.txt is not UTF-8 at byte 3")


def test_a_table_that_names_no_file_for_an_image_waits_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "large.jpg").write_bytes(bytes(1001))
    monkeypatch.setattr(file_images, "MAX_IMAGE_BYTES", 1000)
    (tmp_path / "t.csv").write_text(f"file,text\npipe.jpg,x\n/dev/zero,x\n{tmp_path},x\nlarge.jpg,x\nnowhere.jpg,x\n")
    pairs = open_pairs(tmp_path / "t.csv")
    reasons = ["it is no file", "it is no file", "it is no file", "it has 1,001 bytes, more than 1,000", "No such file"]
    for row, reason in enumerate(reasons):
        with pytest.raises(OpenAlignError, match=rf"t\.csv row {row + 1} .*the image file cannot be read \({reason}"):
            pairs.image_bytes(row)
