"""The commands as a user types them: every stage on two dozen drawings, the output and the exit status."""

import json
import os
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

import openalign
from openalign.commands.cli import app
from tests import preloaded
from tests.conftest import with_settings

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "openalign"]


def type_in(*arguments: object, status: int = 0):
    """Run a command in this process; its exit status must be `status`."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="openalign")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == status, done.output
    return done


def test_help_names_every_stage_and_fits_80_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = type_in("--help").stdout
    commands = "curate tokenizer train report evaluate index search classify serve export scales demo"
    for command in commands.split():
        assert command in shown
        help_text = type_in(command, "--help").stdout
        assert max(len(line) for line in help_text.splitlines()) <= 80
        assert "…" not in help_text, f"{command} --help cuts a name off"


def test_version_is_the_packages():
    assert type_in("--version").stdout == f"openalign {openalign.__version__}\n"


def test_an_error_is_one_line_on_standard_error_and_status_1(tmp_path):
    done = type_in("search", tmp_path / "none.index", "a red apple", status=1)
    assert done.stdout == ""
    assert done.stderr.startswith("openalign: ") and len(done.stderr.splitlines()) == 1
    assert "none.index" in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission_is_named(road, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    done = type_in("tokenizer", road.table, "--to", tmp_path / "locked" / "tokenizer.json", status=1)
    assert "locked" in done.stderr and "ermission" in done.stderr


def test_a_file_instead_of_a_folder_is_named(road, tmp_path):
    (tmp_path / "file").write_text("")
    done = type_in("tokenizer", road.table, "--to", tmp_path / "file" / "tokenizer.json", status=1)
    assert f"{tmp_path / 'file'}" in done.stderr


def test_curate_prints_what_each_rule_dropped(tmp_path, paint):
    rows = ["file,text"]
    for number, text in enumerate(["a wide red wall", "a green wall in spring", "wall", ""]):
        rows.append(f"{number}.png,{text}")
        paint(tmp_path / f"{number}.png", "red", size=(250 + 7 * number, 240), shape="rectangle")
    (tmp_path / "photos.csv").write_text("\n".join(rows) + "\n")
    done = type_in("curate", tmp_path / "photos.csv", "--to", tmp_path / "curated", "--workers", 1,
                   "--set", "vocabulary=1000")  # fmt: skip
    assert "word_count" in done.stdout and "2 kept" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    kept = pq.read_table(tmp_path / "curated" / "pairs.parquet")
    assert kept["text"].to_pylist() == ["a wide red wall", "a green wall in spring"]
    again = type_in("tokenizer", tmp_path / "curated", "--to", tmp_path / "t.json", "--size", 60)
    assert "from 2 texts" in again.stderr


def test_train_leaves_a_model_that_the_other_commands_read(road, tmp_path):
    assert (road.run / "model" / "config.json").exists()
    scores = tmp_path / "scores.json"
    done = type_in("evaluate", road.run / "model", road.table, "--json", scores)
    assert "image to text" in done.stdout and "by chance" in done.stdout
    assert set(json.loads(scores.read_text())["metrics"]) == {"image_to_text", "text_to_image"}
    done = type_in("evaluate", road.run / "model", road.table, "--protocol", "zero-shot", "--where", "label=red",
                   "--labels", "red,green,blue", "--json", scores)  # fmt: skip
    assert json.loads(scores.read_text())["count"] == 4


@pytest.mark.slow
def test_interrupted_training_is_reported_and_continues_with_resume(road, tmp_path):
    run = tmp_path / "run"
    typed = [*COMMAND, *map(str, with_settings(road.training, "steps=100000")), "--to", str(run)]
    started = preloaded.Popen(typed, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 100
    while not (run / "log.jsonl").exists() or not (run / "log.jsonl").read_text():
        assert started.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=100)
    assert started.returncode == 130
    assert "--resume" in said and said.endswith("openalign: stopped\n") and "Traceback" not in said
    reached = len((run / "log.jsonl").read_text().splitlines())
    type_in("train", "--to", run, "--resume", "--change", f"steps={reached + 2}")
    assert len((run / "log.jsonl").read_text().splitlines()) == reached + 2


def test_search_prints_a_table_or_one_json_object(road, monkeypatch):
    monkeypatch.chdir(road.table.parent)
    done = type_in("search", road.index, "a red wall", "--top", 3)
    assert ".png" in done.stdout and "score" in done.stdout and str(road.table.parent) not in done.stdout
    done = type_in("search", road.index, "a red wall", "--plus", "number", "--minus", "blue", "--top", 3, "--json")
    found = json.loads(done.stdout)
    terms = [{"text": "a red wall", "weight": 1}, {"text": "number", "weight": 1}, {"text": "blue", "weight": -1}]
    assert found["query"] == {
        "text": "a red wall",
        "image": None,
        "plus": ["number"],
        "minus": ["blue"],
        "where": [],
        "top": 3,
        "sort": "score",
        "fold": True,
        "against": "image",
        "terms": terms,
    }
    assert len(found["hits"]) == 3
    also = {"row", "texts", "page", "date", "alike", "caption"}
    assert set(found["hits"][0]) == {"image", "text", "score", "within", *also}
    assert found["nothing_matches"] == (not any(hit["within"] for hit in found["hits"]))
    assert found["hits"][0]["score"] >= found["hits"][2]["score"]


def test_search_by_an_image_finds_the_image_itself(road):
    done = type_in("search", road.index, "--image", road.table.parent / "0-red.png", "--top", 24, "--json")
    hits = json.loads(done.stdout)["hits"]
    assert next(hit["score"] for hit in hits if hit["image"].endswith("0-red.png")) == pytest.approx(1, abs=1e-3)


def test_search_takes_images_texts_and_weights_in_one_argument(road, monkeypatch):
    monkeypatch.chdir(road.table.parent)
    done = type_in("search", road.index, "img:0-red.png + 0.5*a wall - row:2", "--minus", "a - b", "--json")
    assert json.loads(done.stdout)["query"]["terms"] == [
        {"image": "0-red.png", "weight": 1},
        {"text": "a wall", "weight": 0.5},
        {"row": 2, "weight": -1},
        {"text": "a - b", "weight": -2},
    ]
    assert 2 not in [hit["row"] for hit in json.loads(done.stdout)["hits"]]


def test_classify_gives_probabilities_that_sum_to_one(road):
    image = road.table.parent / "0-red.png"
    done = type_in("classify", road.run / "model", image, "--labels", "red, green,blue", "--json")
    (found,) = json.loads(done.stdout)["images"]
    assert found["image"] == str(image)
    assert sum(label["probability"] for label in found["labels"]) == pytest.approx(1)
    assert "%" in type_in("classify", road.run / "model", image, "--labels", "red,green").stdout


def test_classify_answers_for_what_it_can_read_and_tells_of_the_rest(road, tmp_path):
    photo, empty = tmp_path / "a.avif", tmp_path / "empty.jpg"
    Image.new("RGB", (40, 30), "red").save(photo)
    empty.touch()
    model = road.run / "model"
    done = type_in("classify", model, photo, empty, "--labels", "red,green", status=1)
    assert "a.avif" in done.stdout and "%" in done.stdout and "empty.jpg" not in done.stdout
    assert f"1 of 2 images could not be labelled, the first: {empty}: empty file" in done.stderr.replace("\n", " ")
    done = type_in("classify", model, empty, photo, tmp_path / "gone.png", "--labels", "red,green", "--json", status=1)
    found = json.loads(done.stdout)
    assert [each["image"] for each in found["images"]] == [str(photo)]
    assert [name in problem for name, problem in zip(("empty.jpg", "gone.png"), found["problems"], strict=True)]
    assert type_in("classify", model, empty, "--labels", "red,green", status=1).stdout == ""


def test_labels_come_from_a_file_and_a_name_with_a_comma_is_one(road, tmp_path):
    (tmp_path / "names.txt").write_text("red\nBonaire, Saint Eustatius and Saba\nred\n")
    image, model = road.table.parent / "0-red.png", road.run / "model"
    done = type_in("classify", model, image, "--label-file", tmp_path / "names.txt", "--json")
    (found,) = json.loads(done.stdout)["images"]
    names = sorted(each["label"] for each in found["labels"])
    assert names == ["Bonaire, Saint Eustatius and Saba", "red", "red"]
    done = type_in("classify", model, image, "--labels", 'red,"Bonaire, Saint Eustatius and Saba"', "--json")
    assert len(json.loads(done.stdout)["images"][0]["labels"]) == 2
    (tmp_path / "map.csv").write_text("value,name\nred,crimson\nblue,azure\n")
    zero_shot = ["evaluate", model, road.table, "--protocol", "zero-shot", "--json", tmp_path / "e.json"]
    type_in(*zero_shot, "--label-file", tmp_path / "map.csv")
    assert set(json.loads((tmp_path / "e.json").read_text())["metrics"]["classes"]) == {"crimson", "azure"}


def test_scales_lists_both_families(monkeypatch):
    # The largest tower takes seconds to count.
    monkeypatch.setattr("openalign.model.scales.IMAGE_TOWERS", {"b0": (1.0, 1.0, 224)})
    shown = type_in("scales").stdout
    assert "b0" in shown and "large" in shown
    assert max(len(line) for line in shown.splitlines()) <= 80


@pytest.mark.slow
def test_a_closed_pipe_ends_the_command_quietly(road):
    typed = " ".join([*COMMAND, "search", str(road.index), "wall", "--top", "24", "--json"])
    done = subprocess.run(["bash", "-c", f"{typed} | true"], capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr
