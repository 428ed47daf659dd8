"""Damage to the files of an index: refused when it is opened or noticed when it is used, and mended by a rebuild."""

import json
import os
import random
import shutil
import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openalign.errors import OpenAlignError
from openalign.search import Index, graph, run
from openalign.search.query.compose import unit
from openalign.search.store import checks, reader, vectors
from openalign.search.watched import DamagedIndex
from tests.conftest import PaintEncoder

FILES = ("meta.json", "vectors.1.f16", "rows.sqlite", "graph.1.8.usearch")


@pytest.fixture(scope="module")
def with_a_problem(indexed_photos, tmp_path_factory) -> Path:
    """A folder with photos, one of them unreadable, and their index, which has no graph."""
    folder = tmp_path_factory.mktemp("problem")
    shutil.copytree(indexed_photos / "photos", folder / "photos")
    (folder / "photos" / "9-none.png").write_bytes(b"no image")
    Index.build([folder / "photos"], model=PaintEncoder(), to=folder / "photos.index").store.close()
    return folder


@pytest.fixture
def folder(with_a_problem, tmp_path) -> Path:
    """A copy of the index of `with_a_problem`, beside its photos."""
    shutil.copytree(with_a_problem, tmp_path, dirs_exist_ok=True)
    return tmp_path / "photos.index"


@pytest.fixture
def with_graph(photos, tmp_path, paint_encoder, monkeypatch) -> Path:
    monkeypatch.setattr(run, "EXACT_BELOW", 4)
    Index.build([photos], model=paint_encoder, to=tmp_path / "graph.index")
    return tmp_path / "graph.index"


@pytest.fixture
def built_here(photos, tmp_path, paint_encoder) -> Path:
    """The same, built where it is, so that a rebuild writes the same paths."""
    (photos / "9-none.png").write_bytes(b"no image")
    Index.build([photos], model=paint_encoder, to=tmp_path / "photos.index")
    return tmp_path / "photos.index"


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


def everything(folder: Path) -> list[Any]:
    """All that can be asked of an index."""
    index = Index.open(folder)
    numbers = index.store.numbers.tolist()
    rows = [(row, index.thumbnail(row.row), index.store.names(row.row)) for row in index.store.rows(numbers)]
    query = unit(np.array([0.3, -0.5, 0.7], np.float32))
    answer = [each.tolist() for each in index.store.nearest(query, 8)]
    return [rows, answer, index.vectors.tolist(), index.problems, len(index)]


def told_or_right(folder: Path, expected: list[Any]) -> bool:
    """Whether a damaged index tells of it; if it does not, its answers are right."""
    try:
        found = everything(folder)
    except OpenAlignError:
        return True
    assert found == expected
    return False


@pytest.mark.parametrize("how", ["flip", "cut", "append", "empty", "delete", "folder", "pipe"])
@pytest.mark.parametrize("name", FILES[:3])
def test_damage_to_any_file_is_told_and_a_rebuild_makes_a_fresh_index(
    built_here, photos, tmp_path, paint_encoder, name, how
):
    expected = everything(built_here)
    damage(built_here / name, how)
    told = told_or_right(built_here, expected)
    assert told or how in ("append", "cut") or (how, name) == ("flip", "rows.sqlite")  # maybe where nothing is
    paint_encoder.images_embedded = 0
    Index.build([photos], model=paint_encoder, to=built_here, re_embed=True)
    assert paint_encoder.images_embedded == 8
    assert everything(built_here) == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "photos.index"]


@pytest.mark.parametrize("how", ["empty", "delete", "folder", "pipe"])
@pytest.mark.parametrize("name", FILES[:3])
def test_an_index_that_cannot_be_opened_is_built_anew_by_the_next_run(built_here, photos, paint_encoder, name, how):
    expected = everything(built_here)
    damage(built_here / name, how)
    with pytest.raises(OpenAlignError, match=r"build .* again|is not an index"):
        everything(built_here)
    Index.build([photos], model=paint_encoder, to=built_here)
    assert everything(built_here) == expected


@pytest.mark.parametrize("how", ["flip", "cut", "append", "empty", "delete"])
def test_a_damaged_graph_is_refused_before_the_library_sees_it_and_made_again(with_graph, photos, paint_encoder, how):
    damage(with_graph / "graph.1.8.usearch", how)
    with pytest.raises(DamagedIndex, match=r"graph.1.8.usearch .*index again"):
        Index.open(with_graph)
    again = Index.build([photos], model=paint_encoder, to=with_graph)
    assert paint_encoder.images_embedded == 8
    assert again.store.meta.graph is not None and len(again.search("red", top=8)) == 8


@pytest.mark.parametrize("name", FILES)
def test_no_changed_byte_changes_an_answer_in_silence(with_graph, name):
    expected = everything(with_graph)
    path, chance = with_graph / name, random.Random(name)
    whole = path.read_bytes()
    told = 0
    for offset in chance.sample(range(len(whole)), min(40, len(whole))):
        path.write_bytes(whole[:offset] + bytes([whole[offset] ^ (1 << chance.randrange(8))]) + whole[offset + 1 :])
        told += told_or_right(with_graph, expected)
    assert told > (0 if name == "rows.sqlite" else 30)  # most of a small table is unused
    path.write_bytes(whole)
    assert everything(with_graph) == expected


def changed(folder: Path, sql: str) -> None:
    table = sqlite3.connect(folder / "rows.sqlite")
    table.executescript(sql)
    table.close()


def with_state(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the state, with a check value that fits."""
    table = sqlite3.connect(folder / "rows.sqlite")
    content = json.loads(table.execute("SELECT content FROM state").fetchone()[0])
    change(content)
    text = json.dumps(content)
    table.execute("UPDATE state SET content = ?, crc = ?", (text, checks.check_of(text)))
    table.commit()
    table.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": -1}, {"rows": 2**60}, {"rows": 7}, {"rows": 8.0}, {"rows": "8"}, {"width": 0}, {"width": 70_000},
        {"width": True}, {"model": None}, {"fingerprint": 5}, {"sources": "photos"}, {"sources": [1]},
        {"sources": []}, {"extra": 1}, {"model_name": ...}, {"deleted": 9}, {"deleted": 1}, {"generation": 0},
        {"generation": 2}, {"commits": 0}, {"rows": 9}, {"rows": 300}, {"graph": {"rows": 9, "bytes": 1, "sha256": ""}},
    ],
)  # fmt: skip
def test_an_invalid_field_is_refused_though_its_check_value_matches(folder, changes):
    def change(fields):
        for name, value in changes.items():
            fields.pop(name) if value is ... else fields.update({name: value})

    with_state(folder, change)
    with pytest.raises(DamagedIndex):
        everything(folder)


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
        "UPDATE images SET width = width + 1 WHERE row = 3",
        "UPDATE images SET digest = x'00' WHERE row = 3",
        "UPDATE images SET row = 8 WHERE row = 3",
        "UPDATE images SET date = '1999-01-01' WHERE row = 3",
        "UPDATE images SET row = 99 WHERE row = 3; UPDATE images SET row = 3 WHERE row = 4; "
        "UPDATE images SET row = 4 WHERE row = 99",
        "UPDATE thumbnails SET jpeg = (SELECT jpeg FROM thumbnails WHERE id = 1) WHERE id = 4",
        "UPDATE files SET name = 'other.png' WHERE image = 4",
        "UPDATE blocks SET crc = crc + 1",
        "DELETE FROM blocks",
        "UPDATE problems SET message = 'none'",
        "DELETE FROM problems",
        "INSERT INTO deleted VALUES (3)",
        "DELETE FROM state",
        "UPDATE state SET content = replace(content, 'paint', 'point')",
        "DELETE FROM images WHERE row = 3",
        "DELETE FROM images WHERE row = 7",
        "DELETE FROM thumbnails WHERE id = 4",
        "DROP TABLE thumbnails",
        "DROP INDEX images_by_digest",
        "ALTER TABLE images ADD COLUMN more TEXT",
        "CREATE TRIGGER t AFTER INSERT ON images BEGIN DELETE FROM images; END",
        "ALTER TABLE images RENAME TO others; CREATE VIEW images AS SELECT * FROM others",
    ],
)
def test_a_changed_table_is_told(folder, sql):
    changed(folder, sql)
    with pytest.raises(DamagedIndex):
        everything(folder)


def test_changes_that_are_lost_are_told(folder, photos, paint_encoder, paint, tmp_path):
    shutil.copytree(folder, tmp_path / "older")
    (tmp_path / "older" / "rows.sqlite-wal").unlink(missing_ok=True)
    paint(photos / "a-red.png", "red", (91, 20))
    Index.build([photos], model=paint_encoder, to=folder)
    shutil.copy(folder / "meta.json", tmp_path / "older" / "meta.json")
    with pytest.raises(DamagedIndex, match="its last changes are lost"):
        Index.open(tmp_path / "older")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("graph", [False, True])
def test_a_score_is_never_nan(folder, with_graph, paint_encoder, value, graph):
    path = (with_graph if graph else folder) / "vectors.1.f16"
    vectors_ND = np.fromfile(path, np.float16).reshape(8, 3)
    vectors_ND[5, 1] = value
    vectors_ND.tofile(path)
    changed(path.parent, f"UPDATE blocks SET crc = {zlib.crc32(vectors_ND.tobytes())}")
    opened = Index.open(path.parent, paint_encoder)
    for query in ({"query": "red", "top": 8}, {"row": 5}):
        with pytest.raises(DamagedIndex, match=r"vectors.1.f16: the vector of row 5 is not finite"):
            opened.search(**query)
    with pytest.raises(DamagedIndex, match="the vector of row 5 is not finite"):
        opened.store.check_thoroughly()


def overwrite(path: Path, content: bytes) -> None:
    """As `cp` over an existing file does: the file stays the same one."""
    with path.open("r+b") as file:
        file.truncate(0)
        file.write(content)


@pytest.mark.parametrize("change", ["cut", "overwrite"])
def test_vectors_changed_while_a_graph_is_searched_are_detected(with_graph, paint_encoder, change):
    opened = Index.open(with_graph, paint_encoder)
    assert len(opened.search("red")) == 8
    content = (with_graph / "vectors.1.f16").read_bytes()
    overwrite(with_graph / "vectors.1.f16", content[:4] if change == "cut" else bytes(len(content)))
    expected = "was truncated" if change == "cut" else "has changed since it was written"
    for query in ({"query": "red"}, {"row": 3}):
        with pytest.raises(DamagedIndex, match=expected):
            opened.search(**query)


def test_vectors_that_only_grew_are_searched_on(with_graph, paint_encoder):
    opened = Index.open(with_graph, paint_encoder)
    expected = opened.search("red", top=8)
    with (with_graph / "vectors.1.f16").open("ab") as file:
        file.write(b"more")
    assert opened.search("red", top=8) == expected


def test_small_vectors_and_graphs_are_searched_in_memory(folder, with_graph, paint_encoder):
    for path in (folder / "vectors.1.f16", with_graph / "graph.1.8.usearch"):
        opened = Index.open(path.parent, paint_encoder)
        expected = opened.search("red", top=8)
        overwrite(path, b"")
        assert opened.search("red", top=8) == expected


def test_a_large_graph_that_was_truncated_is_not_searched(with_graph, paint_encoder, monkeypatch):
    monkeypatch.setattr(graph, "_IN_MEMORY", 0)
    opened = Index.open(with_graph, paint_encoder)
    assert len(opened.search("red", top=8)) == 8
    overwrite(with_graph / "graph.1.8.usearch", (with_graph / "graph.1.8.usearch").read_bytes() + b"\0")
    with pytest.raises(DamagedIndex, match=r"graph\.1\.8\.usearch was changed after it was opened"):
        opened.search("red")


@pytest.mark.parametrize("change", ["cut", "overwrite"])
def test_a_table_changed_while_it_is_open_returns_no_wrong_row(folder, paint_encoder, change):
    opened = Index.open(folder, paint_encoder)
    before = [opened.row(0), opened.thumbnail(0), opened.search("red"), opened.sample(3)]
    content = (folder / "rows.sqlite").read_bytes()
    overwrite(folder / "rows.sqlite", b"" if change == "cut" else content.replace(b"red.png", b"RED.png"))
    asked = [
        lambda: opened.row(0), lambda: opened.thumbnail(0), lambda: opened.search("red"), lambda: opened.sample(3)
    ]  # fmt: skip
    for ask, expected in zip(asked, before, strict=True):
        try:
            assert ask() == expected  # from SQLite's memory
        except DamagedIndex as error:
            assert "rows.sqlite" in str(error)


def test_an_opened_index_works_after_it_is_replaced(folder, photos, paint_encoder, paint):
    opened = Index.open(folder, paint_encoder)
    expected = opened.search("red", top=8)
    paint(photos / "0-red.png", "green")
    Index.build([photos], model=paint_encoder, to=folder)
    assert opened.search("red", top=8) == expected
    assert Index.open(folder, paint_encoder).search("red", top=8) != expected


@pytest.mark.parametrize("left", [".photos.index.older"])
def test_opening_an_index_repairs_a_kill_between_two_renames(folder, left):
    folder.rename(folder.with_name(left))
    assert len(Index.open(folder)) == 8


@pytest.mark.parametrize("lost", ["meta.json", "vectors.1.f16", "rows.sqlite"])
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
        assert {path.name: path.read_bytes() for path in other.iterdir()} == files
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
        Index.build([photos], model=paint_encoder, to=folder, re_embed=True)
    assert len(Index.build([photos], model=paint_encoder, to=folder)) == 8
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(OpenAlignError, match=rf"{name} is not a file"):
        Index.build([photos], model=paint_encoder, to=folder, re_embed=True)


def test_a_link_to_an_index_stays_a_link(folder, photos, paint_encoder):
    link = folder.with_name("current.index")
    link.symlink_to(folder)
    Index.build([photos], model=paint_encoder, to=link)
    assert link.is_symlink() and len(Index.open(link)) == 8


def test_exact_answers_without_memory_equal_those_from_it(folder, monkeypatch):
    query = unit(np.array([0.3, -0.5, 0.7], np.float32))
    expected, expected_scores = Index.open(folder).store.nearest(query, 8)
    monkeypatch.setattr(reader, "_IN_MEMORY", 0)
    monkeypatch.setattr(vectors, "_READ_BYTES", 20)
    opened = Index.open(folder)
    rows, scores = opened.store.nearest(query, 8)
    assert list(rows) == list(expected)
    assert np.array_equal(scores, expected_scores)
    overwrite(folder / "vectors.1.f16", b"")
    with pytest.raises(DamagedIndex, match=r"vectors\.1\.f16 was truncated"):
        opened.store.nearest(query, 8)
