"""Ids that a table has in place of names of files, lists of names, and what is said where nothing fits."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openalign.data.left_out import Kind, counted
from openalign.data.pairs.open import open_pairs
from openalign.errors import OpenAlignError
from tests.data.pairs.folders import JPEG


def images(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(JPEG)
    return folder


def pairs_in(source: Path, **options: str) -> dict[str, str]:
    pairs = open_pairs(source, **options)  # type: ignore[arg-type]
    assert all(pairs.image_bytes(row) == JPEG for row in range(len(pairs)))
    return dict(zip(pairs.table["image"].to_pylist(), pairs.texts(), strict=True))


IDS = [
    ("{:06d}.jpg", "{}"),
    ("photo_{}.jpg", "{}"),
    ("COCO_train2014_{:012d}.jpg", "{}"),
    ("{}.jpg", "{:05d}"),
    ("{:04d}.jpg", "{}.0"),
    ("a-{:04d}.png", "a-{}"),
    ("{:08d}.jpg", "{}.jpg"),
]


@pytest.mark.parametrize(("called", "written"), IDS)
@pytest.mark.parametrize("folder", ["", "images/"])
@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_ids_name_images_whatever_zeros_and_words_are_before_them(
    tmp_path: Path, called: str, written: str, folder: str, name: str
) -> None:
    numbers = [3, 17, 120]
    images(tmp_path, *(folder + called.format(number) for number in numbers))
    rows = [{"id": written.format(number), "caption": f"picture {number}"} for number in numbers]
    if name.endswith("csv"):
        (tmp_path / name).write_text("\n".join(["id,caption", *(f"{row['id']},{row['caption']}" for row in rows)]))
    else:
        whole = [{**row, "id": int(row["id"])} if row["id"].isdigit() and written == "{}" else row for row in rows]
        (tmp_path / name).write_text("\n".join(map(json.dumps, whole)))
    expected = {folder + called.format(number): f"picture {number}" for number in numbers}
    assert pairs_in(tmp_path) == expected
    given = pairs_in(tmp_path / name)
    assert {str(Path(folder) / Path(image).name): text for image, text in given.items()} == expected


def test_ids_of_whole_numbers_in_parquet_name_images(tmp_path: Path) -> None:
    images(tmp_path, "x/0007.jpg", "x/0011.jpg")
    pq.write_table(pa.table({"image_id": [11, 7], "caption": ["eleven", "seven"]}), tmp_path / "t.parquet")
    assert pairs_in(tmp_path) == {"x/0011.jpg": "eleven", "x/0007.jpg": "seven"}


def test_a_number_of_two_images_names_neither(tmp_path: Path) -> None:
    images(tmp_path, "a/01.jpg", "b/1.jpg", "a/02.jpg", "a/03.jpg")
    (tmp_path / "t.csv").write_text("id,caption\n001,one\n2,two\n3,three\n")
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == ["two", "three"]
    assert counted(pairs.problems) == {Kind.FILE_MISSING: 1, Kind.IMAGE_NOT_NAMED: 2}


def test_numbers_of_two_splits_are_told_apart_by_the_table(tmp_path: Path) -> None:
    images(tmp_path, "train_1.jpg", "train_2.jpg", "test_1.jpg", "test_2.jpg")
    for split in ("train", "test"):
        (tmp_path / f"{split}.csv").write_text(f"id,caption\n1,first of {split}\n2,second of {split}\n")
    assert pairs_in(tmp_path, split="test") == {"test_1.jpg": "first of test", "test_2.jpg": "second of test"}


def test_labels_are_not_taken_for_ids(tmp_path: Path) -> None:
    images(tmp_path, *(f"{number:03d}.jpg" for number in range(30)))
    rows = [f"{number % 3},{number},picture {number}" for number in range(30)]
    (tmp_path / "t.csv").write_text("\n".join(["kind,nr,caption", *rows]))
    assert pairs_in(tmp_path) == {f"{number:03d}.jpg": f"picture {number}" for number in range(30)}


@pytest.mark.parametrize("column", ["images", "image"])
@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
@pytest.mark.parametrize("beside", [True, False])
def test_the_first_of_a_list_of_names_is_the_image(tmp_path: Path, column: str, name: str, beside: bool) -> None:
    images(tmp_path, "p/1.jpg", "p/2.jpg", "p/3.jpg")
    lists, texts = [["p/1.jpg"], ["p/2.jpg", "p/3.jpg"]], ["one", "two, three"]
    if name.endswith("parquet"):
        pq.write_table(pa.table({column: lists, "text": texts}), tmp_path / name)
    elif name.endswith("jsonl"):
        rows = [{column: each, "text": text} for each, text in zip(lists, texts, strict=True)]
        (tmp_path / name).write_text("\n".join(map(json.dumps, rows)))
    else:
        cells = [json.dumps(each).replace('"', '""') for each in lists]
        rows_ = [f'"{cell}","{text}"' for cell, text in zip(cells, texts, strict=True)]
        (tmp_path / name).write_text("\n".join([f"{column},text", *rows_]))
    pairs = open_pairs(tmp_path if beside else tmp_path / name)
    assert dict(zip(pairs.table["image"].to_pylist(), pairs.texts(), strict=True)) == {
        "p/1.jpg": "one",
        "p/2.jpg": "two, three",
    }
    assert counted(pairs.problems)[Kind.EXTRA_IMAGE] == 1


def test_objects_over_several_lines_beside_images_are_read(tmp_path: Path) -> None:
    images(tmp_path, "1.jpg", "2.jpg")
    rows = [{"file": f"{number}.jpg", "caption": f"picture {number}"} for number in (1, 2)]
    (tmp_path / "notes.jsonl").write_text("\n".join(json.dumps(row, indent=4) for row in rows))
    assert pairs_in(tmp_path) == {"1.jpg": "picture 1", "2.jpg": "picture 2"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "shot,words\nx17,a red boat\nx18,two boats\n",
            r"names no image that is there: `shot` holds 'x17', 'x18'",
        ),
        ("file,x,y\n1.jpg,3,4\n2.jpg,7,8\n", r"names images that are there, but has no texts: `x` holds '3', '7', `y`"),
    ],
)
def test_a_table_that_is_not_read_is_told_with_what_it_holds(tmp_path: Path, content: str, said: str) -> None:
    images(tmp_path, "1.jpg", "2.jpg")
    (tmp_path / "t.csv").write_text(content)
    pairs = open_pairs(tmp_path, need_text=False)
    assert any(said.replace("\\", "") in each for each in pairs.problems)
    with pytest.raises(OpenAlignError, match=said):
        open_pairs(tmp_path)


@pytest.mark.parametrize(
    "value",
    [
        [{"id": 4, "regions": [{"phrase": "a mast", "x": 1}]}, {"id": 5, "regions": [{"phrase": "a sail", "x": 2}]}],
        {
            "version": 1,
            "data": [{"image_id": "4", "caption_str": "a mast"}, {"image_id": "5", "caption_str": "a sail"}],
        },
        {"4": ["a mast"], "5": ["a sail"]},
        {"4": {"caption": "a mast"}, "5": {"caption": "a sail"}},
    ],
)
def test_json_of_ids_names_the_images_beside_it(tmp_path: Path, value: object) -> None:
    images(tmp_path, "VG/4.jpg", "VG/5.jpg", "VG/6.jpg")
    (tmp_path / "notes.json").write_text(json.dumps(value))
    assert pairs_in(tmp_path) == {"VG/4.jpg": "a mast", "VG/5.jpg": "a sail"}


def test_json_that_only_has_ids_is_no_table_of_texts(tmp_path: Path) -> None:
    images(tmp_path, "4.jpg", "5.jpg")
    for name in ("4", "5"):
        (tmp_path / f"{name}.txt").write_text(f"picture {name}")
    (tmp_path / "boxes.json").write_text(json.dumps([{"id": 4, "box": [1, 2]}, {"id": 5, "box": [3, 4]}]))
    assert pairs_in(tmp_path) == {"4.jpg": "picture 4", "5.jpg": "picture 5"}


@pytest.mark.parametrize("name", ["x" * 5000, "a\\u0000b", "/".join(["y" * 300] * 3)])
def test_a_name_that_no_file_can_have_is_no_reason_to_end(tmp_path: Path, name: str) -> None:
    images(tmp_path, "1.jpg")
    (tmp_path / "t.jsonl").write_text(f'{{"image": "{name}", "text": "one"}}\n{{"image": "2", "text": "two"}}\n')
    assert open_pairs(tmp_path / "t.jsonl").texts() == ["one", "two"]


@pytest.mark.parametrize(
    ("file", "row", "ids"),
    [
        ("captions.txt", "{}\t CT of the chest, number {}\n", ["ROCO_00001", "ROCO_00002", "ROCO_00003"]),
        ("radiology/captions.txt", "{}\tnumber {}\n", ["PMC28_f1", "PMC29_f1", "PMC30_f2"]),
        ("list.csv", '{},"a photo, number {}"\n', ["dsc-1", "dsc-2", "x"]),
        ("list.tsv", "a photo of number {1}\t{0}\n", ["0017", "0018", "0021"]),
    ],
)
@pytest.mark.parametrize("is_file", [False, True])
def test_a_first_line_that_names_an_image_by_its_id_is_no_header(
    tmp_path: Path, file: str, row: str, ids: list[str], is_file: bool
) -> None:
    images(tmp_path / file.rpartition("/")[0], *(f"images/{each}.jpg" for each in ids))
    (tmp_path / file).write_text("".join(row.format(each, number) for number, each in enumerate([*ids, "lost"])))
    pairs = open_pairs(tmp_path / file if is_file else tmp_path)
    assert [Path(image).stem for image in pairs.table["image"].to_pylist()] == ids
    assert [text[-8:] for text in pairs.texts()] == ["number 0", "number 1", "number 2"]
    assert counted(pairs.problems) == {Kind.FILE_MISSING.value: 1}
    assert any("has no header line" in problem for problem in pairs.problems)


@pytest.mark.parametrize("header", ["id,words", "image,caption", "a,text"])
def test_a_header_stays_one_where_ids_name_images(tmp_path: Path, header: str) -> None:
    images(tmp_path, "a.jpg", "b.jpg", "image.jpg")
    (tmp_path / "t.csv").write_text(f"{header}\na,one thing\nb,two things\nimage,three things\n")
    pairs = open_pairs(tmp_path, text_column=header.partition(",")[2])
    assert pairs.texts() == ["one thing", "two things", "three things"]


def test_a_first_line_that_names_images_in_two_folders_is_refused(tmp_path: Path) -> None:
    images(tmp_path, *(f"{folder}/{each}.jpg" for folder in ("x", "y") for each in ("a1", "a2")))
    (tmp_path / "t.csv").write_text("a1,one thing\na2,two things\n")
    with pytest.raises(OpenAlignError):
        open_pairs(tmp_path / "t.csv")
