"""Zero-shot classification by class names: which label, how sure, and what is counted."""

import io
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
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
    [([], "at least one"), (["red", " "], "empty"), ("red", "as a list of names")],
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


def test_templates_as_clip_benchmark_and_as_clip_write_them(encoder, table, tmp_path):
    (tmp_path / "c.txt").write_text("a photo of a {c}.\na {} thing\n", encoding="utf-8-sig")
    (tmp_path / "list.json").write_text('["a bad photo of a {}.", "a {c}"]')
    assert read_templates(tmp_path / "c.txt") == ("a photo of a {c}.", "a {} thing")
    assert read_templates(tmp_path / "list.json") == ("a bad photo of a {}.", "a {c}")
    same = [embed_labels(encoder, ["red", "ice_blue"], (template,)) for template in ("a {c} wall", "a {} wall")]
    np.testing.assert_array_equal(*same)
    for bad in ('{"imagenet": []}', "[3]"):
        (tmp_path / "bad.json").write_text(bad)
        with pytest.raises(OpenAlignError, match="must hold a JSON list of templates"):
            read_templates(tmp_path / "bad.json")
    for twice in ("{c} and {}", "{c} {c}", "{d}", "{ {c}"):
        with pytest.raises(OpenAlignError, match="once, for the class name"):
            embed_labels(encoder, ["red"], (twice,))


def test_classes_are_counted_so_that_a_name_may_occur_twice(encoder, table):
    """Of two classes with one name the first is answered, as the argmax of other evaluations does."""
    names = ["red", "blue", "red", "green"]
    data = table("file,label", "red-1.png,0", "red-2.png,2", "red-3.png,2", "blue.png,1", "green.png,3")
    report = evaluate(encoder, data, protocol="zero-shot", labels=names)
    assert report["labels"] == 4
    assert report["metrics"]["classes"] == {
        "red (0)": {"count": 1, "top1": 1.0}, "blue": {"count": 1, "top1": 1.0},
        "red (2)": {"count": 2, "top1": 0.0}, "green": {"count": 1, "top1": 1.0},
    }  # fmt: skip
    assert report["metrics"]["top1"] == pytest.approx(3 / 5)
    scores = encoder.embed_images([picture((220, 30, 30))]) @ embed_labels(encoder, names).T
    assert scores[0].argmax() == 0
    [found] = classify(encoder, [picture((220, 30, 30))], names)
    assert [name for name, _ in found][:2] == ["red", "red"]


def test_folders_named_by_ids_are_evaluated_by_the_names_of_a_table(encoder, tmp_path):
    for folder, rgb in {"n02012849": (220, 30, 30), "n03126707": (40, 50, 220)}.items():
        (tmp_path / "data" / folder).mkdir(parents=True)
        picture(rgb).save(tmp_path / "data" / folder / "a.png")
    with pytest.raises(OpenAlignError, match=r"holds ids such as 'n02012849'.*--label-file"):
        evaluate(encoder, tmp_path / "data", protocol="zero-shot")
    for names in (tmp_path / "elsewhere.csv", tmp_path / "names.csv"):  # the second is found without being named, too
        names.write_text("folder,name\nn02012849,red\nn03126707,blue\nn01440764,green\n")
        report = evaluate(encoder, tmp_path / "data", protocol="zero-shot", labels=names)
        assert report["metrics"]["classes"] == {"red": {"count": 1, "top1": 1.0}, "blue": {"count": 1, "top1": 1.0}}
        assert (report["labels"], report["metrics"]["top1"]) == (3, 1.0)


def test_two_folders_with_one_name_are_two_classes(encoder, tmp_path):
    for folder, rgb in {"0": (220, 30, 30), "1": (40, 50, 220), "2": (220, 30, 30)}.items():
        (tmp_path / "data" / folder).mkdir(parents=True)
        picture(rgb).save(tmp_path / "data" / folder / "a.png")
    (tmp_path / "data" / "classnames.txt").write_text("red\nblue\nred\n")
    report = evaluate(encoder, tmp_path / "data", protocol="zero-shot")
    shares = {name: row["top1"] for name, row in report["metrics"]["classes"].items()}
    assert shares == {"red (0)": 1.0, "blue": 1.0, "red (2)": 0.0}
    assert report == evaluate(encoder, tmp_path / "data", protocol="zero-shot", labels=["red", "blue", "red"])


def test_numbers_of_a_dataset_that_names_them_are_classes_by_number(encoder, tmp_path):
    names = ["red", "blue", "red"]
    features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
    stored = []
    for rgb in ((220, 30, 30), (40, 50, 220), (220, 30, 30)):
        stream = io.BytesIO()
        picture(rgb).save(stream, "PNG")
        stored.append({"bytes": stream.getvalue(), "path": None})
    table = pa.table({"image": stored, "label": pa.array([0, 1, 2])})
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "data.parquet")
    report = evaluate(encoder, tmp_path / "data.parquet", protocol="zero-shot")
    assert set(report["metrics"]["classes"]) == {"red (0)", "blue", "red (2)"}


def test_names_in_the_column_and_twice_in_the_list_are_one_class(encoder, table):
    data = table("file,label", "red.png,red", "blue.png,blue")
    report = evaluate(encoder, data, protocol="zero-shot", labels=["red", "blue", "red"])
    assert (report["labels"], report["metrics"]["top1"]) == (2, 1.0)
    assert "'red' count as one" in report["problems"][0]


def test_images_that_cannot_be_read_are_problems_where_the_caller_asks_for_them(encoder, tmp_path):
    picture((220, 30, 30)).save(tmp_path / "a.png")
    (tmp_path / "empty.jpg").touch()
    images = [tmp_path / "empty.jpg", tmp_path / "a.png", b"no image", picture((40, 50, 220))]
    problems: list[str] = []
    found = classify(encoder, images, ["red", "blue"], problems=problems)
    assert [labels[0][0] if labels else None for labels in found] == [None, "red", None, "blue"]
    assert problems == [f"{tmp_path / 'empty.jpg'}: empty file", "image 2: not a raster image"]
    with pytest.raises(OpenAlignError, match=r"empty\.jpg: empty file"):
        classify(encoder, images, ["red", "blue"])
    problems.clear()
    assert classify(encoder, images[:1] * 70, ["red"], problems=problems) == [[]] * 70
    assert len(problems) == 70


def test_templates_that_are_not_a_regular_file_are_refused_unopened(tmp_path):
    os.mkfifo(tmp_path / "fifo.txt")
    (tmp_path / "large.txt").write_bytes(b"a {}\n" * 300_000)
    for odd in (tmp_path / "fifo.txt", Path("/dev/zero"), tmp_path):
        with pytest.raises(OpenAlignError, match="is not a regular file"):
            read_templates(odd)
    with pytest.raises(OpenAlignError, match=r"large\.txt: has 1,500,000 bytes"):
        read_templates(tmp_path / "large.txt")
