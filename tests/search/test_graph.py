import threading

import numpy as np
import pytest

from openalign.search import graph as graph_module
from openalign.search.graph import Graph, build_graph, class_of
from openalign.search.query.compose import unit
from openalign.search.watched import DamagedIndex, WatchedFile

pytestmark = pytest.mark.slow

ROWS, WIDTH = 8_000, 48


@pytest.fixture(scope="module")
def vectors():
    """Loose clusters, as embeddings of photos have them."""
    chance = np.random.default_rng(0)
    centres = chance.standard_normal((60, WIDTH))
    near = centres[chance.integers(60, size=ROWS)] + 0.7 * chance.standard_normal((ROWS, WIDTH))
    return unit(near.astype(np.float32)).astype(np.float16)


@pytest.fixture(scope="module")
def queries(vectors):
    return unit(vectors[:40].astype(np.float32) + vectors[40:80].astype(np.float32))


@pytest.fixture(scope="module")
def path(vectors, tmp_path_factory):
    return written(tmp_path_factory.mktemp("graph"), vectors)


@pytest.fixture
def graph(path):
    return opened(path)


def written(folder, vectors):
    vectors.tofile(folder / "vectors")
    build_graph(folder / "vectors", folder / "graph.usearch", *vectors.shape)
    return folder / "graph.usearch"


def opened(path, rows=ROWS, width=WIDTH):
    return Graph(WatchedFile(path), rows, width)


def best(vectors, query, count, rows):
    """The most similar ones of these rows, exactly."""
    rows = np.sort(rows)
    return rows[np.argsort(-(unit(vectors[rows].astype(np.float32)) @ query), kind="stable")[:count]]


def answer(graph, vectors, query, count, among=None):
    return best(vectors, query, count, graph.candidates(query, count, among))


def recall(graph, vectors, queries, count, among=None):
    allowed = np.arange(len(vectors)) if among is None else among
    shares = [
        np.isin(best(vectors, query, count, allowed), graph.candidates(query, count, among)).mean() for query in queries
    ]
    return np.mean(shares)


@pytest.mark.parametrize("count", [1, 10, 60, 100, 200, 300])
def test_the_candidates_hold_what_exact_search_finds(graph, vectors, queries, count):
    assert recall(graph, vectors, queries, count) >= 0.99
    assert len(graph.candidates(queries[0], count)) < ROWS / 10  # and are not simply all rows


@pytest.mark.slow
def test_rows_without_any_clusters_are_found_as_well(tmp_path):
    """The hardest case: all distances are nearly alike, and the nearest rows lie in all directions."""
    rows = unit(np.random.default_rng(3).standard_normal((6000, 64)).astype(np.float32)).astype(np.float16)
    graph = opened(written(tmp_path, rows), *rows.shape)
    asked = unit(rows[:15].astype(np.float32) + rows[15:30].astype(np.float32))
    assert recall(graph, rows, asked, 200) >= 0.99


def test_int8_alone_ranks_wide_vectors_nearly_as_float16(tmp_path, monkeypatch):
    """Times 127 and truncated, most entries of these would be 0 to 2."""
    monkeypatch.setattr(graph_module, "_SCORED", 1.0)  # as many candidates as rows asked for
    rows = unit(np.random.default_rng(1).standard_normal((1200, 2048)).astype(np.float32)).astype(np.float16)
    graph = opened(written(tmp_path, rows), *rows.shape)
    asked = unit(rows[:5].astype(np.float32) + rows[5:10].astype(np.float32))
    assert recall(graph, rows, asked, 200) >= 0.97


def test_longer_answers_begin_with_the_shorter_ones(graph, vectors, queries):
    for query in queries[:10]:
        longest = answer(graph, vectors, query, 200)
        assert len(longest) == 200
        for count in (1, 7, 60, 199):
            assert list(answer(graph, vectors, query, count)) == list(longest[:count])
        much = answer(graph, vectors, query, 400)
        assert list(answer(graph, vectors, query, 201)) == list(much[:201])
        assert np.isin(longest, much).all()


def test_counts_fall_into_classes_that_double():
    assert [class_of(count) for count in (1, 200, 201, 400, 401, 3000)] == [200, 200, 400, 400, 800, 3200]


@pytest.mark.parametrize("count", [3_000, ROWS - 1, ROWS, 5 * ROWS])
def test_answers_as_long_as_the_index_are_complete(graph, vectors, queries, count):
    found = graph.candidates(queries[0], count)
    assert len(np.unique(found)) == len(found) >= min(count, ROWS)


def filters(vectors, share):
    """Allowed rows that have nothing to do with the queries, that are like one picture, and that are unlike it."""
    chance = np.random.default_rng(2)
    order = np.argsort(-(vectors.astype(np.float32) @ vectors[5].astype(np.float32)), kind="stable")
    size = int(share * len(vectors))
    yield np.sort(chance.choice(len(vectors), size, replace=False))
    yield np.sort(order[:size])
    yield np.sort(order[-size:])


@pytest.mark.parametrize("share", [0.98, 0.5, 0.1, 0.02])
def test_among_allowed_rows_the_candidates_hold_what_exact_search_finds(graph, vectors, queries, share):
    for among in filters(vectors, share):
        for count in (10, 160):
            assert recall(graph, vectors, queries, count, among) >= 0.99
        found = graph.candidates(queries[0], 60, among)
        assert np.isin(found, among).all() and len(np.unique(found)) == len(found)
        assert list(answer(graph, vectors, queries[1], 20, among)) == list(
            answer(graph, vectors, queries[1], 150, among)[:20]
        )


def test_half_of_the_rows_are_not_compared_one_by_one(graph, vectors, queries):
    among = next(filters(vectors, 0.5))
    assert max(len(graph.candidates(query, 60, among)) for query in queries) < len(among) / 4


@pytest.mark.parametrize("allowed", [[], [0], [3, 5, ROWS - 1]])
def test_the_few_allowed_rows_are_all_candidates(graph, queries, allowed):
    among = np.array(allowed, np.int64)
    assert list(graph.candidates(queries[0], 10, among)) == allowed


def test_the_length_of_query_and_rows_does_not_matter(graph, vectors, queries, tmp_path):
    assert list(graph.candidates(1e-4 * queries[0], 10)) == list(graph.candidates(queries[0], 10))
    longer = opened(written(tmp_path, 50 * vectors[:2000]), 2000)
    assert recall(longer, vectors[:2000], queries, 100) >= 0.99


def test_rows_of_zeros_are_no_candidates_before_others(tmp_path, vectors, queries):
    rows = vectors[:2000].copy()
    rows[100:130] = 0
    rows[200:230] = 0.5  # all entries alike
    graph = opened(written(tmp_path, rows), len(rows))
    others = np.setdiff1d(np.arange(len(rows)), np.arange(100, 130))
    found = [np.isin(best(rows, query, 100, others), graph.candidates(query, 100)).mean() for query in queries]
    assert np.mean(found) >= 0.99


def test_many_threads_get_the_answers_of_one(graph, queries):
    counts = [10, 300, 900] * 8
    expected = [graph.candidates(query, count) for query, count in zip(queries, counts, strict=False)]
    found: dict[int, bool] = {}

    def search(number):
        same = [
            list(graph.candidates(query, count)) == list(rows)
            for query, count, rows in zip(queries, counts, expected, strict=False)
        ]
        found[number] = all(same)

    threads = [threading.Thread(target=search, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == dict.fromkeys(range(8), True)


def test_a_mapped_graph_answers_alike_and_is_not_searched_once_it_is_changed(
    graph, path, queries, tmp_path, monkeypatch
):
    copy = tmp_path / "graph.usearch"
    copy.write_bytes(path.read_bytes())
    monkeypatch.setattr(graph_module, "_IN_MEMORY", 0)
    mapped = opened(copy)
    assert list(mapped.candidates(queries[0], 50)) == list(graph.candidates(queries[0], 50))
    with copy.open("ab") as file:
        file.write(b"\0")
    for count in (50, ROWS):
        with pytest.raises(DamagedIndex, match="was changed after it was opened"):
            mapped.candidates(queries[0], count)


@pytest.mark.parametrize(("rows", "width"), [(ROWS - 1, WIDTH), (ROWS, WIDTH + 1)])
def test_a_graph_of_other_vectors_is_refused(path, rows, width):
    with pytest.raises(DamagedIndex, match="is not the graph of"):
        opened(path, rows, width)
