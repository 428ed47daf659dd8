"""Running `index` again: only what is new is read, what is gone is removed, and originals are found by name."""

import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from openalign.errors import OpenAlignError, UsageError
from openalign.search import Index, prepare, run


def settle(folder: Path) -> None:
    """Give all files a time in the past: one of the last seconds is read again, since it may yet change."""
    for path in folder.rglob("*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """The names of the images that are read from here on."""
    names: list[str] = []
    whole = prepare._prepare

    def prepared(source, row, listed, *rest):
        names.append(listed.name)
        return whole(source, row, listed, *rest)

    monkeypatch.setattr(prepare, "_prepare", prepared)
    return names


@pytest.fixture
def settled(photos, tmp_path, paint_encoder) -> Path:
    """An index of `photos`, whose files are old."""
    settle(photos)
    Index.build([photos], model=paint_encoder, to=tmp_path / "photos.index")
    return tmp_path / "photos.index"


def again(photos, folder, model, **options) -> Index:
    sources = photos if isinstance(photos, list) else [photos]
    return Index.build(sources, model=model, to=folder, **options)


def named(index: Index) -> dict[str, tuple[str, ...]]:
    return {row.name: row.texts for row in index.store.rows(index.store.numbers)}


def test_an_unchanged_folder_is_not_read_and_nothing_is_written(settled, photos, paint_encoder, read):
    before = {path.name: path.stat().st_mtime_ns for path in settled.iterdir() if path.name[:4] != "rows"}
    commits = Index.open(settled).store.meta.commits
    index = again(photos, settled, paint_encoder)
    assert (read, index.store.meta.commits) == ([], commits)
    after = {path.name: path.stat().st_mtime_ns for path in settled.iterdir() if path.name in before}
    assert after == before


def test_adding_one_photo_reads_that_one(settled, photos, paint, paint_encoder, read):
    paint(photos / "a-white.png", "white", (77, 33))
    index = again(photos, settled, paint_encoder)
    assert read == ["a-white.png"]
    assert (len(index), paint_encoder.images_embedded) == (9, 9)


def test_a_changed_time_with_equal_bytes_is_read_once_and_not_embedded(settled, photos, paint_encoder, read):
    os.utime(photos / "3-yellow.png", (1_600_000_000, 1_600_000_000))
    for _ in range(2):
        assert len(again(photos, settled, paint_encoder)) == 8
    assert read == ["3-yellow.png"]
    assert paint_encoder.images_embedded == 8


def test_a_file_of_the_last_seconds_is_read_again(settled, photos, paint, paint_encoder, read):
    """It may be written again within the tick of the clock, with the same size."""
    paint(photos / "3-yellow.png", "red", (90, 43))
    again(photos, settled, paint_encoder)
    again(photos, settled, paint_encoder)
    assert read == ["3-yellow.png"] * 2


def test_a_changed_text_is_taken_without_reading_the_image(settled, photos, paint_encoder, read):
    (photos / "0-red.txt").write_text("a rose")
    index = again(photos, settled, paint_encoder)
    assert read == []
    assert named(index)["0-red.png"] == ("a rose",)


def test_a_photo_that_sorts_first_breaks_no_original(settled, photos, paint, paint_encoder):
    opened = Index.open(settled)
    paint(photos / "0000.png", "green", (55, 66))
    index = again(photos, settled, paint_encoder)
    for each in (opened, index):
        for row in each.store.rows(each.store.numbers):
            assert each.original(row.row) == (photos / row.name).read_bytes()
            assert row.image == str(photos / row.name)


def test_originals_in_a_table_are_found_after_a_row_is_put_first(tmp_path, paint, paint_encoder):
    for number, colour in enumerate(["red", "green", "blue"]):
        paint(tmp_path / f"{number}.png", colour)
    table = tmp_path / "t.jsonl"
    lines = [json.dumps({"image": f"{number}.png", "caption": f"number {number}"}) for number in range(3)]
    table.write_text("\n".join(lines[1:]))
    index = again(table, tmp_path / "i", paint_encoder)
    table.write_text("\n".join(lines))
    for each in (index, again(table, tmp_path / "i", paint_encoder)):
        for row in each.store.rows(each.store.numbers):
            assert each.original(row.row) == (tmp_path / row.name).read_bytes()


def test_a_renamed_photo_is_found_under_its_other_name(settled, photos, paint_encoder, read):
    (photos / "3-yellow.png").rename(photos / "z.png")
    index = again(photos, settled, paint_encoder)
    assert (len(index), paint_encoder.images_embedded) == (8, 8)
    (row,) = [row for row in index.store.rows(index.store.numbers) if row.name == "z.png"]
    assert row.row == 3
    assert index.original(3) == (photos / "z.png").read_bytes()


def test_an_original_is_read_under_any_of_its_names(settled, photos, paint_encoder):
    (photos / "copy.png").write_bytes((photos / "3-yellow.png").read_bytes())
    index = again(photos, settled, paint_encoder)
    assert len(index) == 8
    (photos / "3-yellow.png").unlink()
    assert index.original(3) == (photos / "copy.png").read_bytes()


@pytest.mark.parametrize("by", ["new bytes", "bytes of another"])
def test_a_row_is_named_by_a_copy_when_its_first_file_holds_something_else(settled, photos, paint, paint_encoder, by):
    (photos / "copy.png").write_bytes((photos / "3-yellow.png").read_bytes())
    (photos / "copy.txt").write_text("a copy")
    assert again(photos, settled, paint_encoder).row(3).texts == ("a copy",)
    if by == "new bytes":
        paint(photos / "3-yellow.png", "red", (33, 44))
    else:
        (photos / "3-yellow.png").write_bytes((photos / "0-red.png").read_bytes())
    index = again(photos, settled, paint_encoder)
    assert (index.row(3).name, index.row(3).image) == ("copy.png", str(photos / "copy.png"))
    assert len(index) == 8 + (by == "new bytes")


def test_removed_photos_are_never_found_and_their_rows_are_refused(settled, photos, paint_encoder):
    (photos / "3-yellow.png").unlink()
    index = again(photos, settled, paint_encoder)
    assert len(index) == 7 and len(index.search("yellow", top=100)) == 7
    assert 3 not in [hit.row for hit in index.search("yellow", top=7)]
    assert 3 not in [row.row for row in index.sample(100)]
    for ask in (index.row, index.thumbnail, index.original, lambda row: index.search(row=row)):
        with pytest.raises(OpenAlignError, match=r"row 3 is not in .*: its image was removed"):
            ask(3)


def test_many_removed_photos_are_compacted(settled, photos, paint_encoder):
    for number, colour in ((0, "red"), (2, "blue"), (5, "white")):
        (photos / f"{number}-{colour}.png").unlink()
    index = again(photos, settled, paint_encoder)
    assert (len(index), index.store.meta.rows, index.store.meta.generation) == (5, 5, 2)
    assert [row.name for row in index.store.rows(range(5))] == [
        "1-green.png", "3-yellow.png", "4-violet.png", "6-red.png", "7-blue.png",
    ]  # fmt: skip
    assert sorted(path.name for path in settled.iterdir() if path.name.startswith("vectors")) == ["vectors.2.f16"]


@pytest.mark.slow
def test_an_index_holds_the_given_sources_and_no_others(settled, photos, tmp_path, paint, paint_encoder, read):
    other = tmp_path / "other"
    paint(other / "o.png", "white", (71, 72))
    settle(other)
    both = again([photos, other], settled, paint_encoder)
    assert (len(both), read) == (9, ["o.png"])
    assert len(again([other, photos], settled, paint_encoder)) == 9  # in any order
    assert read == ["o.png"]
    only = again(other, settled, paint_encoder)
    assert named(only) == {"o.png": ()}
    assert only.store.meta.sources == ["", str(other)]
    assert len(again([photos, other], settled, paint_encoder)) == 9
    assert Index.open(settled).store.meta.sources == [str(photos), str(other)]


def test_photos_of_a_folder_that_cannot_be_opened_are_kept(
    settled, photos, tmp_path, paint_encoder, monkeypatch, capsys
):
    inner = photos / "inner"
    inner.mkdir()
    (photos / "3-yellow.png").rename(inner / "3-yellow.png")
    assert len(again(photos, settled, paint_encoder)) == 8
    whole = os.scandir

    def scandir(path):
        if str(path).endswith("inner"):
            raise PermissionError(13, "Permission denied")
        return whole(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert len(again(photos, settled, paint_encoder)) == 8
    assert "could not be read whole" in " ".join(capsys.readouterr().err.split())
    monkeypatch.undo()


def test_a_folder_that_is_empty_for_a_while_removes_nothing(settled, photos, tmp_path, paint_encoder):
    photos.rename(tmp_path / "elsewhere")
    photos.mkdir()
    with pytest.raises(OpenAlignError):
        again(photos, settled, paint_encoder)
    assert len(Index.open(settled)) == 8


def test_what_is_known_of_a_photo_can_be_searched_by(tmp_path, paint, paint_encoder):
    for width, name in enumerate(("rome/a", "rome/b", "oslo/c", "oslo/d")):
        paint(tmp_path / f"{name}.jpg", "red", (60 + width, 40))
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2024:05:17 14:03:22"
    Image.open(tmp_path / "rome/a.jpg").save(tmp_path / "rome/a.jpg", exif=exif)
    lines = ["file,caption,label,price,shop"]
    lines += [
        "rome/a.jpg,a,cat,12,north books",
        "rome/b.jpg,b,dog,30,",
        "oslo/c.jpg,c,cat,9.5,south",
        "oslo/d.jpg,d,,,",
    ]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    index = again(tmp_path / "t.csv", tmp_path / "i", paint_encoder)

    def found(*where: str) -> list[str]:
        return sorted(hit.indexed.name[-5] for hit in index.search("red", where=where, top=10))

    assert found() == ["a", "b", "c", "d"]
    assert found("date>=2024-05") == ["a"]
    assert found("folder=rome") == ["a", "b"]
    assert found("label=cat") == ["a", "c"]
    assert found("price<20", "shop=*books") == ["a"]
    assert found("shop!=*books") == ["b", "c", "d"]
    assert found("price>100") == []
    assert index.search("red", where="folder=oslo", top=1)[0].indexed.name[-5] in "cd"
    assert index.row(0).columns == {"price": "12", "shop": "north books"}
    with pytest.raises(UsageError, match="there is no column `prize`; the nearest is `price`"):
        index.search("red", where=["prize<20"])


def test_a_second_index_of_the_same_name_in_a_source_is_one_of_its_own(tmp_path, paint, paint_encoder):
    """Two rows of one path, told apart by their bytes in the table, are two images."""
    table = tmp_path / "t.csv"
    paint(tmp_path / "a.png", "red")
    table.write_text("image,caption\na.png,one\na.png,two\n")
    assert named(again(table, tmp_path / "i", paint_encoder)) == {"a.png": ("one", "two")}


def test_a_damaged_name_is_read_again(settled, photos, paint_encoder, read):
    with closing(sqlite3.connect(settled / "rows.sqlite")) as table:
        table.execute("UPDATE files SET stamp = '1 1' WHERE name = '2-blue.png'")
        table.commit()
    index = again(photos, settled, paint_encoder)
    assert read == ["2-blue.png"]
    assert index.store.names(2)[0][1] == "2-blue.png"
    index.store.check_thoroughly()


COLOURS = ["red", "green", "blue", "yellow"]
names = st.sampled_from(["a.png", "b.png", "c.png", "d/e.png", "d/f.png"])
changes = st.lists(
    st.one_of(
        st.tuples(st.just("paint"), names, st.sampled_from(COLOURS)),
        st.tuples(st.just("remove"), names, st.just("")),
        st.tuples(st.just("rename"), names, names),
        st.tuples(st.just("text"), names, st.sampled_from(["one", "two"])),
        st.tuples(st.just("break"), names, st.just("")),
    ),
    min_size=1,
    max_size=8,
)


def apply(folder: Path, change: tuple[str, str, str], paint) -> None:
    kind, name, value = change
    path = folder / name
    if kind == "paint":
        paint(path, value, (60, 40))
    elif kind == "text":
        path.with_suffix(".txt").write_text(value)
    elif kind == "break":
        path.write_bytes(b"\x89PNG\r\n\x1a\n but no image")
    elif path.exists() and kind == "remove":
        path.unlink()
    elif path.exists() and kind == "rename":
        path.rename(folder / value)


@pytest.mark.slow
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(changes, min_size=1, max_size=4))
def test_an_index_that_follows_a_folder_equals_one_made_anew(tmp_path_factory, paint, paint_encoder, rounds):
    top = tmp_path_factory.mktemp("followed")
    (top / "photos" / "d").mkdir(parents=True)
    paint(top / "photos" / "kept.png", "white", (50, 50))
    for changed in rounds:
        for change in changed:
            apply(top / "photos", change, paint)
        index = again(top / "photos", top / "i", paint_encoder)
        expected: dict[bytes, set[str]] = {}
        for path in sorted((top / "photos").rglob("*.png")):
            if b"no image" not in path.read_bytes():
                texts = expected.setdefault(prepare.digest_of(path.read_bytes()), set())
                texts |= {path.with_suffix(".txt").read_text()} if path.with_suffix(".txt").exists() else set()
        rows = index.store.rows(index.store.numbers)
        # A folder "d" beside "kept.png" alone makes no label; texts are those beside the images.
        assert {row.digest: set(row.texts) for row in rows} == expected
        fresh = again(top / "photos", top / f"fresh-{time.time_ns()}", paint_encoder)
        for row in fresh.store.rows(fresh.store.numbers):
            (same,) = [each for each in rows if each.digest == row.digest]
            assert np.array_equal(index.store.vector(same.row), fresh.store.vector(row.row))
            assert index.original(same.row) == fresh.original(row.row)
        index.store.check_thoroughly()


@pytest.mark.slow
def test_a_graph_is_made_again_only_when_many_rows_are_behind_it(photos, tmp_path, paint, paint_encoder, monkeypatch):
    monkeypatch.setattr(run, "EXACT_BELOW", 8)
    monkeypatch.setattr(run, "LONGEST_TAIL", 3)
    folder = tmp_path / "photos.index"
    graphs = []
    for number in range(5):
        graphs.append(again(photos, folder, paint_encoder).store.meta.graph_file)
        paint(photos / f"more-{number}.png", "red", (33 + number, 20))
    assert graphs == ["graph.1.8.usearch"] * 4 + ["graph.1.12.usearch"]
    assert [path.name for path in folder.glob("graph*")] == ["graph.1.12.usearch"]
