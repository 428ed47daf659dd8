"""`openalign.embed`: what it writes, what it takes from an earlier run, and what it refuses."""

import hashlib
import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import openalign
from openalign.embedding import batches, embed_partition
from openalign.embedding.embed import embed
from openalign.embedding.read import Vectors
from openalign.errors import OpenAlignError, UsageError
from openalign.locks import locked
from openalign.model import hub

pytestmark = pytest.mark.slow


def embedded(data, model, to, **options):
    """Embed in this process, into about five partitions."""
    return embed(data, model=model, to=to, **{"workers": 1, "rows": 8} | options)


def rows_of(folder):
    return [row for batch in Vectors(folder).batches() for row in batch.rows]


def files_of(folder):
    """Name -> content and time of each file."""
    files = [path for path in sorted(folder.iterdir()) if path.is_file()]
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def partitions_of(folder):
    return {name: content for name, content in files_of(folder).items() if name.startswith("part-")}


def test_every_image_has_a_row_with_its_vector_and_what_is_known_of_it(photos, model, tmp_path):
    made = embedded(photos, model, tmp_path / "vectors", texts=True)
    rows = rows_of(tmp_path / "vectors")
    assert made.rows == len(rows) == 40
    assert len(made.partitions) > 2
    assert [row.key for row in rows] == [f"{number:03}.jpg" for number in range(40)]
    encoder = openalign.load(model)
    paths = [photos / row.key for row in rows]
    expected_ND = encoder.embed_images(paths)
    np.testing.assert_allclose(np.stack([row.vector for row in rows]), expected_ND, atol=1e-3)
    assert rows[0].text is None and rows[0].text_vector is None
    assert rows[1].text == "two cats in the snow"
    np.testing.assert_allclose(rows[1].text_vector, encoder.embed_texts([rows[1].text])[0], atol=1e-3)
    for row, path in zip(rows, paths, strict=True):
        assert row.digest == hashlib.blake2b(path.read_bytes(), digest_size=16).digest()
        assert Image.open(io.BytesIO(row.thumbnail)).size == (row.width, row.height) == Image.open(path).size


def test_the_manifest_says_by_what_model_of_what_and_how(photos, model, tmp_path):
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut off")
    embedded([photos], model, tmp_path / "vectors", layout="images", thumbnails=False)
    manifest = json.loads((tmp_path / "vectors" / "manifest.json").read_text())
    assert manifest["fingerprint"] == openalign.load(model).fingerprint
    assert (manifest["model"], manifest["sources"]) == (str(model), [str(photos)])
    assert (manifest["rows"], manifest["width"]) == (40, openalign.load(model).width)
    assert manifest["options"] == {"layout": "images"} and manifest["thumbnails"] is False
    assert manifest["lost"]["images that cannot be read"] == 1
    assert any("broken.jpg): truncated JPEG" in problem for problem in manifest["problems"])
    for each in manifest["partitions"]:
        content = (tmp_path / "vectors" / each["file"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (each["bytes"], each["sha256"])
    assert {path.name for path in (tmp_path / "vectors").iterdir()} == {
        "manifest.json",
        *(each["file"] for each in manifest["partitions"]),
    }


def test_other_programs_read_the_partitions(photos, model, tmp_path):
    import duckdb

    made = embedded(photos, model, tmp_path / "vectors")
    schema = pq.read_schema(tmp_path / "vectors" / made.partitions[0].file)
    assert schema.names[:3] == ["key", "digest", "vector"]
    assert str(schema.field("vector").type).startswith("fixed_size_list<element: halffloat")
    [(count, width, least)] = duckdb.sql(
        f"SELECT count(*), min(len(vector)), min(list_inner_product(vector, vector)) "
        f"FROM read_parquet('{tmp_path}/vectors/part-*.parquet')"
    ).fetchall()
    assert (count, width) == (40, made.width)
    assert least == pytest.approx(1, abs=0.01)


def test_a_second_run_embeds_nothing_and_loads_no_model(photos, model, tmp_path, monkeypatch):
    embedded(photos, model, tmp_path / "vectors")
    before = partitions_of(tmp_path / "vectors")
    embed_partition._model.cache_clear()
    monkeypatch.setattr(hub, "load", None)
    embedded(photos, model, tmp_path / "vectors")
    assert partitions_of(tmp_path / "vectors") == before


@pytest.mark.parametrize(("number", "changed"), [(0, 1), (15, 1), (99, 1)])
def test_an_image_that_is_added_anywhere_changes_one_partition(photos, photo, model, tmp_path, number, changed):
    embedded(photos, model, tmp_path / "vectors")
    before = partitions_of(tmp_path / "vectors")
    shutil.copy(photo(tmp_path, 77), photos / f"{number:03}a.jpg")
    embedded(photos, model, tmp_path / "vectors")
    after = partitions_of(tmp_path / "vectors")
    assert len(after.keys() - before.keys()) in (changed, changed + 1)  # a new cut may divide it
    assert all(after[name] == before[name] for name in after.keys() & before.keys())
    assert len(rows_of(tmp_path / "vectors")) == 41


def test_an_image_or_text_that_changed_is_embedded_again_and_one_that_is_gone_is_gone(photos, photo, model, tmp_path):
    embedded(photos, model, tmp_path / "vectors")
    shutil.copy(photo(tmp_path, 78), photos / "010.jpg")
    (photos / "001.txt").write_text("a red apple")
    (photos / "030.jpg").unlink()
    (photos / "030.txt").unlink(missing_ok=True)
    embedded(photos, model, tmp_path / "vectors")
    rows = {row.key: row for row in rows_of(tmp_path / "vectors")}
    assert len(rows) == 39 and "030.jpg" not in rows
    assert rows["010.jpg"].digest == hashlib.blake2b((photos / "010.jpg").read_bytes(), digest_size=16).digest()
    assert rows["001.jpg"].text == "a red apple"
    embedded(photos, model, tmp_path / "anew")
    assert {name: content for name, (content, _) in files_of(tmp_path / "anew").items() if "part" in name} == {
        name: content for name, (content, _) in files_of(tmp_path / "vectors").items() if "part" in name
    }


@pytest.mark.parametrize("options", [{"thumbnails": False}, {"texts": True}, {"rows": 100}])
def test_other_options_make_other_partitions(photos, model, tmp_path, options):
    embedded(photos, model, tmp_path / "vectors")
    before = partitions_of(tmp_path / "vectors")
    embedded(photos, model, tmp_path / "vectors", **options)
    assert not partitions_of(tmp_path / "vectors").keys() & before.keys()
    assert len(rows_of(tmp_path / "vectors")) == 40


def test_another_model_replaces_all_vectors(photos, models, tmp_path):
    first = embedded(photos, models["align"], tmp_path / "vectors")
    second = embedded(photos, models["clip"], tmp_path / "vectors")
    assert (first.width, second.width) == (16, 12)
    assert Vectors(tmp_path / "vectors", second.fingerprint).manifest.width == 12
    assert len(partitions_of(tmp_path / "vectors")) == len(second.partitions)
    with pytest.raises(OpenAlignError, match="vectors of another model"):
        Vectors(tmp_path / "vectors", first.fingerprint)


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:-9])])
def test_a_partition_that_is_lost_or_cut_off_is_made_again(photos, model, tmp_path, harm):
    made = embedded(photos, model, tmp_path / "vectors")
    before = {name: content for name, (content, _) in partitions_of(tmp_path / "vectors").items()}
    harm(tmp_path / "vectors" / made.partitions[1].file)
    embedded(photos, model, tmp_path / "vectors")
    assert {name: content for name, (content, _) in partitions_of(tmp_path / "vectors").items()} == before


def test_a_damaged_manifest_loses_nothing_but_time(photos, model, tmp_path):
    embedded(photos, model, tmp_path / "vectors")
    (tmp_path / "vectors" / "manifest.json").write_text("{")
    embedded(photos, model, tmp_path / "vectors")
    assert len(rows_of(tmp_path / "vectors")) == 40


def test_an_interrupted_run_resumes_with_the_same_bytes(photos, model, tmp_path, monkeypatch):
    embedded(photos, model, tmp_path / "whole")
    real, calls = embed_partition.embedded_batches, []

    def stops_in_the_third(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(embed_partition, "embedded_batches", stops_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        embedded(photos, model, tmp_path / "vectors")
    kept = partitions_of(tmp_path / "vectors")
    assert len(kept) == 2 and not (tmp_path / "vectors" / "manifest.json").exists()
    embedded(photos, model, tmp_path / "vectors")
    assert kept.items() <= partitions_of(tmp_path / "vectors").items()
    assert {name: content for name, (content, _) in files_of(tmp_path / "vectors").items()} == {
        name: content for name, (content, _) in files_of(tmp_path / "whole").items()
    }


def test_images_that_cannot_be_read_are_listed_and_the_others_stay(photos, model, tmp_path):
    (photos / "empty.jpg").write_bytes(b"")
    (photos / "text.png").write_text("not a picture")
    (photos / "cut.jpg").write_bytes((photos / "001.jpg").read_bytes()[:300])
    huge = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x01\x86\xa0\x00\x01\x86\xa0\x08\x02\x00\x00\x00"
    (photos / "huge.png").write_bytes(huge + bytes(64))
    Image.new("CMYK", (30, 20)).save(photos / "cmyk.jpg")
    Image.new("I;16", (30, 20)).save(photos / "sixteen.png")
    Image.new("RGB", (1, 9000)).save(photos / "thin.png")
    made = embedded(photos, model, tmp_path / "vectors")
    assert {row.key for row in rows_of(tmp_path / "vectors")} >= {"cmyk.jpg", "sixteen.png", "thin.png", "001.jpg"}
    assert made.rows == 43
    assert made.lost["images that cannot be read"] == 4
    for name in ("empty.jpg", "text.png", "cut.jpg", "huge.png"):
        assert any(name in problem for problem in made.problems)
    with pytest.raises(OpenAlignError, match=r"4 images that cannot be read.* would be left out"):
        embedded(photos, model, tmp_path / "strict", strict=True)
    assert not (tmp_path / "strict" / "manifest.json").exists()


def test_a_vector_that_is_not_finite_is_left_out_and_not_its_batch(photos, model, tmp_path, monkeypatch):
    encoder = openalign.load(model)
    real, first = encoder._embed_prepared, encoder.prepare(photos / "003.jpg")

    def spoiled(images):
        vectors = real(images).clone()
        vectors[(images == first).all(axis=(1, 2, 3))] = float("nan")
        return vectors

    monkeypatch.setattr(encoder, "_embed_prepared", spoiled)
    monkeypatch.setattr(embed_partition, "_model", lambda name, fingerprint: encoder)
    made = embedded(photos, model, tmp_path / "vectors")
    assert made.rows == 39
    assert any("003.jpg): its vector is not finite" in problem for problem in made.problems)


def test_nothing_that_can_be_read_is_an_error(model, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_bytes(b"nothing")
    with pytest.raises(OpenAlignError, match=r"None of the images of .*photos could be read, the first because"):
        embedded(tmp_path / "photos", model, tmp_path / "vectors")
    assert not (tmp_path / "vectors" / "manifest.json").exists()
    with pytest.raises(OpenAlignError, match="does not exist"):
        embedded(tmp_path / "nowhere", model, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_sources_are_told_apart_even_when_one_is_given_twice(photos, photo, model, tmp_path):
    photo(tmp_path / "more", 1)
    made = embedded([photos, tmp_path / "more", photos], model, tmp_path / "vectors")
    rows = rows_of(tmp_path / "vectors")
    assert [row.source for row in rows] == [0] * 40 + [1] + [2] * 40
    assert made.sources == [str(photos), str(tmp_path / "more"), str(photos)]
    assert len({each.file for each in made.partitions}) == len(made.partitions)


def test_date_place_and_further_columns_are_kept(photos, model, tmp_path):
    exif = Image.Exif()
    exif[0x0132] = "2024:05:17 14:03:22"
    Image.new("RGB", (30, 20)).save(photos / "dated.jpg", exif=exif)
    table = tmp_path / "pairs.csv"
    table.write_text("image,text,label,camera,stars\nphotos/dated.jpg,first,boat,Box,3\nphotos/001.jpg,other,,,\n")
    embedded(table, model, tmp_path / "vectors")
    dated, other = rows_of(tmp_path / "vectors")
    assert (dated.date, dated.latitude) == ("2024-05-17T14:03:22", None)
    assert dated.bytes == (photos / "dated.jpg").stat().st_size
    assert json.loads(dated.fields).keys() == {"camera", "stars"} and dated.label == "boat"
    assert json.loads(dated.fields)["camera"] == "Box"
    assert (other.fields, other.date, other.label) == (None, None, None)
    table.write_text(table.read_text().replace("Box", "Phone"))
    embedded(table, model, tmp_path / "vectors")
    assert "Phone" in rows_of(tmp_path / "vectors")[0].fields


def test_an_image_in_several_rows_is_one_row_with_all_texts(photos, model, tmp_path):
    table = tmp_path / "pairs.csv"
    table.write_text("image,text\nphotos/000.jpg,first\nphotos/001.jpg,other\nphotos/000.jpg,second\n")
    embedded(table, model, tmp_path / "vectors")
    assert [(row.key, row.text) for row in rows_of(tmp_path / "vectors")] == [
        ("photos/000.jpg", "first\nsecond"),
        ("photos/001.jpg", "other"),
    ]


def test_images_stored_in_parquet_are_embedded_by_several_processes(photos, model, tmp_path):
    import pyarrow as pa

    images = [path.read_bytes() for path in sorted(photos.glob("*.jpg"))]
    (tmp_path / "table").mkdir()
    for part in range(2):
        rows = images[20 * part : 20 * part + 20]
        table = pa.table({"image": pa.array(rows, pa.binary()), "text": [f"photo {n}" for n in range(20)]})
        pq.write_table(table, tmp_path / "table" / f"{part}.parquet")
    made = embed(tmp_path / "table", model=model, to=tmp_path / "vectors", workers=2, rows=8)
    digests = [row.digest for row in rows_of(tmp_path / "vectors")]
    assert digests == [hashlib.blake2b(image, digest_size=16).digest() for image in images]
    assert len(made.partitions) > 2


def test_a_folder_of_something_else_is_refused_and_left_alone(photos, model, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "manifest.json").write_text("{}")
    with pytest.raises(OpenAlignError, match="exists and holds no vectors"):
        embedded(photos, model, other)
    with pytest.raises(OpenAlignError, match="is a file"):
        embedded(photos, model, _file(tmp_path))
    assert (other / "manifest.json").read_text() == "{}"


def _file(folder):
    (folder / "file").write_text("mine")
    return folder / "file"


def test_a_users_file_beside_the_partitions_stays(photos, model, tmp_path):
    embedded(photos, model, tmp_path / "vectors")
    (tmp_path / "vectors" / "notes.txt").write_text("mine")
    embedded(photos, model, tmp_path / "vectors", thumbnails=False)
    assert (tmp_path / "vectors" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"rows": 0}, "at least 1 image"),
        ({"engine": "dask"}, "unknown engine"),
        ({"master": "local[2]"}, "needs .*spark"),
        ({"memory": "much"}, "give a number and a unit"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(photos, model, tmp_path, options, says):
    with pytest.raises(UsageError, match=says):
        embedded(photos, model, tmp_path / "vectors", **options)
    assert not (tmp_path / "vectors").exists()


def test_vectors_are_not_written_into_what_is_read(photos, model):
    with pytest.raises(UsageError, match="embed to a folder apart"):
        embedded(photos, model, photos / "vectors")
    with pytest.raises(UsageError, match="nothing to embed"):
        embedded([], model, photos.parent / "vectors")


def test_one_run_writes_at_a_time(photos, model, tmp_path):
    embedded(photos, model, tmp_path / "vectors")
    from threading import Thread

    told = []

    def other() -> None:
        try:
            embedded(photos, model, tmp_path / "vectors")
        except OpenAlignError as error:
            told.append(str(error))

    with locked(tmp_path / "vectors"):
        thread = Thread(target=other)
        thread.start()
        thread.join()
    assert "is being written by another run" in told[0]


def test_a_model_that_changed_meanwhile_is_refused(photos, model, tmp_path, monkeypatch):
    monkeypatch.setattr("openalign.embedding.embed.fingerprint_of", lambda folder: "0" * 64)
    embed_partition._model.cache_clear()
    with pytest.raises(OpenAlignError, match="is not the model that it was when this run began"):
        embedded(photos, model, tmp_path / "vectors")


def test_each_worker_loads_the_model_once_and_holds_two_batches(photos, model, tmp_path, monkeypatch):
    loads = tmp_path / "loads"
    real = hub.load

    def noted(name):
        with loads.open("a") as file:
            file.write(f"{os.getpid()}\n")
        return real(name)

    embed_partition._model.cache_clear()
    monkeypatch.setattr(hub, "load", noted)
    made = embedded(photos, model, tmp_path / "vectors", workers=2, rows=2)
    processes = loads.read_text().split()
    assert len(made.partitions) > 8
    assert 1 <= len(processes) == len(set(processes)) <= 2
    assert str(os.getpid()) not in processes


def test_images_in_memory_are_bounded_by_two_batches(photos, model, tmp_path, monkeypatch):
    monkeypatch.setattr(batches, "BATCH", 4)
    waiting, most = [0], [0]
    encoder = openalign.load(model)
    prepare, embed_prepared = encoder.prepare, encoder.embed_prepared

    def counted(image):
        waiting[0] += 1
        most[0] = max(most[0], waiting[0])
        return prepare(image)

    def taken(images):
        waiting[0] -= len(images)
        return embed_prepared(images)

    monkeypatch.setattr(encoder, "prepare", counted)
    monkeypatch.setattr(encoder, "embed_prepared", taken)
    monkeypatch.setattr(embed_partition, "_model", lambda name, fingerprint: encoder)
    embedded(photos, model, tmp_path / "vectors", rows=100)
    assert 4 <= most[0] <= 8


def test_a_hub_name_and_a_relative_folder_are_found_again(photos, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(model, "mine")
    made = embedded("photos", "mine", "vectors")
    assert (made.model, made.model_name) == (str(tmp_path / "mine"), "mine")
    assert made.sources == [str(photos)]
    assert Path("vectors", "manifest.json").exists()


def test_further_frames_are_counted_in_the_manifest(photos, model, tmp_path):
    frames = [Image.new("RGB", (60, 40), colour) for colour in ("red", "green", "blue")]
    for name in ("moving.webp", "scan.tif"):
        frames[0].save(photos / name, save_all=True, append_images=frames[1:])
    made = embedded(photos, model, tmp_path / "vectors", strict=True)
    assert made.lost == {"further pages or frames of images": 4}
    assert made.rows == 42
