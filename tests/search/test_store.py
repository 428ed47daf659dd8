import numpy as np
import pytest

from openalign.checksums import write_checksums
from openalign.search import writer
from openalign.search.meta import Meta
from openalign.search.query.compose import unit
from openalign.search.rows import Row
from openalign.search.store import Store, evenly_spaced
from openalign.search.writer import StoreWriter


def write(folder, vectors):
    folder.mkdir()
    writing = StoreWriter(folder)
    rows = [Row(-1, f"{number}.jpg", None, None, 1, 1, 0, number, bytes(16)) for number in range(len(vectors))]
    writing.add(rows, [b""] * len(vectors), vectors.astype(np.float16))
    writing.finish(Meta(len(vectors), vectors.shape[1], "m", "m", "f", ["photos"]), [])
    writing.close()
    write_checksums(folder)
    return Store(folder)


@pytest.fixture
def vectors():
    return unit(np.random.default_rng(0).standard_normal((3000, 32)).astype(np.float32))


def test_with_many_rows_a_graph_finds_what_comparing_all_finds(tmp_path, vectors, monkeypatch):
    exact = write(tmp_path / "exact", vectors)
    monkeypatch.setattr(writer, "EXACT_BELOW", 1000)
    graph = write(tmp_path / "graph", vectors)
    assert (tmp_path / "graph" / "graph.usearch").exists() and not (tmp_path / "exact" / "graph.usearch").exists()
    found = []
    for query in unit(vectors[:50] + 0.1 * vectors[50:100]):
        expected, _ = exact.nearest(query, 10)
        rows, scores = graph.nearest(query, 10)
        found.append(np.isin(rows, expected).mean())
        # scored exactly, whatever the graph's precision
        np.testing.assert_allclose(scores, unit(vectors.astype(np.float16).astype(np.float32))[rows] @ query, atol=1e-6)
    assert np.mean(found) > 0.94  # threads build the graph, each time a little otherwise


def test_comparing_all_is_exact(tmp_path, vectors):
    opened = write(tmp_path / "exact", vectors)
    query = unit(vectors[7] + vectors[8])
    scores = unit(vectors.astype(np.float16).astype(np.float32)) @ query
    rows, found = opened.nearest(query, 20)
    assert list(rows) == list(np.argsort(-scores, kind="stable")[:20])
    np.testing.assert_allclose(found, scores[rows], atol=1e-6)


def test_evenly_spaced_rows_are_distinct_and_reach_both_ends():
    assert evenly_spaced(0, 5) == []
    assert evenly_spaced(3, 5) == [0, 1, 2]
    assert evenly_spaced(101, 3) == [0, 50, 100]
