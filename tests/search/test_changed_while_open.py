"""An index whose files change, or that is replaced, while it is open; what a rebuild never replaces."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from openalign.errors import OpenAlignError
from openalign.search import Index, graph
from openalign.search.query.compose import unit
from openalign.search.store import opening, vectors
from openalign.search.watched import DamagedIndex


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
    monkeypatch.setattr(opening, "_IN_MEMORY", 0)
    monkeypatch.setattr(vectors, "_READ_BYTES", 20)
    opened = Index.open(folder)
    rows, scores = opened.store.nearest(query, 8)
    assert list(rows) == list(expected)
    assert np.array_equal(scores, expected_scores)
    overwrite(folder / "vectors.1.f16", b"")
    with pytest.raises(DamagedIndex, match=r"vectors\.1\.f16 was truncated"):
        opened.store.nearest(query, 8)
