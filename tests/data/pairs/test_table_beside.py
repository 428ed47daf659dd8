"""A table under any name is taken if its rows name images that are there; what it does not name is counted."""

import bz2
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openalign.checksums import write_checksums
from openalign.data.left_out import Kind, counted
from openalign.data.pairs.open import open_pairs
from openalign.errors import OpenAlignError
from tests.data.pairs.folders import JPEG, put


def images(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(JPEG)
    return folder


def pairs_in(folder: Path, **options: str) -> dict[str, str]:
    pairs = open_pairs(folder, **options)  # type: ignore[arg-type]
    assert all(pairs.image_bytes(row) == JPEG for row in range(len(pairs)))
    return dict(zip(pairs.table["image"].to_pylist(), pairs.texts(), strict=True))


@pytest.mark.parametrize(
    ("where", "written"),
    [
        ("Images/", "{}.jpg"),
        ("", "{}.jpg"),
        ("", "./{}.jpg"),
        ("img/deep/", "deep/{}.jpg"),
        ("images/", "/home/someone/data/images/{}.jpg"),
        ("images/", "{}"),
        ("images/", r"images\{}.jpg"),
    ],
)
@pytest.mark.parametrize("table", ["captions.csv", "anything.tsv", "labels.jsonl", "list.parquet", "notes/list.csv"])
def test_images_are_found_by_what_the_rows_name(tmp_path: Path, where: str, written: str, table: str) -> None:
    images(tmp_path, *(f"{where}{name}.jpg" for name in ("one", "two", "three")))
    rows = [{"image": written.format(name), "caption": f"the {name}"} for name in ("one", "two", "three")]
    path = tmp_path / table
    path.parent.mkdir(exist_ok=True)
    if table.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif table.endswith(".jsonl"):
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        between = "," if table.endswith(".csv") else "\t"
        path.write_text(
            "\n".join(between.join(each) for each in [("image", "caption"), *(row.values() for row in rows)])
        )
    assert pairs_in(tmp_path) == {f"{where}{name}.jpg": f"the {name}" for name in ("one", "two", "three")}


def test_what_has_no_partner_is_counted(tmp_path: Path) -> None:
    images(tmp_path, "Images/a.jpg", "Images/b.jpg", "Images/a_mask.png", "Images/unnamed.jpg")
    (tmp_path / "Images" / "c.jxl").write_bytes(b"x")
    rows = ["a.jpg,one", "a.jpg,two", "b.jpg,", "c.jxl,three", "gone.jpg,four", ",five"]
    (tmp_path / "captions.csv").write_text("\n".join(["image,caption", *rows]))
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == ["one", "two"]
    assert counted(pairs.problems) == {
        Kind.ROW_WITHOUT_TEXT: 1,
        Kind.IMAGE_FORMAT: 1,
        Kind.FILE_MISSING: 1,
        Kind.ROW_WITHOUT_IMAGE: 1,
        Kind.IMAGE_NOT_NAMED: 2,
    }
    assert pairs.row_name(1).endswith("row 2 (Images/a.jpg)")


def test_tables_named_by_splits_are_splits(tmp_path: Path) -> None:
    images(tmp_path, "images/a.jpg", "images/b.jpg")
    (tmp_path / "train.csv").write_text("image,caption\na.jpg,one\n")
    (tmp_path / "test.csv").write_text("image,caption\nb.jpg,two\n")
    with pytest.raises(OpenAlignError, match=r"several splits \(test, train\)"):
        open_pairs(tmp_path)
    assert pairs_in(tmp_path, split="train") == {"images/a.jpg": "one"}
    assert counted(open_pairs(tmp_path, split="train").problems) == {}
    assert pairs_in(tmp_path, split="all") == {"images/a.jpg": "one", "images/b.jpg": "two"}


def test_one_of_several_tables_must_be_given(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg")
    for name in ("english.csv", "german.csv"):
        (tmp_path / name).write_text(f"image,caption\na.jpg,{name}\n")
    with pytest.raises(OpenAlignError, match=r"several tables.*\(english\.csv, german\.csv\): give one"):
        open_pairs(tmp_path)
    (tmp_path / "german.csv").write_text("url,caption\nhttp://a.test/1.jpg,x\n")
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == ["english.csv"]
    assert counted(pairs.problems) == {Kind.FILE_NOT_USED: 1}


def test_texts_beside_and_a_table_that_differ_are_chosen_from_by_layout(tmp_path: Path) -> None:
    put(tmp_path, a="beside", b="beside too")
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "a.jpg", "text": "in the table"}\n')
    with pytest.raises(OpenAlignError, match=r"could be read as metadata.*or as caption-files.*--layout"):
        open_pairs(tmp_path)
    assert open_pairs(tmp_path, layout="caption-files").texts() == ["beside", "beside too"]
    assert open_pairs(tmp_path, layout="metadata").texts() == ["in the table"]
    pairs = open_pairs(tmp_path, need_text=False)
    assert pairs.reading is not None and pairs.reading.others == ("caption-files", "images")


def test_a_table_beside_class_folders_is_the_evidence(tmp_path: Path) -> None:
    images(tmp_path, "cat/a.jpg", "dog/b.jpg")
    (tmp_path / "texts.csv").write_text("path,title\ncat/a.jpg,my cat\ndog/b.jpg,her dog\n")
    assert pairs_in(tmp_path) == {"cat/a.jpg": "my cat", "dog/b.jpg": "her dog"}


def test_a_table_of_a_split_names_the_images_of_that_split(tmp_path: Path) -> None:
    images(tmp_path, "train/1.jpg", "test/1.jpg", "test/2.jpg")
    for split, text in (("train", "one"), ("test", "two")):
        (tmp_path / f"{split}.csv").write_text(f"image,caption\n1.jpg,{text}\n2.jpg,{text}\n")
    assert pairs_in(tmp_path, split="train") == {"train/1.jpg": "one"}
    assert counted(open_pairs(tmp_path, split="train").problems) == {Kind.FILE_MISSING: 1}
    assert pairs_in(tmp_path, split="test") == {"test/1.jpg": "two", "test/2.jpg": "two"}


def test_images_of_one_name_in_two_folders_are_not_guessed(tmp_path: Path) -> None:
    images(tmp_path, "first/1.jpg", "second/1.jpg")
    (tmp_path / "captions.csv").write_text("image,caption\n1.jpg,one\n")
    with pytest.raises(OpenAlignError, match=r"in .*first and in .*second|in .*second and in .*first"):
        open_pairs(tmp_path)
    (tmp_path / "first").rename(tmp_path / "images")
    assert pairs_in(tmp_path) == {"images/1.jpg": "one"}


def test_a_folder_that_is_not_there_is_not_another_one(tmp_path: Path) -> None:
    images(tmp_path, "a/1.jpg", "a/2.jpg")
    (tmp_path / "captions.csv").write_text("image,caption\na/1.jpg,one\nb/2.jpg,two\n")
    assert pairs_in(tmp_path) == {"a/1.jpg": "one"}
    assert counted(open_pairs(tmp_path).problems) == {Kind.FILE_MISSING: 1, Kind.IMAGE_NOT_NAMED: 1}


def test_images_spread_over_folders_are_found_by_their_only_name(tmp_path: Path) -> None:
    images(tmp_path, "00/1.jpg", "00/2.jpg", "01/3.jpg")
    (tmp_path / "captions.csv").write_text("id,caption\n1,one\n2,two\n3,three\n")
    assert pairs_in(tmp_path) == {"00/1.jpg": "one", "00/2.jpg": "two", "01/3.jpg": "three"}


def test_lists_of_images_and_boxes_are_no_captions(tmp_path: Path) -> None:
    images(tmp_path, "Images/1.jpg", "Images/2.jpg")
    (tmp_path / "Flickr8k.token.txt").write_text("1.jpg#0\ta dog , running\n1.jpg#1\ta dog\n2.jpg#0\ta boat , red\n")
    (tmp_path / "trainImages.txt").write_text("1.jpg\n")
    (tmp_path / "boxes.csv").write_text("image,x,y\n1.jpg,1,2\n2.jpg,3,4\n")
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == ["a dog , running", "a dog", "a boat , red"]
    assert len(pairs.one_per_image()[0]) == 2


def test_what_is_passed_over_beside_images_is_said(tmp_path: Path) -> None:
    images(tmp_path, "1.jpg", "2.jpg")
    (tmp_path / "cc3m.tsv").write_text("a dog\thttp://a.test/1.jpg\na cat\thttp://a.test/2.jpg\n")
    (tmp_path / "1.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    pairs = open_pairs(tmp_path, need_text=False)
    assert counted(pairs.problems) == {Kind.FILE_NOT_USED: 2}
    with pytest.raises(OpenAlignError, match=r"no texts.*cc3m\.tsv names no image that is there"):
        open_pairs(tmp_path)


def test_tables_of_parts_that_share_no_image_are_read_together(tmp_path: Path) -> None:
    images(tmp_path, "x/1.jpg", "y/1.jpg")
    for part in "xy":
        (tmp_path / part / "captions.csv").write_text(f"image,caption\n1.jpg,of {part}\n")
    assert pairs_in(tmp_path) == {"x/1.jpg": "of x", "y/1.jpg": "of y"}


@pytest.mark.parametrize(("stored", "named"), [("IMG_1.JPG", "img_1.jpg"), ("e\u0301.jpg", "\u00e9.jpg")])
def test_names_in_another_case_or_normal_form_are_found(tmp_path: Path, stored: str, named: str) -> None:
    images(tmp_path, stored)
    (tmp_path / "captions.csv").write_text(f"image,caption\n{named},one\n", encoding="utf-8")
    assert pairs_in(tmp_path) == {stored: "one"}


@pytest.mark.parametrize(
    ("table", "taken", "other"),
    [
        ("image,mask,text\na.jpg,m/a_mask.jpg,one\nb.jpg,m/b_mask.jpg,two\n", "image", "mask"),
        ("source,target,prompt\ns/a.jpg,t/a.jpg,one\ns/b.jpg,t/b.jpg,two\n", "source", "target"),
    ],
)
def test_a_second_column_of_images_is_told(tmp_path: Path, table: str, taken: str, other: str) -> None:
    images(
        tmp_path,
        "a.jpg",
        "b.jpg",
        *(f"{folder}.jpg" for folder in ("m/a_mask", "m/b_mask", "s/a", "s/b", "t/a", "t/b")),
    )
    (tmp_path / "rows.csv").write_text(table)
    note = f"images are taken from `{taken}`; `{other}` could be taken with --image-column"
    for source in (tmp_path, tmp_path / "rows.csv"):
        if source == tmp_path or taken == "image":
            assert any(note in problem for problem in open_pairs(source).problems)
        pairs = open_pairs(source, image_column=other)
        assert sorted(pairs.table["image"].to_pylist()) == sorted(row.split(",")[1] for row in table.split()[1:])
        assert not any("could be taken" in problem for problem in pairs.problems)


@pytest.mark.parametrize(
    "table",
    [
        "image,path,text\na.jpg,/data/m/a.jpg,one\nb.jpg,/data/m/b.jpg,two\n",
        "image,url,text\na.jpg,https://example.org/a.jpg,one\nb.jpg,https://example.org/b.jpg,two\n",
        "image,note,text\na.jpg,c.jpg,one\nb.jpg,of b.jpg and others,two\n",
        "image,mask,text\na.jpg,,one\nb.jpg,,two\n",
    ],
)
def test_a_column_that_names_the_same_images_or_none_is_not_told(tmp_path: Path, table: str) -> None:
    images(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "rows.csv").write_text(table)
    for source in (tmp_path, tmp_path / "rows.csv"):
        assert not any("could be taken" in problem for problem in open_pairs(source).problems)


@pytest.mark.parametrize("lead", ["set/", "above/set/", "../set/", "/home/someone/set/", "set\\"])
@pytest.mark.parametrize("name", ["list.csv", "meta.json"])
def test_names_that_begin_with_the_folders_own_name_are_found(tmp_path: Path, lead: str, name: str) -> None:
    folder = images(tmp_path / "above" / "set", "a.jpg", "b.jpg")
    rows = {f"{lead}{each}.jpg": f"the {each}" for each in "ab"}
    if name.endswith(".json"):
        (folder / name).write_text(json.dumps({image: {"caption": text} for image, text in rows.items()}))
    else:
        (folder / name).write_text("\n".join(["image,text", *(f"{image},{text}" for image, text in rows.items())]))
    assert pairs_in(folder) == {"a.jpg": "the a", "b.jpg": "the b"}
    if lead in ("set/", "../set/"):
        pairs = open_pairs(folder / name)
        assert [pairs.image_bytes(row) for row in range(2)] == [JPEG] * 2


def test_a_folder_of_another_name_is_not_the_folder_itself(tmp_path: Path) -> None:
    folder = images(tmp_path / "set", "a.jpg", "b.jpg")
    (folder / "list.csv").write_text("image,text\nother/a.jpg,one\nreset/b.jpg,two\n")
    with pytest.raises(OpenAlignError, match="no texts"):
        open_pairs(folder)


@pytest.mark.parametrize("row", ["{0}.jpg,{0}", "{0},{0}.jpg"])
@pytest.mark.parametrize("head", ["image,text", "name,title", ""])
def test_a_text_that_is_also_the_name_of_a_file_is_a_text(tmp_path: Path, head: str, row: str) -> None:
    images(tmp_path, "train/apple.jpg", "train/boat.jpg")
    head = head if row.startswith("{0}.") else ",".join(reversed(head.split(",")))
    (tmp_path / "list.csv").write_text("\n".join([*([head] if head else []), row.format("apple"), row.format("boat")]))
    assert pairs_in(tmp_path) == {"train/apple.jpg": "apple", "train/boat.jpg": "boat"}


def test_a_list_of_files_in_json_is_no_rival_of_a_table_called_pairs(tmp_path: Path) -> None:
    put(tmp_path, a=None)
    (tmp_path / "pairs.csv").write_text("image,text\na.jpg,a red wall\n")
    (tmp_path / "manifest.json").write_text(json.dumps([{"file": "a.jpg", "state": "was fetched"}]))
    write_checksums(tmp_path)
    assert open_pairs(tmp_path).texts() == ["a red wall"]


@pytest.mark.parametrize(("name", "pack"), [("captions.csv.gz", gzip.compress), ("list.jsonl.bz2", bz2.compress)])
def test_a_compressed_table_beside_its_images_is_looked_into(
    tmp_path: Path, name: str, pack: Callable[[bytes], bytes]
) -> None:
    images(tmp_path, "img/1.jpg", "img/2.jpg")
    csv, lines = b"sep=;\r\nimage;text\r\n1.jpg;one\r\n2.jpg;two\r\n", b""
    for number, text in (("1", "one"), ("2", "two")):
        lines += json.dumps({"image": f"{number}.jpg", "text": text}).encode() + b"\n"
    (tmp_path / name).write_bytes(pack(csv if ".csv" in name else lines))
    assert pairs_in(tmp_path) == {"img/1.jpg": "one", "img/2.jpg": "two"}


@pytest.mark.parametrize("name", ["metadata.json", "pairs.json", "meta_cap.json"])
@pytest.mark.parametrize("form", ["list", "by name", "by stem"])
def test_json_under_any_name_that_names_the_images_is_read(tmp_path: Path, name: str, form: str) -> None:
    images(tmp_path, "a.jpg", "b.jpg")
    content: object = [{"file_name": f"{each}.jpg", "text": f"the {each}"} for each in "ab"]
    if form != "list":
        end = ".jpg" if form == "by name" else ""
        content = {f"{each}{end}": {"caption": f"the {each}", "tags": "x, y"} for each in "ab"}
    (tmp_path / name).write_text(json.dumps(content))
    assert pairs_in(tmp_path) == {"a.jpg": "the a", "b.jpg": "the b"}


@pytest.mark.parametrize("name", ["captions.txt", "my prompts.txt", "annotations.json"])
def test_a_file_that_could_say_something_of_images_and_does_not_name_them_is_told(tmp_path: Path, name: str) -> None:
    images(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / name).write_text('["a red wall"]' if name.endswith("json") else "a.jpg: a red wall\n")
    (tmp_path / "README.txt").write_text("about\n")
    assert counted(open_pairs(tmp_path, need_text=False).problems) == {Kind.FILE_NOT_USED: 1}
    with pytest.raises(OpenAlignError, match=f"{name} names no image that is there"):
        open_pairs(tmp_path)
