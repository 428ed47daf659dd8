"""A collection holds exactly the images of the vectors, whatever happened before."""

import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from openalign.errors import OpenAlignError, UsageError
from openalign.locks import boot_id
from openalign.search import Index

pytest.importorskip("pymilvus", reason="pymilvus is not installed")
pytest.importorskip("milvus_lite", reason="Milvus Lite is not installed")

from openalign.search.milvus import state
from openalign.search.milvus.address import parse_address
from openalign.search.milvus.client import Collection
from openalign.search.milvus.state import Lease
from tests import preloaded
from tests.search.milvus.conftest import Written

pytestmark = pytest.mark.slow


def rows_of(index):
    return index.store.rows(index.store.numbers.tolist())


def names_of(index):
    return {row.name: [name for _, name, _, _ in index.store.names(row.row)] for row in rows_of(index)}


@pytest.fixture
def some() -> list[Written]:
    return [Written(f"{number}.jpg", f"text {number}") for number in range(40)]


@pytest.fixture
def count_written(monkeypatch) -> list[int]:
    written: list[int] = []
    upsert = Collection.upsert

    def counting(self, rows):
        written.extend(row["row"] for row in rows)
        upsert(self, rows)

    monkeypatch.setattr(Collection, "upsert", counting)
    return written


def test_a_run_again_writes_nothing_and_adds_and_removes_what_changed(
    some, lite, write_vectors, tmp_path, count_written, capsys
):
    Index.build(write_vectors(tmp_path / "a", some), to=lite)
    assert count_written == list(range(40))
    count_written.clear()
    before = rows_of(Index.build(tmp_path / "a", to=lite))
    assert count_written == []
    changed = [*some[1:20], Written("2.jpg", "another text", "new bytes"), *some[20:], Written("new.jpg")]
    built = Index.build(write_vectors(tmp_path / "b", [each for each in changed if each != some[2]]), to=lite)
    assert count_written == [40, 41]
    assert "2 images are no longer in the vectors and were removed" in capsys.readouterr().err
    assert len(built) == len(rows_of(built)) == 40
    assert set(rows_of(built)) - set(before) == {row for row in rows_of(built) if row.name in ("2.jpg", "new.jpg")}
    assert {hit.image for hit in Index.open(lite).search("a query", top=100)} == {each.key for each in changed}


def test_equal_files_are_one_row_with_all_names_wherever_they_come(some, lite, write_vectors, tmp_path, count_written):
    copies = [Written("copy a.jpg", "one more", "unlike 3.jpg"), Written("copy b.jpg", None, "unlike 3.jpg")]
    built = Index.build(write_vectors(tmp_path / "a", [*some, *copies]), to=lite)
    assert names_of(built)["3.jpg"] == ["3.jpg", "copy a.jpg", "copy b.jpg"]
    assert built.row(3).text == "text 3\none more"
    count_written.clear()
    Index.build(tmp_path / "a", to=lite)
    assert count_written == []
    built = Index.build(write_vectors(tmp_path / "b", [*some, copies[1]]), to=lite)
    assert names_of(built)["3.jpg"] == ["3.jpg", "copy b.jpg"] and built.row(3).text == "text 3"
    built = Index.build(write_vectors(tmp_path / "c", [*some[:3], *some[4:], copies[0]]), to=lite)
    assert names_of(built)["copy a.jpg"] == ["copy a.jpg"] and len(built) == 40


@pytest.mark.parametrize("batch", [1, 7])
def test_names_that_come_in_several_batches(some, lite, write_vectors, tmp_path, batch, monkeypatch, count_written):
    monkeypatch.setattr("openalign.search.milvus.build._BATCH", batch)
    twice = [*some, *(Written(f"copy {each.key}", "again", f"unlike {each.key}") for each in some)]
    folders = [write_vectors(tmp_path / "a", twice[:60], sources=["/a"]), write_vectors(tmp_path / "b", twice[60:])]
    built = Index.build(folders, to=lite)
    assert len(built) == 40 and {len(names) for names in names_of(built).values()} == {2}
    expected = Index.build(folders, to=tmp_path / "photos.index")
    assert rows_of(built) == rows_of(expected)
    count_written.clear()
    assert rows_of(Index.build(folders, to=lite)) == rows_of(expected)
    assert count_written == []
    built = Index.build(folders[0], to=lite)
    assert rows_of(built) == rows_of(Index.build(folders[0], to=tmp_path / "photos.index"))


def test_a_picture_with_thousands_of_names_keeps_those_that_fit(lite, write_vectors, tmp_path, capsys, count_written):
    many = [Written(f"{'x' * 90}/{number}.jpg", "blank", "blank") for number in range(900)]
    long = [Written("long.jpg", "word " * 20_000), Written("wide.jpg", "w", fields={"note": "é" * 40_000})]
    built = Index.build(write_vectors(tmp_path / "a", [*many, *long]), to=lite)
    assert "3 images have more names, texts or columns than a row of Milvus holds" in capsys.readouterr().err
    assert len(built) == 3 and 300 < len(built.store.names(0)) < 900
    assert built.row(1).text is None and built.row(2).fields is None
    count_written.clear()
    Index.build(tmp_path / "a", to=lite)
    assert count_written == []


def test_another_model_is_refused_and_so_is_another_collection(some, lite, write_vectors, tmp_path):
    vectors = write_vectors(tmp_path / "a", some)
    Index.build(vectors, to=lite)
    others = write_vectors(tmp_path / "b", some, fingerprint="beef")
    with pytest.raises(OpenAlignError, match=r"made by the model hash \(feed\), not by hash \(beef\)"):
        Index.build(others, to=lite)
    with pytest.raises(UsageError, match="has an index of the kind HNSW, not FLAT"):
        Index.build(vectors, to=f"{lite}?index=FLAT")
    with pytest.raises(UsageError, match="name a new collection"):
        Index.build(vectors, to=lite, re_embed=True)
    foreign = Collection(parse_address(f"{lite}_foreign"))
    foreign._client.create_collection("photos_foreign", dimension=4)
    for use in (lambda: Index.build(vectors, to=f"{lite}_foreign"), lambda: Index.open(f"{lite}_foreign")):
        with pytest.raises(OpenAlignError, match="is a collection of something else"):
            use()
    with pytest.raises(OpenAlignError, match="does not exist; make it with"):
        Index.open(f"{lite}_none")
    assert len(Index.open(lite)) == 40


def test_what_is_not_vectors_is_refused(paint, paint_encoder, lite, write_vectors, tmp_path):
    paint(tmp_path / "photos" / "a.png", "red")
    with pytest.raises(UsageError, match="takes vectors: embed the images with `openalign embed`"):
        Index.build(tmp_path / "photos", model=paint_encoder, to=lite)
    with pytest.raises(OpenAlignError, match="have no image"):
        Index.build(write_vectors(tmp_path / "none", []), to=lite)
    assert not (tmp_path / "store.db").exists()


@pytest.mark.parametrize("owner", ["alive", "dead", "far away", "silent"])
def test_two_runs_do_not_write_at_once(owner, some, lite, write_vectors, tmp_path):
    vectors = write_vectors(tmp_path / "a", some)
    Index.build(vectors, to=lite)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    writer = {
        "alive": {"boot": boot_id(), "process": os.getpid()},
        "dead": {"boot": boot_id(), "process": ended.pid},
        "far away": {"boot": "another", "process": 1, "beat": time.time()},
        "silent": {"boot": "another", "process": 1, "beat": time.time() - 200},
    }[owner]
    collection = Collection(parse_address(lite))
    collection.set_properties({"openalign.writer": json.dumps({"host": "h", "command": "c", "token": "t", **writer})})
    if owner in ("alive", "far away"):
        with pytest.raises(OpenAlignError, match=r"written by another run \(process \d+ on h, `c`\)"):
            Index.build(vectors, to=lite)
    else:
        assert len(Index.build(vectors, to=lite)) == 40
        assert json.loads(collection.properties()["openalign.writer"]) == {}


def test_rows_are_counted_on_from_block_to_block(some, lite, write_vectors, tmp_path, monkeypatch):
    for module in ("build", "store", "writer"):
        monkeypatch.setattr(f"openalign.search.milvus.{module}.NUMBERED", 8)
    monkeypatch.setattr("openalign.search.milvus.build._BATCH", 5)
    vectors, upsert, calls = write_vectors(tmp_path / "a", some), Collection.upsert, []

    def stopped(self, rows):
        calls.append(rows)
        if len(calls) in (4, 6):
            raise KeyboardInterrupt
        upsert(self, rows)

    monkeypatch.setattr(Collection, "upsert", stopped)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            Index.build(vectors, to=lite)
    assert len(Index.open(lite)) == Index.open(lite).store.meta.rows == 20
    built = Index.build(vectors, to=lite)
    assert built.store.numbers.tolist() == list(range(40)) and [row.row for row in built.sample(3)] == [0, 20, 39]


KILLED = """
import sys, time
from openalign.search.milvus import build
from openalign.search.milvus.client import Collection
from openalign.search import Index
build._BATCH = 5
upsert = Collection.upsert
def slow(self, rows):
    upsert(self, rows)
    print("written", flush=True)
    time.sleep(0.05)
Collection.upsert = slow
Index.build(sys.argv[1], to=sys.argv[2])
"""


def test_a_killed_run_goes_on_and_doubles_nothing(some, lite, write_vectors, tmp_path, count_written):
    vectors = write_vectors(tmp_path / "a", [*some, Written("copy.jpg", "again", "unlike 3.jpg")])
    child = preloaded.Popen([sys.executable, "-c", KILLED, vectors, lite], stdout=subprocess.PIPE)
    for _ in range(3):
        assert child.stdout.readline() == "written\n"
    child.send_signal(signal.SIGKILL)
    child.wait(20)
    built = Index.build(vectors, to=lite)
    assert 0 < len(set(count_written)) <= 27
    assert rows_of(built) == rows_of(Index.build(vectors, to=tmp_path / "photos.index"))
    assert built.store.numbers.tolist() == list(range(40))


def test_a_long_deletion_keeps_the_right_to_write(some, lite, write_vectors, tmp_path, monkeypatch):
    """Each request may take minutes, in which another machine would take the run for dead."""
    many = [*some, *(Written(f"more {number}.jpg") for number in range(2500)), Written("twice.jpg", "a", "0")]
    Index.build(write_vectors(tmp_path / "a", [*many, Written("again.jpg", "b", "0")]), to=lite)
    clock, beaten, longest = [1000.0], [1000.0], [0.0]
    monkeypatch.setattr(state, "time", SimpleNamespace(monotonic=lambda: clock[0], time=time.time))
    written, delete, upsert = Lease._write, Collection.delete, Collection.upsert

    def beat(self, writer):
        longest[0], beaten[0] = max(longest[0], clock[0] - beaten[0]), clock[0]
        written(self, writer)

    def slowly(request):
        def taking_its_time(self, *arguments):
            clock[0] += 100
            request(self, *arguments)

        return taking_its_time

    monkeypatch.setattr(Lease, "_write", beat)
    monkeypatch.setattr(Collection, "delete", slowly(delete))
    monkeypatch.setattr(Collection, "upsert", slowly(upsert))
    assert len(Index.build(write_vectors(tmp_path / "b", [*some, Written("twice.jpg", "a", "0")]), to=lite)) == 41
    assert clock[0] >= 1400 and longest[0] == 100


def test_a_run_that_was_taken_over_deletes_nothing_more(some, lite, write_vectors, tmp_path, monkeypatch):
    many = [*some, *(Written(f"more {number}.jpg") for number in range(2500))]
    Index.build(write_vectors(tmp_path / "a", many), to=lite)
    clock, deleted, delete = [1000.0], [], Collection.delete
    monkeypatch.setattr(state, "time", SimpleNamespace(monotonic=lambda: clock[0], time=time.time))

    def taken_over_meanwhile(self, numbers):
        delete(self, numbers)
        deleted.extend(numbers)
        clock[0] += 100
        self.set_properties({"openalign.writer": json.dumps({"token": "another"})})

    monkeypatch.setattr(Collection, "delete", taken_over_meanwhile)
    with pytest.raises(OpenAlignError, match="was taken over by another run"):
        Index.build(write_vectors(tmp_path / "b", some), to=lite)
    assert len(deleted) == 1024
