"""The choice of rows, the written object, and what is refused."""

import json

import pytest
from PIL import Image

from openalign.data.pairs.open import open_pairs
from openalign.errors import OpenAlignError
from openalign.evaluation.run import evaluate


def test_the_json_file_holds_what_is_returned(encoder, table, tmp_path):
    data = table("file,text", "red.png,a red thing", "blue.png,a blue thing")
    report = evaluate(encoder, data, json=tmp_path / "out" / "scores.json")
    assert json.loads((tmp_path / "out" / "scores.json").read_text(encoding="utf-8")) == report
    assert list(report)[:6] == ["protocol", "data", "model", "metrics", "chance", "count"]


def test_where_and_distinct_texts_select_rows(encoder, table):
    data = table(
        "file,title,split",
        "red-1.png,red cup,val", "red-2.png,red cup,val", "blue.png,blue cup,val", "green.png,green cup,train",
    )  # fmt: skip
    assert evaluate(encoder, data, where={"split": "val"})["count"] == 3
    report = evaluate(encoder, data, where={"split": "val"}, distinct_texts=True)
    assert (report["count"], report["images"], report["texts"]) == (2, 2, 2)


def test_pairs_that_are_already_open_give_the_same_report(encoder, table):
    data = table("file,text", "red.png,a red thing", "blue.png,a blue thing")
    assert evaluate(encoder, open_pairs(data)) == evaluate(encoder, data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "guess"}, "no protocol 'guess'; choose one of retrieval, zero-shot"),
        ({"where": {"split": "val"}}, "no column `split`.*image, text"),
        ({"where": {"text": "nobody says this"}}, "no row with text=nobody says this"),
    ],
)
def test_a_wrong_option_is_answered_with_the_valid_ones(encoder, table, options, message):
    with pytest.raises(OpenAlignError, match=message):
        evaluate(encoder, table("file,text", "red.png,a red thing"), **options)


def test_data_whose_images_are_all_unreadable_is_an_error(encoder, table):
    with pytest.raises(OpenAlignError, match=r"none of its 2 images could be read.*nowhere-1\.png"):
        evaluate(encoder, table("file,text", "nowhere-1.png,one", "nowhere-2.png,two"))


def test_further_frames_of_the_images_are_counted_and_strict_allows_them(encoder, table):
    data = table("file,text", "red.png,a red thing", "blue.png,a blue thing", "moving.gif,two things")
    first = Image.new("RGB", (20, 20), "red")
    first.save(data.parent / "moving.gif", save_all=True, append_images=[Image.new("RGB", (20, 20), "blue")] * 3)
    first.save(data.parent / "red.png", save_all=True, append_images=[Image.new("RGB", (20, 20), "white")])
    report = evaluate(encoder, data, strict=True)
    frames = Image.open(data.parent / "moving.gif").n_frames
    assert report["lost"] == {"further pages or frames of images": frames - 1 + 1}
    assert any("of which the first is read" in problem for problem in report["problems"])
