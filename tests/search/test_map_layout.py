"""The layout of a map: deterministic, true to neighbours, and how its regions and names come about."""

import numpy as np
import pytest
import torch

from openalign.search.map import regions
from openalign.search.map.layout import first_positions, layout
from openalign.search.map.names import names_of
from openalign.search.map.neighbours import neighbours


def blobs(clusters: int, each: int, width: int, seed: int, noise: float = 0.25) -> tuple[torch.Tensor, np.ndarray]:
    """Unit vectors around chance centres, and the number of the centre of each."""
    chance = np.random.default_rng(seed)
    kind = np.repeat(np.arange(clusters), each)
    points = chance.normal(size=(clusters, width))[kind] + noise * chance.normal(size=(len(kind), width))
    return torch.nn.functional.normalize(torch.from_numpy(points.astype(np.float32))), kind


def trustworthiness(vectors: np.ndarray, at: np.ndarray, count: int = 10) -> float:
    """Venna and Kaski 2001: 1 less the ranks by which neighbours on the map are none among the vectors."""
    total = len(at)
    order = np.argsort(-(vectors @ vectors.T) - 2 * np.eye(total), axis=1)
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(total)[None, :].repeat(total, 0), axis=1)
    away = ((at[:, None] - at[None]) ** 2).sum(-1) + np.diag(np.full(total, np.inf))
    near = np.argsort(away, axis=1)[:, :count]
    beyond = np.maximum(np.take_along_axis(rank, near, axis=1) - count, 0).sum()
    return 1 - 2 * beyond / (total * count * (2 * total - 3 * count - 1))


def laid_out(vectors: torch.Tensor, seed: int = 0) -> np.ndarray:
    return layout(*neighbours(vectors, min(15, len(vectors) - 1)), first_positions(vectors), seed=seed).numpy()


@pytest.mark.slow
def test_the_same_vectors_have_the_same_map():
    vectors, _ = blobs(4, 60, 24, seed=1)
    assert np.array_equal(laid_out(vectors), laid_out(vectors))
    assert not np.array_equal(laid_out(vectors), laid_out(vectors, seed=1))


@pytest.mark.parametrize(("clusters", "each", "width", "bound"), [(5, 80, 32, 0.9), (12, 30, 8, 0.9), (2, 10, 3, 0.75)])
def test_neighbours_stay_neighbours(clusters, each, width, bound):
    vectors, kind = blobs(clusters, each, width, seed=2)
    at = laid_out(vectors)
    assert np.isfinite(at).all()
    assert trustworthiness(vectors.numpy(), at) > bound
    away = ((at[:, None] - at[None]) ** 2).sum(-1) + np.diag(np.full(len(at), np.inf))
    assert (kind[away.argmin(1)] == kind).mean() > 0.9


def test_equal_vectors_and_zero_vectors_have_places():
    vectors = torch.zeros(40, 6)
    vectors[:20, 0] = 1
    at = laid_out(vectors)
    assert np.isfinite(at).all()


def test_neighbours_by_cells_are_nearly_those_of_a_comparison_with_all(monkeypatch):
    vectors, _ = blobs(30, 100, 16, seed=3, noise=0.5)
    exact, distances = neighbours(vectors, 10)
    monkeypatch.setattr("openalign.search.map.neighbours._EXACT_BELOW", 100)
    monkeypatch.setattr("openalign.search.map.neighbours._CELL", 100)
    found, _ = neighbours(vectors, 10)
    same = np.mean([len(set(one) & set(other)) / 10 for one, other in zip(exact.tolist(), found.tolist(), strict=True)])
    assert same > 0.9
    assert (found != torch.arange(len(vectors))[:, None]).all()
    assert torch.allclose(distances[:, 0], 1 - (vectors * vectors[exact[:, 0]]).sum(1), atol=1e-5)


@pytest.mark.parametrize("cells", [10, 40])
def test_every_row_has_neighbours_even_where_cells_are_tiny(monkeypatch, cells):
    monkeypatch.setattr("openalign.search.map.neighbours._EXACT_BELOW", 10)
    monkeypatch.setattr("openalign.search.map.neighbours._CELL", 200 // cells)
    monkeypatch.setattr("openalign.search.map.neighbours._LOOKED_AT", 1)
    vectors, _ = blobs(4, 50, 5, seed=4)
    rows, distances = neighbours(vectors, 15)
    assert torch.isfinite(distances).all()
    assert all(len(set(each)) == 15 for each in rows.tolist())


def test_hills_of_points_are_clusters_on_two_levels():
    chance = np.random.default_rng(5)
    middles = np.array([[0, 0], [10, 0], [10.0, 2.2]])
    kind = np.repeat([0, 1, 2], [300, 200, 100])
    at = (middles[kind] + 0.25 * chance.normal(size=(600, 2))).astype(np.float32)
    cluster, parents = regions.clusters(at)
    assert list(parents[parents < 0]) == [-1] * (parents < 0).sum()
    large = np.where(parents[cluster] < 0, cluster, parents[cluster])
    assert len(set(large[kind == 0])) == 1
    assert set(large[kind == 0]).isdisjoint(large[kind > 0])
    assert np.bincount(large).argmax() == 0, "the largest comes first"


@pytest.mark.parametrize("at", [np.zeros((12, 2)), np.array([[0.0, 0]] * 9 + [[1e6, 0]])])
def test_points_in_one_place_are_one_cluster(at):
    cluster, parents = regions.clusters(at.astype(np.float32))
    assert (cluster[:9] == 0).all()
    assert parents[0] == -1


def names(texts, members, captions=("a dog", "the sea"), vectors=None, embed=None):
    vectors = np.eye(len(texts), dtype=np.float32) if vectors is None else vectors
    return names_of([np.array(each) for each in members], texts, vectors, captions, embed or (lambda: 1 / 0))


def test_clusters_are_named_by_the_words_that_distinguish_them():
    texts = [
        "a photo of red running shoes",
        "a photo of running shoes in blue",
        "a photo of a cat",
        "a photo of a white cat",
    ]
    assert names(texts, [[0, 1], [2, 3]]) == ["running shoes", "cat"]


@pytest.mark.parametrize(
    ("texts", "name"),
    [(["Größe M", "größe L", "cat", "dog"], "größe"), (["t-shirt", "T-shirt", "hat", "hat"], "t-shirt")],
)
def test_names_are_words_of_any_script_in_lower_case(texts, name):
    assert names(texts, [[0, 1]]) == [name]


def test_without_texts_a_cluster_has_the_caption_that_fits_it_best():
    vectors = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.float32)
    assert names([None] * 4, [[0, 1], [2, 3]], vectors=vectors, embed=lambda: np.eye(2, dtype=np.float32)) == [
        "dog",
        "sea",
    ]


def test_without_texts_and_model_a_cluster_has_a_number():
    from openalign.errors import OpenAlignError

    def fails():
        raise OpenAlignError("no model")

    assert names([None] * 4, [[0, 1], [2, 3]], embed=fails) == ["Cluster 1", "Cluster 2"]


def test_two_clusters_with_the_same_first_words_have_different_names():
    texts = [*["a boat at sea"] * 20, "a boat at sea by night", *["grass"] * 20]
    one, other = names(texts, [range(10), range(10, 21)])
    assert one != other
    assert one.startswith("boat") and other.startswith("boat")
