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
from openalign.search import Index
from openalign.search.query.compose import unit
from openalign.search.store import checks
from openalign.search.watched import DamagedIndex

FILES = ("meta.json", "vectors.1.f16", "rows.sqlite", "graph.1.8.usearch")


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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("how", ["empty", "delete", "folder", "pipe"])
@pytest.mark.parametrize("name", FILES[:3])
def test_an_index_that_cannot_be_opened_is_built_anew_by_the_next_run(built_here, photos, paint_encoder, name, how):
    expected = everything(built_here)
    damage(built_here / name, how)
    with pytest.raises(OpenAlignError, match=r"build .* again|is not an index"):
        everything(built_here)
    Index.build([photos], model=paint_encoder, to=built_here)
    assert everything(built_here) == expected


@pytest.mark.slow
@pytest.mark.parametrize("how", ["flip", "cut", "append", "empty", "delete"])
def test_a_damaged_graph_is_refused_before_the_library_sees_it_and_made_again(with_graph, photos, paint_encoder, how):
    damage(with_graph / "graph.1.8.usearch", how)
    with pytest.raises(DamagedIndex, match=r"graph.1.8.usearch .*index again"):
        Index.open(with_graph)
    again = Index.build([photos], model=paint_encoder, to=with_graph)
    assert paint_encoder.images_embedded == 8
    assert again.store.meta.graph is not None and len(again.search("red", top=8)) == 8


@pytest.mark.slow
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
