"""Exit statuses: 2 for usage errors, 1 for failures, each with one error message and no traceback."""

import shlex

import pytest
from typer.testing import CliRunner

from openalign.commands.cli import app

CURATE = "curate photos.csv --to curated"
TRAIN = "train laptop --to run"
EVALUATE = "evaluate model photos.csv"
USAGE_ERRORS = [
    *("nonsense", "--nonsense"),
    *("curate --to curated", "curate photos.csv", f"{CURATE} --nonsense"),
    *(f"{CURATE} --set min_words", f"{CURATE} --set min_wrods=2", f"{CURATE} --set =2"),
    *(f"{CURATE} --set min_words=few", f"{CURATE} --set vocabulary=0", f"{CURATE} --set text_from=altt"),
    *(f"{CURATE} --recipe curate-papers", f"{CURATE} --recipe laptop", f"{CURATE} --set base_url=example.org"),
    *(f"{CURATE} --set min_words=1 --set min_words=2", f"{CURATE} --set min_words=1 --set text.min_words=2"),
    *(f"{CURATE} --image-column file --set image_column=a", f"{CURATE} --text-column t --set tables.text_column=t"),
    *(f"{CURATE} --unsafe-images nudenet --set unsafe.unsafe_images=m", f"{CURATE} --set languages=3"),
    *(f"{CURATE} --engine sparkle", f"{CURATE} --retry all", f"{CURATE} --workers 0", f"{CURATE} --workers many"),
    *(
        f"{CURATE} --memory much",
        f"{CURATE} --memory 1MB",
        f"{CURATE} --cache-limit much",
        f"{CURATE} --master spark://head:7077",
    ),
    *("tokenizer photos.csv", "tokenizer photos.csv --to t --size few", "tokenizer photos.csv --to t --where split"),
    *("train", "train --resume", "train --to run", f"{TRAIN} --set steps", f"{TRAIN} --change steps=5"),
    *("train laptp --to run", "train curate-paper --to run", f"{TRAIN} --set steps=5 --set steps=6"),
    *("train --to run --resume --set steps=5 --change steps=6", f"{EVALUATE} --where a=1 --where a=2"),
    *(f"{TRAIN} --set stpes=5", f"{TRAIN} --set steps=few", f"{TRAIN} --set optimizer.nonsense=1"),
    *("report", "report run-1 run-2"),
    *("evaluate model", f"{EVALUATE} --protocol both", f"{EVALUATE} --where split", f"{EVALUATE} --batch-size 0"),
    *("classify model a.png", "classify model a.png --labels ''", "classify model a.png --labels red,,blue"),
    *("classify model a.png --labels red --labels blue", f"{EVALUATE} --batch-size 4 --batch-size 4"),
    *("classify model a.png --labels '\"red'", "classify model a.png --labels red --label-file f.txt"),
    f"{EVALUATE} --protocol zero-shot --labels red --label-file f.txt",
    *("index photos.csv --to photos.index", "index photos.csv --model model"),
    *("search photos.index", "search photos.index ''", "search photos.index red --top 0"),
    *("search photos.index 'red - '", "search photos.index 'red + img:'", "search photos.index row:red"),
    *("serve", "serve photos.index --port 70000", "serve photos.index --port http"),
    *("scales large", "demo --scenes 5", "demo --seed -1"),
]
FAILURES = [
    *("curate none.warc.gz --to curated", "tokenizer none.csv --to t", "train none.toml --to run", "report none"),
    *("evaluate none photos.csv", "evaluate none none.csv", "classify none a.png --labels red,blue"),
    *("index photos.csv --model none --to photos.index", "search none.index red", "serve none.index --port 0"),
    *("export none --to onnx", f"{EVALUATE} --image-column none", f"{CURATE} --text-column none"),
]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch, paint):
    paint(tmp_path / "a.png", "red")
    (tmp_path / "photos.csv").write_text("file,text\na.png,a red wall\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ended(typed: str):
    done = CliRunner().invoke(app, shlex.split(typed), prog_name="openalign")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.stdout == ""
    return done


@pytest.mark.parametrize("typed", USAGE_ERRORS)
def test_usage_errors_end_with_2_and_the_usage_and_write_nothing(folder, typed):
    done = ended(typed)
    assert done.exit_code == 2, done.output
    assert done.stderr.lstrip().startswith("Usage: openalign") and "Error" in done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["a.png", "photos.csv"]


@pytest.mark.parametrize("typed", FAILURES)
def test_failures_end_with_1_and_one_error_message(typed):
    done = ended(typed)
    assert done.exit_code == 1, done.output
    message = done.stderr.splitlines()[-1]
    assert (message.startswith("openalign: ") and "none" in message) or "model" in message


def test_a_usage_error_shows_the_usage_of_its_command():
    done = ended(f"{CURATE} --memory much")
    assert "Usage: openalign curate" in done.stderr and "give a number and a unit" in done.stderr


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("search photos.index red --top 0", "it must be at least 1."),
        ("serve photos.index --port 70000", "it must be at most 65,535."),
        ("tokenizer photos.csv --to t --size few", "it must be a whole number."),
        (f"{EVALUATE} --protocol both", "'both' is not one of 'retrieval', 'zero-shot'."),
        ("classify model a.png --labels red --labels blue", "it takes one value, and is given twice: leave one."),
    ],
)
def test_what_a_value_of_an_option_must_be_is_told_in_our_words(typed, told):
    shown = " ".join(line.strip("│ ") for line in ended(typed).stderr.splitlines())
    assert told in shown and "Input should" not in shown and "Value error" not in shown
