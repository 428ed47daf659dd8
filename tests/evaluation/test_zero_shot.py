"""Zero-shot classification by class names: which label, how sure, and what is counted."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from openalign.errors import OpenAlignError
from openalign.evaluation.prompts import TEMPLATES, embed_labels, read_templates
from openalign.evaluation.run import evaluate, report_table
from openalign.evaluation.zero_shot import classify


def picture(colour: tuple[int, int, int]) -> Image.Image:
    return Image.new("RGB", (9, 9), colour)


def test_classify_gives_probabilities_by_softmax_of_cosine_over_temperature(encoder):
    labels = ["green", "red", "blue"]
    (found,) = classify(encoder, [picture((220, 30, 30))], labels, templates=("{}",))
    image = encoder.embed_images([picture((220, 30, 30))])[0]
    weights = np.exp(encoder.embed_texts(labels) @ image / encoder.temperature)
    assert found[0][0] == "red"
    assert dict(found) == pytest.approx(dict(zip(labels, weights / weights.sum(), strict=True)), rel=1e-4)
    assert [probability for _, probability in found] == sorted((p for _, p in found), reverse=True)


@pytest.mark.parametrize(
    ("labels", "message"),
    [([], "at least one"), (["red", " "], "empty"), (["red", "blue", "red"], "'red' is given twice")],
)
def test_invalid_labels_are_refused(encoder, labels, message):
    with pytest.raises(OpenAlignError, match=message):
        classify(encoder, [picture((0, 0, 0))], labels)


def test_a_label_is_the_normalized_mean_of_its_prompts(encoder):
    templates = ("{}", "a {} on red")  # the second names another colour first in the encoder's list
    first, second = encoder.embed_texts(["blue", "a blue on red"])
    expected = (first + second) / np.linalg.norm(first + second)
    np.testing.assert_allclose(embed_labels(encoder, ["blue"], templates)[0], expected, rtol=1e-5)


def test_accuracy_over_class_folders(encoder, tmp_path):
    for colour, rgb in {"red": (220, 30, 30), "blue": (40, 50, 220)}.items():
        (tmp_path / colour).mkdir()
        for number in range(3):
            picture(rgb).save(tmp_path / colour / f"{number}.png")
    picture((40, 50, 220)).save(tmp_path / "red" / "in-truth-blue.png")
    report = evaluate(encoder, tmp_path, protocol="zero-shot")
    assert report["metrics"]["top1"] == pytest.approx(6 / 7)
    assert report["metrics"]["mean_per_class"] == pytest.approx((3 / 4 + 1) / 2)
    assert report["metrics"]["classes"] == {"blue": {"count": 3, "top1": 1.0}, "red": {"count": 4, "top1": 0.75}}
    assert report["chance"] == {"top1": 0.5, "top5": 1.0, "mean_per_class": 0.5}
    assert (report["count"], report["labels"], report["templates"]) == (7, 2, len(TEMPLATES))


def test_given_labels_leave_other_rows_out_and_report_it(encoder, table):
    data = table("file,kind", "red.png,red", "blue.png,blue", "green.png,green", "yellow.png,")
    report = evaluate(encoder, data, protocol="zero-shot", label_column="kind", labels=["red", "blue", "violet"])
    assert (report["count"], report["labels"]) == (2, 3)
    assert report["problems"] == ["2 rows whose `kind` is not among the 3 labels were left out."]


def test_a_constant_model_gets_nothing_right(constant_encoder, table):
    data = table("file,label", "red.png,red", "blue.png,blue")
    assert evaluate(constant_encoder, data, protocol="zero-shot")["metrics"]["top1"] == 0.0


def test_a_missing_label_column_is_named_with_the_existing_ones(encoder, table):
    with pytest.raises(OpenAlignError, match=r"no column `label`.*--label-column.*kind"):
        evaluate(encoder, table("file,kind", "red.png,red"), protocol="zero-shot")


def test_templates_come_from_a_file_and_a_bad_line_is_named(encoder, table, tmp_path):
    good, bad, none = (tmp_path / name for name in ("good.txt", "bad.txt", "none.txt"))
    good.write_text("a {} thing\n\n  some {} paint \n", encoding="utf-8")
    bad.write_text("a {} thing\nno place\n", encoding="utf-8")
    none.write_text("\n", encoding="utf-8")
    data = table("file,label", "red.png,red", "blue.png,blue")
    assert evaluate(encoder, data, protocol="zero-shot", templates=good)["templates"] == 2
    assert read_templates(good) == ("a {} thing", "some {} paint")
    with pytest.raises(OpenAlignError, match=r"bad\.txt line 2: .*'no place'"):
        read_templates(bad)
    with pytest.raises(OpenAlignError, match="has no template"):
        read_templates(none)
    with pytest.raises(OpenAlignError, match="cannot be read"):
        read_templates(tmp_path / "missing.txt")


def test_the_printed_table_lists_the_worst_classes_first(encoder, table):
    report = evaluate(
        encoder, table("file,label", "red.png,red", "blue.png,green", "green.png,blue"), protocol="zero-shot"
    )
    console = Console(width=80, file=io.StringIO())
    console.print(report_table(report))
    lines = [line.split()[1] for line in console.file.getvalue().splitlines() if "%" in line]
    assert [line for line in lines if line in ("red", "green", "blue")] == ["blue", "green", "red"]


def test_templates_that_are_not_a_regular_file_are_refused_unopened(tmp_path):
    os.mkfifo(tmp_path / "fifo.txt")
    (tmp_path / "large.txt").write_bytes(b"a {}\n" * 300_000)
    for odd in (tmp_path / "fifo.txt", Path("/dev/zero"), tmp_path):
        with pytest.raises(OpenAlignError, match="is not a regular file"):
            read_templates(odd)
    with pytest.raises(OpenAlignError, match=r"large\.txt: has 1,500,000 bytes"):
        read_templates(tmp_path / "large.txt")
