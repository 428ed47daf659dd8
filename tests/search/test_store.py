"""The files of an index: batches appended, rows removed, a graph with rows behind it, snapshots, compaction."""

import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openalign.errors import OpenAlignError
from openalign.search.query.compose import unit
from openalign.search.store import Store, evenly_spaced
from openalign.search.store.changes import Facts, Listed, NewImage
from openalign.search.store.database import opened_for_writing
from openalign.search.store.meta import Meta
from openalign.search.store.writer import IndexWriter
from openalign.search.watched import DamagedIndex

D = 32


def new_image(number: int, vector_D) -> NewImage:
    listed = Listed(0, f"{number:05}.jpg", 0, f"{number} 1", None, f"text {number}", None, None, None)
    digest = number.to_bytes(16, "little")
    return NewImage(digest, Facts(3, 4, 5), f"jpeg {number}".encode(), vector_D, [listed])


def begin(folder: Path, width: int = D) -> IndexWriter:
    folder.mkdir()
    meta = Meta(width, "m", "m", "f", ["photos"], sources_beside=[None])
    return IndexWriter(folder, meta)


def add(writer: IndexWriter, vectors_ND, first: int = 0) -> None:
    writer.add([new_image(first + at, vector_D) for at, vector_D in enumerate(vectors_ND.astype(np.float16))])


def finish(writer: IndexWriter) -> Store:
    writer.finish(writer.meta, [])
    return Store(writer.folder)


def remove(writer: IndexWriter, gone: set[int], of: int) -> None:
    writer.remove_names(0, {(f"{number:05}.jpg", 0) for number in range(of) if number not in gone})
    assert writer.remove_nameless() == len(gone)


@pytest.fixture(scope="module")
def vectors():
    return unit(np.random.default_rng(0).standard_normal((3000, D)).astype(np.float32))


@pytest.fixture(scope="module")
def scores_of(vectors):
    stored = unit(vectors.astype(np.float16).astype(np.float32))
    return lambda query: stored @ query


@pytest.fixture(scope="module")
def partly(vectors, tmp_path_factory):
    """2,000 rows in a graph and 1,000 behind it; 300 of either kind are removed."""
    writer = begin(tmp_path_factory.mktemp("partly") / "i")
    add(writer, vectors[:2000])
    writer.make_graph()
    add(writer, vectors[2000:], 2000)
    gone = {number for number in range(3000) if number % 10 == 0}
    remove(writer, gone, 3000)
    yield finish(writer), np.array(sorted(set(range(3000)) - gone))
    writer.close()


@pytest.fixture
def queries(vectors):
    return unit(vectors[:20] + 0.1 * vectors[50:70])


@pytest.mark.slow
def test_a_graph_with_rows_behind_it_finds_what_comparing_all_finds(partly, queries, scores_of):
    store, alive = partly
    found = []
    for query in queries:
        expected = alive[np.argsort(-scores_of(query)[alive], kind="stable")[:10]]
        rows, scores = store.nearest(query, 10)
        found.append(np.isin(rows, expected).mean())
        # scored exactly, whatever the graph's precision
        np.testing.assert_allclose(scores, scores_of(query)[rows], atol=1e-6)
        assert not (rows % 10 == 0).any()
    assert np.mean(found) > 0.94  # threads build the graph, each time a little otherwise


@pytest.mark.parametrize("step", [1, 2, 7, 40, 500])
@pytest.mark.parametrize("count", [1, 10, 150])
def test_a_filter_gives_as_many_as_there_are(partly, queries, scores_of, step, count):
    store, alive = partly
    among = np.arange(1, 3000, step)
    allowed = np.intersect1d(among, alive)
    shares = []
    for query in queries[:5]:
        rows, scores = store.nearest(query, count, among)
        expected = allowed[np.argsort(-scores_of(query)[allowed], kind="stable")[:count]]
        assert len(rows) == len(expected) == min(count, len(allowed))
        assert np.isin(rows, allowed).all() and len(set(rows.tolist())) == len(rows)
        assert (np.diff(scores) <= 0).all()
        shares.append(np.isin(rows, expected).mean())
        if step >= 40:
            assert list(rows) == list(expected)
    assert np.mean(shares) > 0.9


def test_an_empty_filter_finds_nothing(partly, queries):
    rows, scores = partly[0].nearest(queries[0], 5, np.empty(0, np.int64))
    assert (len(rows), len(scores)) == (0, 0)


def test_everything_can_be_asked_for(partly, queries, scores_of):
    store, alive = partly
    rows, _ = store.nearest(queries[0], 5000)
    assert list(rows) == list(alive[np.argsort(-scores_of(queries[0])[alive], kind="stable")])


def test_vectors_are_those_of_the_images_that_are_left(partly, vectors):
    store, alive = partly
    assert np.array_equal(store.numbers, alive)
    assert np.array_equal(store.vectors, vectors.astype(np.float16)[alive])
    store.check_thoroughly()


def test_comparing_all_is_exact(tmp_path, vectors, scores_of):
    writer = begin(tmp_path / "exact")
    for start in range(0, 3000, 700):
        add(writer, vectors[start : start + 700], start)
    store = finish(writer)
    query = unit(vectors[7] + vectors[8])
    rows, found = store.nearest(query, 20)
    assert list(rows) == list(np.argsort(-scores_of(query), kind="stable")[:20])
    np.testing.assert_allclose(found, scores_of(query)[rows], atol=1e-6)
    writer.close()


def answers(store: Store, query) -> list[object]:
    rows, scores = store.nearest(query, 12)
    shown = store.rows(rows.tolist())
    return [rows.tolist(), scores.tolist(), shown, [store.thumbnail(row.row) for row in shown], len(store.numbers)]


def test_an_opened_index_stays_as_it_was_while_a_writer_works(tmp_path, vectors):
    writer = begin(tmp_path / "i")
    add(writer, vectors[:300])
    writer.make_graph()
    add(writer, vectors[300:400], 300)
    query = unit(vectors[5] + vectors[310])
    opened = [(finish(writer), 400)]
    expected = [answers(opened[0][0], query)]

    def check(count: int) -> None:
        opened.append((finish(writer), count))
        expected.append(answers(opened[-1][0], query))
        for (store, images), before in zip(opened, expected, strict=True):
            assert answers(store, query) == before
            assert before[-1] == images

    add(writer, vectors[400:900], 400)
    check(900)
    remove(writer, set(range(0, 900, 3)), 900)
    check(600)
    writer.compact(with_graph=True)
    check(600)
    add(writer, vectors[900:1000], 900)
    check(700)
    writer.make_graph()
    check(700)
    writer.compact(with_graph=False)
    check(700)
    for store, _ in opened:
        store.check_thoroughly() if store is opened[-1][0] else None
        store.close()
    writer.close()
    assert sorted(path.name for path in (tmp_path / "i").iterdir()) == ["meta.json", "rows.sqlite", "vectors.3.f16"]


def test_compaction_keeps_every_image_with_its_vector_and_thumbnail(tmp_path, vectors):
    writer = begin(tmp_path / "i")
    add(writer, vectors[:1000])
    gone = set(np.random.default_rng(1).choice(1000, 400, replace=False).tolist())
    remove(writer, gone, 1000)
    writer.compact(with_graph=False)
    store = finish(writer)
    left = [number for number in range(1000) if number not in gone]
    assert (store.meta.rows, store.meta.deleted, store.numbers.tolist()) == (600, 0, list(range(600)))
    assert np.array_equal(store.vectors, vectors[left].astype(np.float16))
    for row, number in enumerate(left):
        (shown,) = store.rows([row])
        assert (shown.name, shown.text) == (f"{number:05}.jpg", f"text {number}")
        assert store.thumbnail(row) == f"jpeg {number}".encode()
    store.check_thoroughly()
    writer.close()


def test_what_a_killed_writer_left_behind_the_last_row_is_cut_off(tmp_path, vectors):
    writer = begin(tmp_path / "i")
    add(writer, vectors[:100])
    finish(writer).close()
    path = tmp_path / "i" / "vectors.1.f16"
    with path.open("ab") as file:
        file.write(b"half a vector")
    for name in ("vectors.2.f16", "graph.1.100.usearch", ".graph.1.8.0123.partial.usearch"):
        (tmp_path / "i" / name).write_bytes(b"begun")
    writer.close()
    again = IndexWriter(tmp_path / "i")
    assert path.stat().st_size == 100 * 2 * D
    add(again, vectors[100:150], 100)
    store = finish(again)
    assert np.array_equal(store.vectors, vectors[:150].astype(np.float16))
    again.close()
    store.close()
    assert sorted(path.name for path in (tmp_path / "i").iterdir()) == ["meta.json", "rows.sqlite", "vectors.1.f16"]


def test_a_batch_that_fails_changes_nothing(tmp_path, vectors):
    writer = begin(tmp_path / "i")
    add(writer, vectors[:10])
    before = answers(finish(writer), vectors[0])
    twice = replace(new_image(77, vectors[3].astype(np.float16)), digest=bytes(16))
    with pytest.raises(Exception, match="UNIQUE"):
        writer.add([new_image(50, vectors[2].astype(np.float16)), twice])
    assert writer.meta.rows == 10 and writer.is_stored
    assert answers(Store(tmp_path / "i"), vectors[0]) == before
    add(writer, vectors[10:20], 10)
    assert np.array_equal(finish(writer).vectors, vectors[:20].astype(np.float16))
    writer.close()


steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 40)),
        st.tuples(st.just("remove"), st.integers(2, 9)),
        st.sampled_from([("compact", 0), ("graph", 0), ("reopen", 0)]),
    ),
    min_size=1,
    max_size=12,
)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(steps)
def test_any_sequence_of_changes_equals_a_dictionary(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("model") / "i"
    writer = begin(folder, 4)
    expected: dict[str, np.ndarray] = {}
    noise, count = np.random.default_rng(0), 0
    for step, number in steps:
        if step == "add":
            vectors_ND = noise.standard_normal((number, 4)).astype(np.float16)
            add(writer, vectors_ND, count)
            expected |= {f"{count + at:05}.jpg": vector_D for at, vector_D in enumerate(vectors_ND)}
            count += number
        elif step == "remove":
            gone = list(expected)[::number]
            expected = {name: vector for name, vector in expected.items() if name not in gone}
            writer.remove_names(0, {(name, 0) for name in expected})
            assert writer.remove_nameless() == len(gone)
        elif step == "compact" and expected:
            writer.compact(with_graph=bool(count % 2))
        elif step == "graph" and writer.meta.rows:
            writer.make_graph()
        elif step == "reopen":
            writer.close()
            writer = IndexWriter(folder)
    store = finish(writer)
    rows = store.rows(store.numbers.tolist())
    assert [row.name for row in rows] == list(expected)
    for row, vector_D in zip(rows, expected.values(), strict=True):
        assert np.array_equal(store.vector(row.row), vector_D)
        assert store.thumbnail(row.row) == f"jpeg {int(row.name[:5])}".encode()
    if expected:
        query = unit(np.array([1, 2, 3, 4], np.float32))
        found, _ = store.nearest(query, 5)
        scores = unit(np.stack(list(expected.values())).astype(np.float32)) @ query
        best = [store.numbers[at] for at in np.argsort(-scores, kind="stable")[:5]]
        assert set(found) <= set(store.numbers) and len(found) == len(best)
    store.check_thoroughly()
    writer.close()


def test_evenly_spaced_rows_are_distinct_and_reach_both_ends():
    assert evenly_spaced(0, 5) == []
    assert evenly_spaced(3, 5) == [0, 1, 2]
    assert evenly_spaced(101, 3) == [0, 50, 100]


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.04, 0.3, 0.9])
def test_a_filter_of_many_rows_finds_what_comparing_each_of_them_finds(tmp_path, share):
    random = np.random.default_rng(5)
    vectors_ND = unit(random.standard_normal((5000, D)).astype(np.float32))
    writer = begin(tmp_path / "i")
    add(writer, vectors_ND)
    store = finish(writer)
    among = np.sort(random.choice(5000, int(share * 5000), replace=False))
    stored_ND = unit(store.vectors.astype(np.float32))
    for query_D in unit(random.standard_normal((10, D)).astype(np.float32)):
        rows, scores = store.nearest(query_D, 50, among)
        exact = stored_ND[among] @ query_D
        assert rows.tolist() == among[np.argsort(-exact, kind="stable")[:50]].tolist()
        np.testing.assert_allclose(scores, np.sort(exact)[::-1][:50], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.15, 0.3])
def test_a_filter_of_a_graph_is_compared_row_by_row_as_often_as_it_is_asked_for(tmp_path, share):
    random = np.random.default_rng(6)
    vectors_ND = unit(random.standard_normal((5000, 64)).astype(np.float32))
    writer = begin(tmp_path / "i", 64)
    add(writer, vectors_ND)
    writer.make_graph()
    store = finish(writer)
    stored_ND = unit(store.vectors.astype(np.float32))
    filters = [np.sort(random.choice(5000, int(share * 5000), replace=False)) for _ in range(2)]
    for query_D in unit(random.standard_normal((5, 64)).astype(np.float32)):
        for among in (*filters, filters[0]):
            exact = among[np.argsort(-(stored_ND[among] @ query_D), kind="stable")]
            assert store.nearest(query_D, 30, among)[0].tolist() == exact[:30].tolist()
        longer = store.nearest(query_D, 60)[0].tolist()
        assert store.nearest(query_D, 7)[0].tolist() == longer[:7] == store.nearest(query_D, 60)[0].tolist()[:7]


@pytest.mark.parametrize("read_only", ["folder", "file"])
def test_an_index_that_may_not_be_written_is_not_called_damaged(tmp_path, monkeypatch, read_only):
    folder = tmp_path / "paint.index"
    with closing(begin(folder)) as writer:
        add(writer, np.eye(3, D))
        finish(writer).close()
    (folder / "rows.sqlite-wal").mkdir()  # SQLite cannot make its log, as on a disk that is read-only
    denied = folder if read_only == "folder" else folder / "rows.sqlite"
    monkeypatch.setattr(os, "access", lambda path, mode: path != denied)
    with pytest.raises(OpenAlignError, match=r"cannot be written: it, or its disk, is read-only") as refused:
        opened_for_writing(folder / "rows.sqlite")
    assert not isinstance(refused.value, DamagedIndex)
    monkeypatch.setattr(os, "access", lambda path, mode: True)
    with pytest.raises(DamagedIndex, match=r"unable to open database file"):
        opened_for_writing(folder / "rows.sqlite")
