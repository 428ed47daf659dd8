"""One table names the images, another has their texts: they are joined by the column of both, or told apart."""

import json
from pathlib import Path

import pytest

from openalign.data.left_out import Kind, counted
from openalign.data.pairs.open import open_pairs
from openalign.errors import OpenAlignError
from tests.data.pairs.folders import JPEG, put
from tests.data.pairs.test_table_beside import images


def write(path: Path, *rows: str) -> None:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def pairs_in(folder: Path, **options: str) -> list[tuple[str, str]]:
    pairs = open_pairs(folder, **options)  # type: ignore[arg-type]
    assert all(pairs.image_bytes(row) == JPEG for row in range(len(pairs)))
    return list(zip(pairs.table["image"].to_pylist(), pairs.texts(), strict=True))


def test_reports_are_texts_of_all_images_of_a_study(tmp_path: Path) -> None:
    images(tmp_path, "images/1_IM-1.dcm.png", "images/1_IM-2.dcm.png", "images/7_IM-1.dcm.png")
    write(
        tmp_path / "indiana_projections.csv",
        "uid,filename,projection",
        "1,1_IM-1.dcm.png,Frontal",
        "1,1_IM-2.dcm.png,Lateral",
        "7,7_IM-1.dcm.png,Frontal",
    )
    write(
        tmp_path / "indiana_reports.csv",
        "uid,MeSH,image,findings,impression",
        '7,normal,Xray,"Clear lungs, no effusion",Normal',
        "1,borderline,Xray,Large heart,Follow up",
        "9,normal,Xray,Nothing,Normal",
    )
    pairs = open_pairs(tmp_path)
    assert pairs.texts() == ["Large heart", "Large heart", "Clear lungs, no effusion"]
    assert counted(pairs.problems) == {Kind.CAPTION_WITHOUT_IMAGE.value: 1}
    assert "text: findings in indiana_reports.csv, by uid" in pairs.read_as
    assert open_pairs(tmp_path, text_column="impression").texts() == ["Follow up", "Follow up", "Normal"]


def test_several_texts_of_an_image_are_each_a_pair_of_its_row(tmp_path: Path) -> None:
    images(tmp_path, "img/x.jpg", "img/y.jpg", "img/z.jpg")
    write(tmp_path / "photos.tsv", "photo_id\tpath", "p1\timg/x.jpg", "p2\timg/y.jpg", "p3\timg/z.jpg")
    rows = [("p3", "late"), ("p1", "one"), ("p1", "two"), ("p8", "nobody's"), ("p3", "")]
    write(tmp_path / "texts.jsonl", *(json.dumps({"photo_id": key, "description": text}) for key, text in rows))
    pairs = open_pairs(tmp_path)
    found = list(zip(pairs.table["image"].to_pylist(), pairs.texts(), strict=True))
    assert found == [("img/x.jpg", "one"), ("img/x.jpg", "two"), ("img/z.jpg", "late")]
    assert pairs.source_rows.tolist() == [0, 0, 2]
    lost = counted(pairs.problems)
    assert lost[Kind.CAPTION_WITHOUT_IMAGE.value] == 1 and lost[Kind.ROW_WITHOUT_TEXT.value] >= 1


def test_texts_with_numbers_of_their_own_are_joined_by_those_of_the_images(tmp_path: Path) -> None:
    images(tmp_path, *(f"img/p{number * 11}.jpg" for number in (1, 2, 3)))
    write(tmp_path / "images.csv", "id,file", *(f"{number},img/p{number * 11}.jpg" for number in (1, 2, 3)))
    write(tmp_path / "captions.csv", "id,image_id,caption", "1,3,three", "2,1,one", "3,2,two", "4,2.0,again two")
    assert pairs_in(tmp_path) == [
        ("img/p11.jpg", "one"), ("img/p22.jpg", "two"), ("img/p22.jpg", "again two"), ("img/p33.jpg", "three"),
    ]  # fmt: skip


def test_a_table_that_names_files_beats_ids_that_are_numbers_of_images(tmp_path: Path) -> None:
    images(tmp_path, "img/0001.jpg", "img/0002.jpg", "img/0003.jpg")
    write(tmp_path / "files.csv", "id,file", "1,img/0003.jpg", "2,img/0001.jpg", "3,img/0002.jpg")
    write(tmp_path / "texts.csv", "id,caption", "1,of three", "2,of one", "3,of two")
    assert dict(pairs_in(tmp_path)) == {
        "img/0001.jpg": "of one", "img/0002.jpg": "of two", "img/0003.jpg": "of three",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("naming", "texts", "columns"),
    [
        (["id,file,name", "1,a.jpg,x", "2,b.jpg,y"], ["id,name,caption", "1,x,one", "2,y,two"], "`id`, `name`"),
        (["kind,file", "1,a.jpg", "1,b.jpg"], ["kind,caption", "1,one", "1,two"], "`kind`"),
        (["id,file", "1,a.jpg", "2,b.jpg"], ["id,caption", "1,one", "7,two", "8,three"], "`id`"),
    ],
)
def test_tables_that_may_not_belong_together_are_not_joined_but_told(
    tmp_path: Path, naming: list[str], texts: list[str], columns: str
) -> None:
    images(tmp_path, "a.jpg", "b.jpg")
    write(tmp_path / "list.csv", *naming)
    write(tmp_path / "captions.csv", *texts)
    with pytest.raises(OpenAlignError, match=f"its {columns} may tell rows of list.csv.*make one table of both"):
        open_pairs(tmp_path)
    assert len(open_pairs(tmp_path, need_text=False)) == 2


def test_a_table_with_texts_is_joined_with_nothing(tmp_path: Path) -> None:
    put(tmp_path, a=None, b=None)
    write(tmp_path / "list.csv", "id,file,caption", "1,a.jpg,one", "2,b.jpg,two")
    write(tmp_path / "prices.csv", "id,shop name", "1,corner shop", "2,market hall")
    assert pairs_in(tmp_path) == [("a.jpg", "one"), ("b.jpg", "two")]


def test_texts_of_all_splits_are_joined_with_the_images_of_each(tmp_path: Path) -> None:
    images(tmp_path, *(f"img/{letter}.jpg" for letter in "abcdef"))
    write(tmp_path / "train.csv", "key,file", "k1,img/a.jpg", "k2,img/b.jpg", "k3,img/c.jpg", "k4,img/d.jpg")
    write(tmp_path / "test.csv", "key,file", "k5,img/e.jpg", "k6,img/f.jpg")
    write(tmp_path / "captions.csv", "key,caption", *(f"k{number},text {number}" for number in range(6, 0, -1)))
    test = open_pairs(tmp_path, split="test")
    assert test.texts() == ["text 5", "text 6"]
    assert counted(test.problems) == {}
    assert open_pairs(tmp_path, split="train").texts() == [f"text {number}" for number in (1, 2, 3, 4)]
