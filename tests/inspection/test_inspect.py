"""`inspect`: how data would be read, and what would be left out."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

import openalign
from openalign.commands.cli import app
from openalign.data.pairs.open import open_pairs
from openalign.errors import OpenAlignError, UsageError
from openalign.inspection import counts, reading, samples
from openalign.inspection.page import render_page


def jpeg(colour: str, size: tuple[int, int] = (40, 30)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Six rows: one without a text, one whose image is missing, one with a field too many."""
    for name, size in (("a", (40, 30)), ("b", (80, 60)), ("c", (40, 30)), ("e", (40, 30))):
        (tmp_path / f"{name}.jpg").write_bytes(jpeg("red", size))
    rows = ["a,a red apple,fruit", "b,a red boat,toy", "c,,toy", "d,a red house,toy", "e,a dog,pet", "e,a dog,pet,more"]
    lines = ["file_name,caption,label", *(f"{row[0]}.jpg{row[1:]}" for row in rows)]
    (tmp_path / "photos.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path / "photos.csv"


def run(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["inspect", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.slow
def test_columns_rows_and_losses_are_those_of_the_commands(table):
    found = openalign.inspect(table)
    assert (found.layout, found.rows) == ("table", len(open_pairs(table))) == ("table", 4)
    assert found.columns == {"image": "file_name", "text": "caption", "label": "label"}
    assert found.lost == {
        "rows without a text": 1,
        "rows that cannot be parsed": 1,
        "images that cannot be read": 1,
    }
    assert any("photos.csv row 4 (d.jpg)" in problem for problem in found.problems)


def test_sizes_are_those_of_the_images(table):
    sizes = openalign.inspect(table).sizes
    assert (sizes.images, sizes.formats) == (3, {"jpeg": 3})
    assert (sizes.width.least, sizes.width.median, sizes.width.most) == (40, 40, 80)
    assert sizes.file_bytes.least == min(len(path.read_bytes()) for path in table.parent.glob("[abe].jpg"))


def test_json_is_one_object_and_nothing_else_on_standard_output(table):
    status, out, _ = run(table, "--json")
    content = json.loads(out)
    assert status == 0
    assert content["lost"] == openalign.inspect(table).lost
    assert content["columns"]["text"] == "caption"
    assert {"layout", "rows", "columns", "splits", "lost"} <= content.keys()


def test_the_terminal_says_how_and_what_is_left_out(table):
    status, out, _ = run(table)
    assert status == 0
    assert "read as: table, 4 rows (image: file_name, text: caption, label: label)" in out
    assert "1 rows without a text" in out
    assert "a red boat" in out
    assert "▀" not in out  # pictures only on a terminal


def test_strict_ends_with_an_error_after_the_output(table):
    status, out, _ = run(table, "--json", "--strict")
    assert status == 1
    assert json.loads(out)["rows"] == 4


def test_other_columns_can_be_taken(table):
    assert openalign.inspect(table, text_column="label").rows == 5
    with pytest.raises(OpenAlignError, match="no column 'words'"):
        openalign.inspect(table, text_column="words")


def test_several_splits_are_described_and_one_can_be_chosen(tmp_path):
    for split, names in (("train", "abc"), ("test", "de")):
        (tmp_path / split).mkdir()
        for name in names:
            (tmp_path / split / f"{name}.jpg").write_bytes(jpeg("blue"))
            (tmp_path / split / f"{name}.txt").write_text(f"a picture called {name}")
    found = openalign.inspect(tmp_path)
    assert (found.rows, found.splits) == (5, {"train": 3, "test": 2})
    assert any("--split train" in note or "--split test" in note for note in found.notes)
    assert openalign.inspect(tmp_path, split="test").rows == 2
    assert openalign.inspect(tmp_path, split="all").rows == 5
    with pytest.raises(UsageError, match="no split 'validation'"):
        openalign.inspect(tmp_path, split="validation")


def test_a_column_that_tells_splits_is_described_too(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.jpg").write_bytes(jpeg("green"))
    (tmp_path / "t.csv").write_text("image,text,split\na.jpg,an apple,train\nb.jpg,a boat,train\nc.jpg,a cat,val\n")
    found = openalign.inspect(tmp_path / "t.csv")
    assert (found.rows, found.splits) == (3, {"train": 2, "val": 1})
    assert openalign.inspect(tmp_path / "t.csv", split="val").rows == 1


def test_images_without_texts_are_data_for_an_index(tmp_path):
    for name in ("IMG_1.jpg", "IMG_2.jpg"):
        (tmp_path / name).write_bytes(jpeg("red"))
    (tmp_path / "IMG_3.JXL").write_bytes(b"\xff\x0a\xfa\x7f")
    found = openalign.inspect(tmp_path)
    assert found.rows == 2
    assert found.lost["images of a format that is not read"] == 1
    assert any("no texts" in note for note in found.notes)


def test_images_at_urls_are_said_to_be_fetched_by_curate(tmp_path):
    (tmp_path / "t.tsv").write_text("image\ttext\nhttps://example.org/a.jpg\tan apple\nhttps://example.org/b.jpg\tb\n")
    found = openalign.inspect(tmp_path / "t.tsv")
    assert found.rows == 2
    assert found.sizes is None
    assert any("`openalign curate` fetches" in note for note in found.notes)
    assert not found.lost


@pytest.mark.slow
def test_what_is_no_data_is_named_with_the_command_for_it(road, tmp_path):
    assert openalign.inspect(road.index).layout == "index"
    assert openalign.inspect(road.index).rows == 24
    run_folder = openalign.inspect(road.run)
    assert run_folder.layout == "run"
    assert "photos.csv" in run_folder.notes[0]
    assert openalign.inspect(road.run / "model").layout == "model"
    (tmp_path / "crawl.warc.gz").write_bytes(b"\x1f\x8b")
    for crawl in (tmp_path, tmp_path / "crawl.warc.gz"):
        found = openalign.inspect(crawl)
        assert (found.layout, found.rows) == ("crawl", None)
        assert "openalign curate" in found.notes[0]
    assert run(tmp_path)[0] == 0


def test_pages_are_said_to_be_read_by_curate_where_they_are(road, tmp_path):
    for folder in ("site", "shards"):
        (tmp_path / folder / "below").mkdir(parents=True)
        (tmp_path / folder / "below" / "README.md").write_text("![a](a.jpg)")
        (tmp_path / folder / "a.jpg").write_bytes(jpeg("red"))
    (tmp_path / "shards" / "pairs.csv").write_text("image,text\na.jpg,red\n")
    said = {each: "web pages" in str(openalign.inspect(tmp_path / each).notes) for each in ("site", "shards")}
    assert said == {"site": True, "shards": False}


def test_what_does_not_exist_or_holds_nothing_is_an_error(tmp_path):
    assert run(tmp_path / "none")[0] == 1
    (tmp_path / "a.bin").write_bytes(b"x")
    with pytest.raises(OpenAlignError, match="neither a folder nor a table"):
        openalign.inspect(tmp_path / "a.bin")


def test_the_page_holds_its_pictures_and_escapes_texts(table, tmp_path):
    table.write_text(table.read_text().replace("a red apple", "<script>alert(1)</script>"))
    page = render_page(openalign.inspect(table))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert page.count("data:image/jpeg;base64,") >= 3
    assert run(table, "--html", tmp_path / "out.html")[0] == 0
    assert "rows without a text" in (tmp_path / "out.html").read_text()


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz", ".jsonl", ".parquet"])
def test_large_tables_are_counted_as_they_are_read(tmp_path, monkeypatch, suffix):
    rows = 2_000
    names = [f"images/{row}.jpg" for row in range(rows)]
    texts = ["" if row % 7 == 0 else f'number {row}, "quoted"' for row in range(rows)]
    file = tmp_path / f"t{suffix}"
    content = pa.table({"image": names, "text": texts})
    if suffix == ".parquet":
        pq.write_table(content, file, row_group_size=300)
    elif suffix == ".jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in content.to_pylist()))
    else:
        between = "\t" if suffix == ".tsv" else ","
        lines = [between.join(("image", "text"))]
        quoted = ['"' + text.replace('"', '""') + '"' for text in texts]
        lines += [between.join(pair) for pair in zip(names, quoted, strict=True)]
        with pa.output_stream(str(file)) as out:
            out.write("\n".join(lines).encode())
    whole = openalign.inspect(file)
    monkeypatch.setattr(counts, "_HEAD_BYTES", 4_000)
    monkeypatch.setattr(counts, "_HEAD_ROWS", 512)
    monkeypatch.setattr(reading, "LARGE_BYTES", 1_000)
    large = openalign.inspect(file)
    assert large.columns == whole.columns
    if suffix != ".jsonl":  # whose texts are looked at in the first rows only
        assert large.rows == whole.rows == sum(bool(text) for text in texts)
        assert large.lost["rows without a text"] == whole.lost["rows without a text"]
    assert any("the first" in note for note in large.notes)


def test_many_shards_are_counted_by_their_indexes(tmp_path):
    from openalign.data.shards.writer import ShardWriter

    with ShardWriter(tmp_path / "shards", 3) as shards:
        for number in range(120):
            shards.write(f"{number:04d}", jpeg("red"), f"a red picture {number}", {})
    found = openalign.inspect(tmp_path / "shards")
    assert found.rows == 120
    assert any("8 of 40 shards were read" in note for note in found.notes)


def test_a_cut_off_tar_is_told(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for number in range(4):
            for suffix, data in ((".jpg", jpeg("red") * 3), (".txt", b"a red picture")):
                info = tarfile.TarInfo(f"{number}{suffix}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    whole = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(whole[: int(len(whole.rstrip(b"\0")) * 0.6)])
    found = openalign.inspect(tmp_path / "a.tar")
    assert 0 < found.rows < 4
    assert "samples lost where a file is cut off" in found.lost


def test_pictures_in_a_terminal_have_the_colours_of_the_image():
    from openalign.commands.output.thumbnails import picture

    halves = np.zeros((40, 80, 3), np.uint8)
    halves[:20] = (250, 0, 0)
    halves[20:] = (0, 0, 250)
    file = io.BytesIO()
    Image.fromarray(halves).save(file, "PNG")
    shown = picture(file.getvalue())
    colours = [span.style for span in shown.spans]
    assert "250" in str(colours[0].color.triplet) and str(colours[0].color.triplet.red) == "250"
    assert colours[-1].bgcolor.triplet.blue == 250


def test_large_tables_of_unquoted_captions_are_counted_as_they_are_read(tmp_path, monkeypatch):
    file = tmp_path / "t.csv"
    rows = ["1.jpg,a dog", "1.jpg,a dog, in the park", '1.jpg,a sign, it says "stay"', "1,5.jpg,a cat"] * 50
    file.write_text("image,caption\n" + "".join(f"{row}\n" for row in rows))
    whole = openalign.inspect(file)
    monkeypatch.setattr(reading, "LARGE_BYTES", 1_000)
    large = openalign.inspect(file)
    assert large.rows == whole.rows == 150
    assert large.lost["rows that cannot be parsed"] == whole.lost["rows that cannot be parsed"] == 50


def test_further_pages_and_frames_are_counted_once_for_each_image(tmp_path, monkeypatch):
    pages = [Image.new("RGB", (40, 30), (50 * number, 9, 9)) for number in range(4)]
    pages[0].save(tmp_path / "scan.tif", save_all=True, append_images=pages[1:])
    pages[0].save(tmp_path / "wave.gif", save_all=True, append_images=pages[1:3])
    pages[0].save(tmp_path / "still.png")
    (tmp_path / "captions.csv").write_text(
        "image,caption\nscan.tif,a form\nscan.tif,a letter\nwave.gif,a wave\nstill.png,a stone\n"
    )
    found = openalign.inspect(tmp_path)
    assert found.rows == 4
    assert found.lost == {"further pages or frames of images": 5}
    (message,) = [each for each in found.problems if "pages or frames" in each]
    assert "2 images have several pages or frames" in message
    assert "1 of 4 in the first such image: scan.tif" in message
    monkeypatch.setattr(samples, "IMAGES", 3)
    found = openalign.inspect(tmp_path)
    assert found.lost == {}
    assert any("of 3 sampled rows have several pages or frames" in note for note in found.notes)
