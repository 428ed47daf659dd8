"""Damage to the files of an index: refused when it is opened or noticed when it is used, and mended by a rebuild."""

import json
import os
import random
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from openalign.checksums import write_checksums
from openalign.errors import OpenAlignError
from openalign.search import Index, graph, store, vectors, writer
from openalign.search.query.compose import unit
from openalign.search.watched import DamagedIndex

FILES = ("meta.json", "vectors.f16", "rows.sqlite", "problems.txt", "checksums.json", "graph.usearch")


@pytest.fixture
def folder(photos, tmp_path, paint_encoder) -> Path:
    """An index with a problem and without a graph."""
    (photos / "9-none.png").write_bytes(b"no image")
    Index.build([photos], model=paint_encoder, to=tmp_path / "photos.index")
    return tmp_path / "photos.index"


@pytest.fixture
def with_graph(photos, tmp_path, paint_encoder, monkeypatch) -> Path:
    monkeypatch.setattr(writer, "EXACT_BELOW", 4)
    Index.build([photos], model=paint_encoder, to=tmp_path / "graph.index")
    return tmp_path / "graph.index"


def damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "flip":
        content[len(content) // 2] ^= 1
    if how == "append":
        content.append(0)
    path.write_bytes(content[:-1] if how == "cut" else b"" if how == "empty" else content)
    if how in ("delete", "pipe", "folder"):
        path.unlink()
    if how == "pipe":
        os.mkfifo(path)
    if how == "folder":
        path.mkdir()


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("how", ["flip", "cut", "append", "empty", "delete", "folder", "pipe"])
@pytest.mark.parametrize("name", FILES[:4])
def test_damage_to_any_file_is_refused_and_a_rebuild_makes_a_fresh_index(
    folder, photos, tmp_path, paint_encoder, name, how
):
    whole = content_of(folder)
    damage(folder / name, how)
    with pytest.raises(OpenAlignError, match=r"build .* again|is not an index"):
        Index.open(folder)
    paint_encoder.images_embedded = 0
    Index.build([photos], model=paint_encoder, to=folder)
    assert paint_encoder.images_embedded == 8
    assert content_of(folder) == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "photos.index"]


@pytest.mark.parametrize("how", ["flip", "append", "empty"])
def test_damaged_checksums_are_refused_and_a_rebuild_makes_a_fresh_index(folder, photos, paint_encoder, how):
    whole = content_of(folder)
    damage(folder / "checksums.json", how)
    with pytest.raises(OpenAlignError, match=r"checksums.json is damaged"):
        Index.open(folder)
    Index.build([photos], model=paint_encoder, to=folder)
    assert paint_encoder.images_embedded == 16
    assert content_of(folder) == whole


@pytest.mark.parametrize("how", ["flip", "cut", "append", "empty", "delete"])
def test_a_damaged_graph_is_refused_before_the_library_sees_it(with_graph, photos, paint_encoder, how):
    whole = content_of(with_graph)
    damage(with_graph / "graph.usearch", how)
    with pytest.raises(DamagedIndex if how == "delete" else OpenAlignError, match=r"graph.usearch .*build the index"):
        Index.open(with_graph)
    again = Index.build([photos], model=paint_encoder, to=with_graph)
    assert paint_encoder.images_embedded == 16
    assert len(again.search("red", top=8)) == 8
    assert {**content_of(with_graph), "graph.usearch": b"", "checksums.json": b""} == {
        **whole, "graph.usearch": b"", "checksums.json": b"",
    }  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_every_changed_byte_is_detected(with_graph, name):
    path, chance = with_graph / name, random.Random(name)
    whole = path.read_bytes()
    for offset in chance.sample(range(len(whole)), min(25, len(whole))):
        path.write_bytes(whole[:offset] + bytes([whole[offset] ^ (1 << chance.randrange(8))]) + whole[offset + 1 :])
        with pytest.raises(OpenAlignError):
            Index.open(with_graph)
    path.write_bytes(whole)
    Index.open(with_graph)


def test_an_index_without_checksums_answers_exactly_without_its_graph(with_graph, paint_encoder, capsys):
    expected = Index.open(with_graph, paint_encoder).search("blue", top=8)
    (with_graph / "checksums.json").unlink()
    damage(with_graph / "graph.usearch", "cut")  # as bad as it may be: it is not used
    opened = Index.open(with_graph, paint_encoder)
    assert opened.search("blue", top=8) == expected
    assert "its graph is not used" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(("name", "how"), [("vectors.f16", "cut"), ("vectors.f16", "append"), ("rows.sqlite", "cut")])
def test_without_checksums_lengths_are_checked(folder, name, how):
    (folder / "checksums.json").unlink()
    damage(folder / name, how)
    with pytest.raises(DamagedIndex, match=name):
        Index.open(folder)


def test_a_rebuild_reuses_nothing_of_an_index_without_checksums(folder, photos, paint_encoder, capsys):
    (folder / "checksums.json").unlink()
    Index.build([photos], model=paint_encoder, to=folder)
    assert paint_encoder.images_embedded == 16
    assert "The existing index cannot be reused" in capsys.readouterr().err


def test_checksums_that_omit_a_file_are_refused(folder):
    (folder / "rows.sqlite").rename(folder / "elsewhere")
    write_checksums(folder)
    (folder / "elsewhere").rename(folder / "rows.sqlite")
    with pytest.raises(DamagedIndex, match=r"checksums.json does not list rows.sqlite"):
        Index.open(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": -1}, {"rows": 2**60}, {"rows": 7}, {"rows": 8.0}, {"rows": "8"}, {"width": 0}, {"width": 70_000},
        {"width": True}, {"model": None}, {"fingerprint": 5}, {"sources": "photos"}, {"sources": [1]},
        {"sources": []}, {"extra": 1}, {"model_name": ...},
    ],
)  # fmt: skip
def test_an_invalid_field_is_refused_though_its_checksum_matches(folder, changes):
    fields = json.loads((folder / "meta.json").read_text()) | changes
    fields = {name: value for name, value in fields.items() if value is not ...}
    (folder / "meta.json").write_text(json.dumps(fields))
    write_checksums(folder)
    with pytest.raises(DamagedIndex):
        Index.open(folder).sample(8)


@pytest.mark.parametrize(
    "content", ["[]", "3", "null", '{"version": 1e400}', "[" * 100_000, "\xff", '{"version": true}']
)
def test_a_meta_that_is_not_an_object_is_refused(folder, content):
    (folder / "meta.json").write_text(content, encoding="latin-1")
    with pytest.raises(OpenAlignError):
        Index.open(folder)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE images SET width = 'wide' WHERE row = 3",
        "UPDATE images SET image = x'ff' WHERE row = 3",
        "UPDATE images SET image = CAST(x'ff' AS TEXT) WHERE row = 3",
        "UPDATE images SET source = 9 WHERE row = 3",
        "UPDATE images SET source_row = -1 WHERE row = 3",
        "UPDATE images SET width = -5 WHERE row = 3",
        "UPDATE images SET digest = x'00' WHERE row = 3",
        "DELETE FROM images WHERE row = 3",
        "DELETE FROM images WHERE row = 7",
        "INSERT INTO thumbnails VALUES (8, 'x')",
        "DROP TABLE thumbnails",
        "DROP INDEX images_by_digest",
        "ALTER TABLE images ADD COLUMN more TEXT",
        "CREATE TRIGGER t AFTER INSERT ON images BEGIN DELETE FROM images; END",
    ],
)
def test_an_invalid_row_is_refused_though_its_checksum_matches(folder, sql):
    table = sqlite3.connect(folder / "rows.sqlite")
    table.execute(sql)
    table.commit()
    table.close()
    write_checksums(folder)
    with pytest.raises(DamagedIndex, match=r"rows\.sqlite"):
        Index.open(folder).row(3)


def test_a_view_in_place_of_a_table_is_refused(folder):
    table = sqlite3.connect(folder / "rows.sqlite")
    table.executescript("ALTER TABLE images RENAME TO others; CREATE VIEW images AS SELECT * FROM others")
    table.close()
    write_checksums(folder)
    with pytest.raises(DamagedIndex, match="its tables are not those of an index"):
        Index.open(folder)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("graph", [False, True])
def test_a_score_is_never_nan(folder, with_graph, paint_encoder, value, graph):
    path = (with_graph if graph else folder) / "vectors.f16"
    changed = np.fromfile(path, np.float16).reshape(8, 3)
    changed[5, 1] = value
    changed.tofile(path)
    write_checksums(path.parent)
    opened = Index.open(path.parent, paint_encoder)
    for query in ({"text": "red", "top": 8}, {"row": 5}):
        with pytest.raises(DamagedIndex, match=r"vectors.f16: the vector of row 5 is not finite"):
            opened.search(**query)
    (path.parent / "checksums.json").unlink()
    with pytest.raises(DamagedIndex, match="the vector of row 5 is not finite"):
        Index.open(path.parent)


def overwrite(path: Path, content: bytes) -> None:
    """As `cp` over an existing file does: the file stays the same one."""
    with path.open("r+b") as file:
        file.truncate(0)
        file.write(content)


@pytest.mark.parametrize("change", ["cut", "overwrite"])
def test_vectors_changed_while_a_graph_is_searched_are_detected(with_graph, paint_encoder, change):
    opened = Index.open(with_graph, paint_encoder)
    content = (with_graph / "vectors.f16").read_bytes()
    overwrite(with_graph / "vectors.f16", content[:4] if change == "cut" else bytes(len(content)))
    expected = "was truncated" if change == "cut" else "was changed after it was opened"
    for query in ({"text": "red"}, {"row": 3}):
        with pytest.raises(DamagedIndex, match=expected):
            opened.search(**query)
    with pytest.raises(DamagedIndex, match="was changed after it was opened"):
        assert len(opened.vectors)


def test_small_vectors_and_graphs_are_searched_in_memory(folder, with_graph, paint_encoder):
    for path in (folder / "vectors.f16", with_graph / "graph.usearch"):
        opened = Index.open(path.parent, paint_encoder)
        expected = opened.search("red", top=8)
        overwrite(path, b"")
        assert opened.search("red", top=8) == expected


def test_a_large_graph_that_was_truncated_is_not_searched(with_graph, paint_encoder, monkeypatch):
    monkeypatch.setattr(graph, "_IN_MEMORY", 0)
    opened = Index.open(with_graph, paint_encoder)
    assert len(opened.search("red", top=8)) == 8
    overwrite(with_graph / "graph.usearch", (with_graph / "graph.usearch").read_bytes() + b"\0")
    with pytest.raises(DamagedIndex, match=r"graph\.usearch was changed after it was opened"):
        opened.search("red")


@pytest.mark.parametrize("change", ["cut", "overwrite"])
def test_a_table_changed_while_it_is_open_returns_no_row(folder, paint_encoder, change):
    opened = Index.open(folder, paint_encoder)
    opened.row(0)
    content = (folder / "rows.sqlite").read_bytes()
    overwrite(folder / "rows.sqlite", b"" if change == "cut" else content.replace(b"red.png", b"RED.png"))
    for ask in (
        lambda: opened.row(0),
        lambda: opened.thumbnail(0),
        lambda: opened.search("red"),
        lambda: opened.sample(3),
    ):
        with pytest.raises(DamagedIndex, match=r"rows.sqlite was changed after it was opened: .*restart the service"):
            ask()


def test_an_opened_index_works_after_it_is_replaced(folder, photos, paint_encoder, paint):
    opened = Index.open(folder, paint_encoder)
    expected = opened.search("red", top=8)
    paint(photos / "0-red.png", "green")
    Index.build([photos], model=paint_encoder, to=folder)
    assert opened.search("red", top=8) == expected
    assert Index.open(folder, paint_encoder).search("red", top=8) != expected


@pytest.mark.parametrize("left", [".photos.index.whole", ".photos.index.older"])
def test_opening_an_index_repairs_a_kill_between_two_renames(folder, left):
    folder.rename(folder.with_name(left))
    assert len(Index.open(folder)) == 8


@pytest.mark.parametrize("lost", ["meta.json", "vectors.f16", "rows.sqlite"])
def test_other_folders_are_never_replaced(folder, photos, paint_encoder, lost):
    others = [
        ("meta.json alone", {"meta.json": b"{}"}),
        ("vectors of another tool", {"vectors.f16": b"", "notes.txt": b""}),
    ]
    for name, files in others:
        other = folder.with_name(name)
        other.mkdir()
        for file, content in files.items():
            (other / file).write_bytes(content)
        with pytest.raises(OpenAlignError, match="exists and is not an index; name a new folder with --to"):
            Index.build([photos], model=paint_encoder, to=other)
        assert content_of(other) == files
        shutil.rmtree(other)
    (folder / lost).unlink()
    (folder / ".examples.0123.partial.json").write_text("left by a killed run")
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(OpenAlignError, match=r"also holds notes.txt, which .* would be lost: move it elsewhere"):
        Index.build([photos], model=paint_encoder, to=folder)
    assert (folder / "notes.txt").read_text() == "mine"
    (folder / "notes.txt").unlink()
    assert len(Index.build([photos], model=paint_encoder, to=folder)) == 8


@pytest.mark.parametrize("name", ["examples.json", "CREDITS"])
def test_files_of_users_are_never_lost_silently(folder, photos, paint_encoder, name):
    (folder / name).write_bytes(b"x" * (2**20 + 1))
    with pytest.raises(OpenAlignError, match=rf"{name} is not a file of at most 1 MB: move it elsewhere"):
        Index.build([photos], model=paint_encoder, to=folder)
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(OpenAlignError, match=rf"{name} is not a file"):
        Index.build([photos], model=paint_encoder, to=folder)


def test_a_link_to_an_index_stays_a_link(folder, photos, paint_encoder):
    link = folder.with_name("current.index")
    link.symlink_to(folder)
    Index.build([photos], model=paint_encoder, to=link)
    assert link.is_symlink() and len(Index.open(link)) == 8


def test_damage_to_the_older_index_during_a_rebuild_loses_no_image(folder, photos, paint_encoder):
    class Damaging(type(paint_encoder)):
        def prepare(self, image):
            return super().prepare(image)

    (photos / "0-red.png").write_bytes((photos / "4-violet.png").read_bytes() + b"x")
    model = Damaging()
    prepare = model.prepare

    def damage_then_prepare(image):
        overwrite(folder / "rows.sqlite", b"")
        return prepare(image)

    model.prepare = damage_then_prepare
    assert len(Index.build([photos], model=model, to=folder)) == 8


def test_exact_answers_without_memory_equal_those_from_it(folder, monkeypatch):
    query = unit(np.array([0.3, -0.5, 0.7], np.float32))
    expected, expected_scores = Index.open(folder).store.nearest(query, 8)
    monkeypatch.setattr(store, "_IN_MEMORY", 0)
    monkeypatch.setattr(vectors, "_BLOCK_BYTES", 20)  # three rows
    opened = Index.open(folder)
    rows, scores = opened.store.nearest(query, 8)
    assert list(rows) == list(expected)
    assert np.array_equal(scores, expected_scores)
    overwrite(folder / "vectors.f16", b"")
    with pytest.raises(DamagedIndex, match=r"vectors\.f16 was truncated"):
        opened.store.nearest(query, 8)
