"""Damage to what an index derives (near-duplicates, vectors of texts, the map) and to saved queries.

Searches go on without them; who asks for them is told; the next run makes anew what follows from the images.
"""

import os
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from openalign.errors import OpenAlignError
from openalign.search import Index
from openalign.search.results.saved import SavedQuery
from openalign.search.watched import DamagedIndex
from tests.search.contents import contents_of

pytestmark = pytest.mark.slow


def photo(seed: int) -> Image.Image:
    """A smooth picture, which stays like itself when it is saved again."""
    pixels = np.random.default_rng(seed).integers(0, 255, (6, 7, 3), np.uint8)
    return Image.fromarray(pixels).resize((210, 180), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Twelve photos with texts; two come again, saved anew."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(12):
        photo(number).save(folder / f"{number:02}.png")
        (folder / f"{number:02}.txt").write_text(f"a field of {number % 5} colours")
    for number in (3, 7):
        photo(number).save(folder / f"again-{number}.jpg", quality=85)
    return folder


@pytest.fixture
def folder(pictures, tmp_path, paint_encoder) -> Path:
    to = tmp_path / "photos.index"
    index = Index.build([pictures], model=paint_encoder, to=to, embed_texts=True)
    assert (len(index.store.groups.members), len(index.store.texts)) == (2, 5)
    assert index.map is not None
    index.saved.put("reds", SavedQuery("red"))
    index.store.close()
    return to


def changed(folder: Path, sql: str) -> None:
    with closing(sqlite3.connect(folder / "rows.sqlite")) as table:
        table.executescript(sql)


def searched(folder: Path, encoder: Any) -> list[Any]:
    index = Index.open(folder, encoder)
    return [[hit.row for hit in index.search("red", top=9)], [index.thumbnail(row) for row in range(3)]]


ALIKE = [
    "UPDATE alike SET leader = 1",
    "DELETE FROM alike WHERE id = (SELECT max(id) FROM alike)",
    "DELETE FROM alike",
    "INSERT INTO alike VALUES (1, 2), (2, 2)",
    "INSERT INTO alike VALUES (999, 2)",
    "UPDATE alike SET leader = 'first'",
    "UPDATE alike SET leader = x'ff' WHERE id = (SELECT min(id) FROM alike)",
]


@pytest.mark.parametrize("removes", [False, True])
@pytest.mark.parametrize("sql", ALIKE)
def test_damaged_near_duplicates_are_told_and_found_again(folder, pictures, tmp_path, paint_encoder, sql, removes):
    expected, groups = searched(folder, paint_encoder), Index.open(folder).store.groups.numbers
    changed(folder, sql)
    assert searched(folder, paint_encoder) == expected
    with pytest.raises(DamagedIndex, match="near-duplicates have changed"):
        Index.open(folder, paint_encoder).search("red", fold=True)
    embedded = paint_encoder.images_embedded
    if removes:
        fewer = tmp_path / "pictures"
        shutil.copytree(pictures, fewer)
        for name in ("00.png", "again-7.jpg"):
            (fewer / name).unlink()
        Index.build([fewer], model=paint_encoder, to=folder)
        groups = Index.build([fewer], model=paint_encoder, to=tmp_path / "alone.index").store.groups.numbers
        assert len(Index.open(folder).store.groups.members) == 1 == len(set(groups.values()))
    else:
        again = Index.build([pictures], model=paint_encoder, to=folder)
        assert again.store.groups.numbers == groups
        assert paint_encoder.images_embedded == embedded
        again.store.check_thoroughly()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE sketches SET hash = 'none'",
        "UPDATE sketches SET grey = x'00' WHERE id < 5",
        "UPDATE sketches SET grey = 'grey'",
        "UPDATE sketches SET hash = hash + 1",
        "DELETE FROM sketches WHERE id > 3",
        "INSERT INTO sketches SELECT id + 500, hash, grey FROM sketches",
    ],
)
def test_damaged_sketches_make_no_false_near_duplicates(folder, pictures, tmp_path, paint_encoder, sql):
    changed(folder, sql)
    more = tmp_path / "more"
    shutil.copytree(pictures, more)
    photo(5).save(more / "later.jpg", quality=85)
    photo(77).save(more / "new.png")
    again = Index.build([more], model=paint_encoder, to=folder)
    names = {row.row: row.name for row in again.store.rows(again.store.numbers.tolist())}
    for rows in again.store.groups.members.values():
        assert (
            len({"".join(filter(str.isdigit, names[row])).zfill(2) for row in rows if names[row] != "later.jpg"}) == 1
        )
    again.store.check_thoroughly()


TEXTS = [
    "UPDATE texts SET vector = zeroblob(length(vector)) WHERE number = 2",
    "UPDATE texts SET vector = x'00' WHERE number = 2",
    "UPDATE texts SET vector = 'vector'",
    "UPDATE texts SET text = 'another' WHERE number = 1",
    "UPDATE texts SET text = x'ff' WHERE number = 1",
    "DELETE FROM texts WHERE number = 3",
    "UPDATE texts SET crc = 'none'",
    "INSERT INTO texts (text, vector, crc) SELECT 'more', vector, crc FROM texts LIMIT 1",
]


@pytest.mark.parametrize("sql", TEXTS)
def test_damaged_texts_are_told_and_embedded_again(folder, pictures, paint_encoder, sql):
    expected = searched(folder, paint_encoder)
    texts = sorted(Index.open(folder).store.texts.texts)
    vectors = np.array(Index.open(folder).store.texts.vectors_TD).tobytes()
    changed(folder, sql)
    assert searched(folder, paint_encoder) == expected
    with pytest.raises(DamagedIndex, match="texts have changed"):
        Index.open(folder, paint_encoder).search("red", against="text")
    again = Index.build([pictures], model=paint_encoder, to=folder)
    assert sorted(again.store.texts.texts) == texts
    assert sorted(np.array(again.store.texts.vectors_TD).tobytes()) == sorted(vectors)
    assert len(again.search("red", against="text")) > 0
    again.store.check_thoroughly()


def map_file(folder: Path) -> Path:
    (found,) = folder.glob("map.*.parquet")
    return found


@pytest.mark.parametrize("how", ["flip", "cut", "append", "empty", "delete", "pipe", "folder", "swap"])
def test_a_damaged_map_is_told_and_made_again(folder, pictures, tmp_path, paint_encoder, how):
    expected, path = searched(folder, paint_encoder), map_file(folder)
    content = bytearray(path.read_bytes())
    if how == "flip":
        content[len(content) // 2] ^= 1
    if how == "swap":
        other = tmp_path / "other"
        shutil.copytree(pictures, other)
        photo(50).save(other / "50.png")
        Index.build([other], model=paint_encoder, to=tmp_path / "other.index").store.close()
        content = bytearray(map_file(tmp_path / "other.index").read_bytes())
    path.write_bytes({"cut": content[:-1], "append": content + b"\0", "empty": b""}.get(how, bytes(content)))
    if how in ("delete", "pipe", "folder"):
        path.unlink()
    if how == "pipe":
        os.mkfifo(path)
    if how == "folder":
        path.mkdir()
    assert searched(folder, paint_encoder) == expected
    index = Index.open(folder, paint_encoder)
    for ask in (lambda: index.map, lambda: index.search("red", where=["region=0"])):
        with pytest.raises(DamagedIndex, match=r"map\.\d+\.parquet .*index again"):
            ask()
    again = Index.build([pictures], model=paint_encoder, to=folder)
    assert again.map is not None and len(again.map.rows_N) == len(again)
    assert [each.name for each in folder.glob("map.*.parquet") if each.is_file()] == [again.store.meta.map_file]


def everything(folder: Path, encoder: Any) -> Any:
    index = Index.open(folder, encoder)
    saved, at = index.saved.all(), index.map.at_N2.tolist()
    found = [(hit.row, hit.caption) for hit in index.search("red", against="both", fold=True, top=20)]
    index.store.close()
    return contents_of(folder), saved, at, found, index.store.groups.numbers


@pytest.mark.parametrize("name", ["rows.sqlite", "saved.sqlite", "map"])
def test_no_changed_byte_changes_an_answer_in_silence_or_ends_in_a_bug(folder, paint_encoder, name):
    expected = everything(folder, paint_encoder)
    path = map_file(folder) if name == "map" else folder / name
    whole, chance = path.read_bytes(), random.Random(name)
    # What is used of a table: bytes that are not zero, and few of those of thumbnails, which others test.
    places = [place for place in range(len(whole)) if whole[place]]
    for place in chance.sample(places, 60):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << chance.randrange(8))]) + whole[place + 1 :])
        try:
            found = everything(folder, paint_encoder)
        except OpenAlignError:
            continue
        assert found == expected or name == "saved.sqlite"  # which has no check values: a text may change
    path.write_bytes(whole)
    assert everything(folder, paint_encoder) == expected
