"""An image of an index has all of its texts, and its original is found again."""

import io
import tarfile

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openalign.errors import OpenAlignError
from openalign.search import Index


def texts_of(index):
    return {row.image.rpartition("/")[2]: row.texts for row in index.store.rows(range(len(index)))}


def test_a_row_for_each_caption_gives_one_image_with_all_texts(tmp_path, paint, paint_encoder):
    paint(tmp_path / "1.png", "red")
    paint(tmp_path / "2.png", "green")
    (tmp_path / "t.csv").write_text(
        "image,caption\n1.png,a red field\n./1.png,red all over\n2.png,grass\n1.png,a red field\n"
    )
    index = Index.build(tmp_path / "t.csv", model=paint_encoder, to=tmp_path / "i")
    assert texts_of(index) == {"1.png": ("a red field", "red all over"), "2.png": ("grass",)}
    assert index.search("red", top=1)[0].texts == ("a red field", "red all over")
    assert paint_encoder.images_embedded == 2


def test_lists_of_captions_give_one_image_with_all_texts(tmp_path, paint, paint_encoder):
    pictures = [paint(tmp_path / f"{colour}.png", colour).read_bytes() for colour in ("red", "blue")]
    captions = [["a red field", "a red\nwall"], None]
    pq.write_table(pa.table({"picture": pictures, "captions": captions}), tmp_path / "t.parquet")
    index = Index.build(tmp_path / "t.parquet", model=paint_encoder, to=tmp_path / "i")
    assert [row.texts for row in index.store.rows(range(2))] == [("a red field", "a red wall"), ()]


def test_files_of_equal_bytes_are_one_row_with_the_texts_of_both(tmp_path, paint, paint_encoder):
    picture = paint(tmp_path / "photos" / "a.png", "red")
    for copy in ("b/copy.png", "c/again.png"):
        (tmp_path / "photos" / copy).parent.mkdir()
        (tmp_path / "photos" / copy).write_bytes(picture.read_bytes())
    for name, text in (("a.txt", "a red field"), ("b/copy.txt", "red"), ("c/again.txt", "red")):
        (tmp_path / "photos" / name).write_text(text)
    index = Index.build(tmp_path / "photos", model=paint_encoder, to=tmp_path / "i")
    assert texts_of(index) == {"a.png": ("a red field", "red")}
    both = Index.build([tmp_path / "photos" / "b", tmp_path / "photos" / "c"], model=paint_encoder, to=tmp_path / "j")
    assert len(both) == 1


def test_named_columns_and_splits_are_kept_for_the_originals(tmp_path, paint, paint_encoder, monkeypatch):
    for colour in ("red", "green", "blue"):
        paint(tmp_path / f"{colour}.png", colour)
    (tmp_path / "t.csv").write_text("pic,words,split\nred.png,red,train\ngreen.png,green,train\nblue.png,sky,test\n")
    options = {"image_column": "pic", "text_column": "words", "split": "test"}
    monkeypatch.chdir(tmp_path)
    index = Index.build("t.csv", model=paint_encoder, to=tmp_path / "i", **options)
    assert texts_of(index) == {"blue.png": ("sky",)}
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    opened = Index.open(tmp_path / "i", paint_encoder)
    assert opened.original(0) == (tmp_path / "blue.png").read_bytes()
    assert opened.store.meta.options == options
    assert "split test" in opened.store.meta.read_as[0]


@pytest.mark.parametrize("address", ["file://{}", "file://localhost{}"])
def test_originals_behind_a_file_address_are_found_again(tmp_path, paint, paint_encoder, address, monkeypatch):
    picture = paint(tmp_path / "my photos" / "a b.png", "red")
    index = Index.build(address.format(tmp_path / "my photos"), model=paint_encoder, to=tmp_path / "i")
    monkeypatch.chdir("/")
    assert Index.open(tmp_path / "i", paint_encoder).original(0) == picture.read_bytes()
    assert index.store.meta.sources == [str(tmp_path / "my photos")]


def test_originals_behind_a_url_are_found_again(tmp_path, paint, paint_encoder):
    picture = paint(tmp_path / "a.png", "red").read_bytes()
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, data in (("a.png", picture), ("a.txt", b"a red field")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    files = fsspec.filesystem("memory")
    files.pipe("/bucket-of-originals/0.tar", content.getvalue())
    Index.build("memory://bucket-of-originals", model=paint_encoder, to=tmp_path / "i")
    opened = Index.open(tmp_path / "i", paint_encoder)
    assert opened.original(0) == picture
    assert opened.row(0).texts == ("a red field",)
    files.rm("/bucket-of-originals", recursive=True)


def test_losses_are_kept_by_kind_and_strict_leaves_no_index(tmp_path, paint, paint_encoder):
    paint(tmp_path / "photos" / "a.png", "red")
    (tmp_path / "photos" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n but no image")
    index = Index.build(tmp_path / "photos", model=paint_encoder, to=tmp_path / "i")
    assert index.store.meta.lost == {"images that cannot be read": 1}
    with pytest.raises(OpenAlignError, match=r"strict`? forbids"):
        Index.build(tmp_path / "photos", model=paint_encoder, to=tmp_path / "j", strict=True)
    assert not (tmp_path / "j").exists()


def test_captions_a_line_beside_an_image_are_all_kept(tmp_path, paint, paint_encoder):
    for colour in ("red", "blue"):
        paint(tmp_path / "photos" / f"{colour}.png", colour)
        (tmp_path / "photos" / f"{colour}.txt").write_text(f"a {colour} field\n{colour}\nall {colour}\n")
    index = Index.build(tmp_path / "photos", model=paint_encoder, to=tmp_path / "i")
    assert texts_of(index)["red.png"] == ("a red field", "red", "all red")


@pytest.mark.parametrize("folders", [("2020", "2021"), ("2024-05", "2024-06")])
def test_folders_of_years_or_months_are_no_texts_of_their_photos(tmp_path, paint, paint_encoder, folders):
    for number, folder in enumerate(folders):
        paint(tmp_path / "photos" / folder / f"{number}.png", "red" if number else "blue")
    index = Index.build(tmp_path / "photos", model=paint_encoder, to=tmp_path / "i")
    assert texts_of(index) == {"0.png": (), "1.png": ()}


def test_folders_of_named_classes_are_texts_of_their_photos(tmp_path, paint, paint_encoder):
    for name, colour in (("birthday", "red"), ("rome", "blue")):
        paint(tmp_path / "photos" / name / f"{name}.png", colour)
    index = Index.build(tmp_path / "photos", model=paint_encoder, to=tmp_path / "i")
    assert texts_of(index) == {"birthday.png": ("birthday",), "rome.png": ("rome",)}
