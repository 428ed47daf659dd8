"""Every kind of DATA opens as pairs, and every other source is an error that says what to do."""

import csv
import io
import tarfile
from pathlib import Path

import pytest

from openalign.data.images.decode import decode
from openalign.data.pairs.open import open_pairs
from openalign.data.shards.writer import ShardWriter
from openalign.errors import OpenAlignError
from tests.data.pairs.folders import JPEG, put

SHARED = Path(__file__).parents[3].parent / "shared" / "data"


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
    pairs = open_pairs(table, split="all")
    assert pairs.image_bytes(0) == JPEG
    assert pairs.table["split"].to_pylist() == ["train", "val"]
    with pytest.raises(OpenAlignError, match=r"photos\.csv row 2 \(missing\.jpg\): .*No such file"):
        pairs.image_bytes(1)


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


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere", "nowhere does not exist"),
        ("http://a.test/photos.csv", "is the URL of a table: download the table"),
        ("empty", "holds no shards, no pairs.csv and no images"),
        ("bare", "holds 2 images but no texts"),
        ("crawl.warc.gz", "is a crawl: run `openalign curate"),
        ("site", "holds web pages or a crawl: run `openalign curate site"),
        ("crawls", "holds web pages or a crawl: run `openalign curate crawls"),
        ("data.zip", "is neither a folder nor a table"),
        ("bare/a.jpg", r"is one image: give its folder, or a pattern in quotation marks: 'bare/\*\.jpg'"),
        ("phone.HEIC", r"is one image: give its folder, or a pattern in quotation marks: '\*\.HEIC'"),
        ("odd", r"a\.txt is not text"),
    ],
)
def test_a_source_that_cannot_be_opened_is_an_error_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    put(tmp_path / "bare", a=None, b=None)
    put(tmp_path / "odd", a="")
    (tmp_path / "odd" / "a.txt").write_bytes(b"\x00\xff\x80\x01\xfe")
    for folder in ("site", "crawls"):
        (tmp_path / folder / "below").mkdir(parents=True)
    for name in ("crawl.warc.gz", "data.zip", "phone.HEIC", "site/below/a.html", "crawls/below/b.warc"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(OpenAlignError, match=message):
        open_pairs(source)


def test_what_a_folder_holds_instead_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.jxl").write_bytes(b"x")
    with pytest.raises(OpenAlignError, match=r"no images.*1 \.jxl images are of a format that is not read"):
        open_pairs(tmp_path)
    (tmp_path / "cc3m.tsv").write_text("a dog\thttp://a.test/1.jpg\n")
    with pytest.raises(OpenAlignError, match=r"give the table: .*cc3m\.tsv"):
        open_pairs(tmp_path)


@pytest.mark.slow
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
    pairs = open_pairs(tmp_path, split="all")
    assert pairs.texts() == [row["title"] for row in kept]
    assert pairs.table["articleType"].to_pylist() == [row["articleType"] for row in kept]
    assert all(decode(pairs.image_bytes(row)).ndim == 3 for row in range(len(pairs)))


@pytest.mark.parametrize("other", [".DS_Store", "IMG_1.jxl"])
def test_files_that_hold_no_texts_are_no_reason_for_their_absence(tmp_path, other):
    (tmp_path / "a.jpg").write_bytes(JPEG)
    (tmp_path / other).write_bytes(b"\xff\x0a\xfa\x7f")
    with pytest.raises(OpenAlignError, match=r"1 images but no texts: each image needs one$"):
        open_pairs(tmp_path)
