"""Bad input, as users have it: one clear message, a non-zero exit, nothing half-written; a bad record is counted."""

import gzip
import io
import json
import shutil
import struct
import zlib
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from openalign.commands.cli import app
from tests.conftest import with_settings

pytestmark = pytest.mark.slow


def type_in(*arguments: object):
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="openalign")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception  # a traceback is a bug
    return done


def refusal(*arguments: object, to: Path | None = None) -> str:
    """The one error message that a command ends with; `to`, where it would have written, must not be there."""
    done = type_in(*arguments, *(("--to", to) if to else ()))
    assert done.exit_code == 1, done.output
    assert done.stdout == ""
    message = done.stderr.splitlines()[-1]
    assert message.startswith("openalign: ")
    if to:
        assert not to.exists()
        assert not list(to.parent.glob(f".{to.name}*")), "a half-written output is left"
    return message


@pytest.fixture
def jpeg(tmp_path: Path) -> bytes:
    path = tmp_path / "whole.jpg"
    Image.effect_noise((300, 260), 60).convert("RGB").save(path, quality=90)
    return path.read_bytes()


@pytest.fixture
def photos(tmp_path: Path, paint, jpeg: bytes) -> Path:
    """A table of two good photos and three bad ones: torn in the middle, far too many pixels, not there."""
    folder = tmp_path / "photos"
    paint(folder / "red.png", "red", size=(320, 240))
    paint(folder / "blue.png", "blue", size=(320, 250), shape="rectangle")
    (folder / "torn.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (folder / "huge.png").write_bytes(png_of_zeros(30_000, 30_000))
    rows = ["file,text", "red.png,a wide red wall", "torn.jpg,a torn photo of noise", "blue.png,a blue wall at night",
            "huge.png,a wall without any end", "gone.png,a wall that is gone"]  # fmt: skip
    (folder / "photos.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder / "photos.csv"


def png_of_zeros(width: int, height: int) -> bytes:
    """A valid black PNG, one bit a pixel, that is a thousand times larger decoded than stored."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    packer = zlib.compressobj(1)
    row = bytes(1 + width // 8)
    pixels = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def warc(path: Path, jpeg: bytes, pages: int) -> Path:
    """A crawl of `pages` pages with one image each, every record a gzip member of its own."""
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=True)

        def respond(url: str, kind: str, body: bytes) -> None:
            headers = StatusAndHeaders("200 OK", [("Content-Type", kind)], protocol="HTTP/1.1")
            writer.write_record(writer.create_warc_record(url, "response", io.BytesIO(body), http_headers=headers))

        for number in range(pages):
            html = f'<img src="/{number}.jpg" alt="a photo of noise number {number}">'
            respond(f"http://site.example/{number}.html", "text/html; charset=utf-8", html.encode())
            respond(f"http://site.example/{number}.jpg", "image/jpeg", jpeg + bytes(number))
    return path


# An empty source, and one without images.


@pytest.mark.parametrize("command", ["curate", "tokenizer", "index", "evaluate"])
def test_an_empty_table_is_named(command, road, tmp_path):
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    arguments = {
        "curate": ["curate", empty],
        "tokenizer": ["tokenizer", empty],
        "index": ["index", empty, "--model", road.run / "model"],
        "evaluate": ["evaluate", road.run / "model", empty],
    }[command]
    assert "empty.csv" in refusal(*arguments, to=tmp_path / "out" if command != "evaluate" else None)


@pytest.mark.parametrize("command", ["curate", "index", "evaluate"])
def test_a_folder_without_images_is_named(command, road, tmp_path):
    folder = tmp_path / "letters"
    folder.mkdir()
    (folder / "letter.txt").write_text("only words")
    arguments = {
        "curate": ["curate", folder],
        "index": ["index", folder, "--model", road.run / "model"],
        "evaluate": ["evaluate", road.run / "model", folder],
    }[command]
    message = refusal(*arguments, to=tmp_path / "out" if command != "evaluate" else None)
    assert "letters" in message and "no" in message


def test_a_source_that_does_not_exist_is_named(tmp_path):
    assert "nowhere.warc.gz" in refusal("curate", tmp_path / "nowhere.warc.gz", to=tmp_path / "out")


def test_a_table_whose_texts_all_break_a_rule_gives_a_report_without_pairs(tmp_path, paint):
    paint(tmp_path / "a.png", "red", size=(320, 240))
    (tmp_path / "words.csv").write_text("file,text\na.png,red\n")
    done = type_in("curate", tmp_path / "words.csv", "--to", tmp_path / "curated")
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "curated" / "report.json").read_text())["pairs"]["kept"] == 0


# A corrupt WARC record.


def test_a_corrupt_warc_record_is_counted_and_listed_and_the_rest_is_kept(tmp_path, jpeg):
    path = warc(tmp_path / "crawl.warc.gz", jpeg, pages=4)
    content = bytearray(path.read_bytes())
    second = content.index(b"\x1f\x8b", 10)
    content[second + 40 : second + 60] = b"\xff" * 20
    path.write_bytes(content)
    done = type_in("curate", path, "--to", tmp_path / "curated", "--set", "vocabulary=1000")
    assert done.exit_code == 0
    report = json.loads((tmp_path / "curated" / "report.json").read_text())
    assert report["problems"]["count"] >= 1
    assert any("crawl.warc.gz" in problem for problem in report["problems"]["first"])
    assert "crawl.warc.gz" in done.stderr


def test_a_warc_file_without_records_is_refused(tmp_path):
    path = tmp_path / "crawl.warc.gz"
    path.write_bytes(gzip.compress(b"nothing of the kind" * 100))
    assert "crawl.warc.gz" in refusal("curate", path, to=tmp_path / "out")


# A truncated JPEG, and a PNG of 30,000 x 30,000 pixels.


def test_curate_drops_bad_images_and_keeps_the_good(photos, tmp_path):
    done = type_in("curate", photos, "--to", tmp_path / "curated", "--set", "vocabulary=1000")
    assert done.exit_code == 0, done.output
    assert pq.read_table(tmp_path / "curated" / "pairs.parquet").num_rows == 2
    dropped = pq.read_table(tmp_path / "curated" / "dropped.parquet").to_pylist()
    reasons = {Path(row["image"]).name: row["reasons"] for row in dropped}
    assert {name: "unreadable_image" in reason for name, reason in reasons.items()} == {
        "torn.jpg": True,
        "huge.png": True,
        "gone.png": True,
    }


@pytest.mark.parametrize("command", ["index", "evaluate"])
def test_bad_images_are_left_out_with_a_message_each(command, photos, road, tmp_path):
    arguments = {
        "index": ["index", photos, "--model", road.run / "model", "--to", tmp_path / "photos.index"],
        "evaluate": ["evaluate", road.run / "model", photos, "--json", tmp_path / "scores.json"],
    }[command]
    done = type_in(*arguments)
    assert done.exit_code == 0, done.output
    said = " ".join(line for line in done.stderr.splitlines() if line.startswith("Left out: "))
    for name in ("torn.jpg", "huge.png", "gone.png"):
        assert said.count(name) >= 1


@pytest.mark.parametrize(("name", "reason"), [("torn.jpg", "truncated"), ("huge.png", "pixels"), ("gone.png", "file")])
def test_a_query_by_a_bad_image_names_it_and_the_problem(photos, road, name, reason):
    image = photos.parent / name
    for arguments in (
        ["search", road.index, "--image", image],
        ["classify", road.run / "model", image, "--labels", "red,blue"],
    ):
        message = refusal(*arguments)
        assert name in message and reason in message


def test_training_replaces_or_leaves_out_bad_images_and_reports_it(photos, road, tmp_path):
    arguments = [*with_settings(road.training, f"data={photos}", "batch_size=4"), "--to", tmp_path / "run"]
    done = type_in(*arguments)
    assert done.exit_code == 0, done.output
    assert "torn.jpg" in done.stderr


# A table without the named columns, and text that is not UTF-8.


@pytest.mark.parametrize("command", ["curate", "tokenizer", "evaluate"])
def test_a_missing_column_is_named_with_the_existing_ones(command, road, tmp_path):
    arguments = {
        "curate": ["curate", road.table],
        "tokenizer": ["tokenizer", road.table],
        "evaluate": ["evaluate", road.run / "model", road.table],
    }[command]
    out = tmp_path / "out" if command != "evaluate" else None
    message = refusal(*arguments, "--text-column", "headline", to=out)
    assert "headline" in message and "photos.csv" in message and "label" in message


def test_a_table_without_usual_columns_is_reported_with_the_option_that_names_them(road, tmp_path):
    (tmp_path / "odd.csv").write_text("a,b\n1,2\n")
    message = refusal("evaluate", road.run / "model", tmp_path / "odd.csv")
    assert "odd.csv" in message and "--image-column" in message


@pytest.mark.parametrize("command", ["curate", "tokenizer"])
def test_a_table_that_is_not_text_is_named_with_the_line(command, tmp_path):
    (tmp_path / "old.csv").write_bytes(b"file,text\n\nb.jpg," + bytes(range(128, 256)) * 40 + b"\n")
    message = refusal(command, tmp_path / "old.csv", to=tmp_path / "out")
    assert "old.csv" in message and "UTF-8" in message and "3" in message


def test_a_text_file_that_is_not_text_is_named(paint, tmp_path):
    paint(tmp_path / "photos" / "a.png", "green").with_suffix(".txt").write_bytes(b"\x00\xff\x80\x01\xfe")
    message = refusal("tokenizer", tmp_path / "photos", to=tmp_path / "tokenizer.json")
    assert "a.txt is not text" in message


# A recipe with an unknown key, a checkpoint of another shape, an index made by another model.


def test_an_unknown_key_in_a_recipe_is_named_with_the_nearest_known_one(road, tmp_path):
    recipe = tmp_path / "mine.toml"
    recipe.write_text('data = "x"\ntokenizer = "y"\nsteps = 5\nbatch_size = 4\n[optimizer]\nlearning_rat = 0.1\n')
    message = refusal("train", recipe, to=tmp_path / "run")
    assert "mine.toml" in message and "`optimizer.learning_rat`" in message and "learning_rate" in message


def test_a_missing_recipe_is_answered_with_the_bundled_ones(tmp_path):
    message = refusal("train", "labtop.toml", to=tmp_path / "run")
    assert "labtop.toml" in message and "Did you mean laptop?" in message
    done = type_in("train", "labtop", "--to", tmp_path / "run")
    assert done.exit_code == 2 and "Did you mean laptop?" in " ".join(done.stderr.split())


def test_a_checkpoint_of_another_shape_is_not_resumed(road, tmp_path):
    run = shutil.copytree(road.run, tmp_path / "run")
    before = sorted(path.relative_to(run) for path in run.rglob("*"))
    change = ("--change", "text_tower.width=64", "--change", "steps=9")
    message = refusal("train", *change, "--to", run, "--resume")
    assert "shape" in message and "run" in message
    assert sorted(path.relative_to(run) for path in run.rglob("*")) == before


def test_a_model_whose_weights_have_another_shape_than_its_configuration_is_refused(road, tmp_path):
    model = shutil.copytree(road.run / "model", tmp_path / "model")
    config = json.loads((model / "config.json").read_text())
    (model / "checksums.json").unlink()  # as one does who edits a model on purpose
    config["projection_dim"] = config["vision_config"]["hidden_dim"] = 12345
    config["text_config"]["num_hidden_layers"] = 7
    (model / "config.json").write_text(json.dumps(config))
    message = refusal("evaluate", model, road.table)
    assert "model.safetensors" in message and "shape" in message


def test_an_index_made_by_another_model_is_not_searched(road, tmp_path):
    model = shutil.copytree(road.run / "model", tmp_path / "model")
    assert type_in("index", road.table, "--model", model, "--to", tmp_path / "photos.index").exit_code == 0
    other = [*road.training, "--set", "seed=7", "--to", tmp_path / "other"]
    assert type_in(*other).exit_code == 0
    shutil.rmtree(model)
    shutil.copytree(tmp_path / "other" / "model", model)
    message = refusal("search", tmp_path / "photos.index", "a red wall")
    assert "photos.index was made by the model" in message and "build the index again" in message
