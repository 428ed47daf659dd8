"""Retrieval counts any match, embeds each thing once, and leaves unreadable images out by name."""

import io

import pytest
from rich.console import Console

from openalign.evaluation.run import evaluate, report_table


def printed_at_80_columns(report) -> str:
    console = Console(width=80, file=io.StringIO())
    console.print(report_table(report))
    return console.file.getvalue()


def test_an_encoder_that_knows_every_pair_reaches_rank_one_both_ways(encoder, table):
    data = table("file,text", *(f"{colour}.png,something {colour}" for colour in ("red", "green", "blue", "yellow")))
    report = evaluate(encoder, data)
    for direction in ("image_to_text", "text_to_image"):
        assert report["metrics"][direction] == {"R@1": 1.0, "R@5": 1.0, "R@10": 1.0, "median_rank": 1.0}
        assert report["chance"][direction]["R@1"] == pytest.approx(0.25)
        assert report["chance"][direction]["median_rank"] == 2
    assert (report["count"], report["images"], report["texts"]) == (4, 4, 4)
    assert (report["protocol"], report["model"], report["data"]) == ("retrieval", "paint", str(data))


def test_any_of_an_images_captions_is_a_hit_and_every_caption_is_a_query(encoder, table):
    data = table(
        "file,text",
        "red.png,a red thing",
        "red.png,a violet shade",  # nearest to the blue picture: no hit as a query, no harm as a candidate
        "green.png,a green thing",
        "blue.png,a blue thing",
    )
    report = evaluate(encoder, data)
    assert report["metrics"]["image_to_text"]["R@1"] == 1.0
    assert report["metrics"]["text_to_image"]["R@1"] == pytest.approx(3 / 4)
    assert (report["images"], report["texts"]) == (3, 4)


def test_any_image_of_a_shared_text_is_a_hit(encoder, table):
    data = table(
        "file,text", "red-1.png,a red cup", "red-2.png,a red cup", "red-3.png,a red cup", "blue.png,a blue cup"
    )
    report = evaluate(encoder, data)
    assert report["metrics"]["text_to_image"]["R@1"] == 1.0
    assert report["metrics"]["image_to_text"]["R@1"] == 1.0
    assert report["chance"]["text_to_image"]["R@1"] == pytest.approx((3 / 4 + 1 / 4) / 2)


def test_a_constant_model_scores_no_better_than_chance(constant_encoder, table):
    data = table("file,text", *(f"red-{n}.png,text number {n}" for n in range(30)))
    report = evaluate(constant_encoder, data)
    for direction in ("image_to_text", "text_to_image"):
        assert report["metrics"][direction]["R@10"] <= report["chance"][direction]["R@10"]
        assert report["metrics"][direction]["median_rank"] == 30


def test_unreadable_images_and_rows_without_a_text_are_left_out_and_listed(encoder, table, tmp_path):
    data = table("file,text", "red.png,a red thing", "torn.jpg,a torn thing", "gone.png,a lost thing", "blue.png,",
                 "green.png,a green thing")  # fmt: skip
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 torn off")
    report = evaluate(encoder, data)
    assert report["count"] == 2
    assert report["metrics"]["image_to_text"]["R@1"] == 1.0
    assert len(report["problems"]) == 3
    for name in ("torn.jpg", "gone.png", "blue.png"):
        assert any(name in problem for problem in report["problems"])


def test_each_image_is_embedded_once_however_many_captions_it_has(encoder, table, monkeypatch):
    read = []
    prepare = encoder.prepare
    monkeypatch.setattr(encoder, "prepare", lambda image: read.append(len(image)) or prepare(image))
    evaluate(encoder, table("file,text", *(f"red.png,a red thing {n}" for n in range(5)), "blue.png,a blue thing"))
    assert len(read) == 2


def test_the_printed_table_fits_80_columns_and_shows_percent(encoder, table):
    report = evaluate(encoder, table("file,text", "red.png,a red thing", "blue.png,a blue thing"))
    printed = printed_at_80_columns(report)
    assert "100.0 %" in printed and "by chance" in printed and "…" not in printed
    assert max(len(line) for line in printed.splitlines()) <= 80
