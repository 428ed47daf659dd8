"""The graph of a large index against exact search: recall at every depth, queries a second, seconds to build, bytes.

    python bench/graph.py VECTORS --peer-python PEER/bin/python

VECTORS is what graph_vectors.py wrote: for each set 60,000 rows and two kinds of queries. PEER has faiss-cpu and
hnswlib. All graphs have 16 links a node (32 in the lowest layer) and keep 256 nodes in view while they are built, but
for `before`, which is built as the library ships; all vectors have unit length. Queries run in one thread, and times
are CPU time, which other work on the machine changes less than the clock. Recall counts a row as right if it is as
similar as the last one of the exact answer: pictures that occur twice are ties. Only ours and what it was before
compare candidates with float16 vectors. `prefix` is the share of queries whose top 10, 60 and 100 are the beginning of
their top 200.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import usearch.index
from measure import show, write
from numpy.typing import NDArray

from openalign.search import graph as ours
from openalign.search.query.compose import unit
from openalign.search.watched import WatchedFile

PEER = Path(__file__).parent / "peers" / "graph.py"
DEPTHS = (10, 60, 100, 200)
LINKS, VIEW_WHEN_BUILT = 16, 256
VIEWS = (64, 256, 800)
SHARES = (0.5, 0.1)
FILTERED = 50  # queries with each filter
TIE = 1e-6
Rows = NDArray[np.int64]
Vectors = NDArray[np.float32]
Search = Callable[[Vectors, int], Rows]
"""A query and how many -> the rows found."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vectors", type=Path)
    parser.add_argument("--peer-python", help="Python of an environment with faiss-cpu and hnswlib")
    parser.add_argument("--peer-sets", default=["640"], type=lambda given: given.split(","))
    parser.add_argument("--queries", type=int, default=500, help="of each kind")
    options = parser.parse_args()
    results: dict[str, Any] = {"rows": [], "sets": [], "filtered": [], "libraries": {"usearch": usearch.__version__}}
    paths = [*sorted(options.vectors.glob("[0-9]*.npz"), reverse=True), options.vectors / "made.npz"]
    for path in paths:
        data = Data(path, options.queries)
        results["sets"].append(data.described())
        results["rows"] += by_this_package(data, results["filtered"])
        print("Wrote", write("graph", **results), flush=True)
    for path in paths:
        if path.stem in options.peer_sets:
            data = Data(path, options.queries)
            for name, search, built in libraries(data):
                results["rows"] += [scored(name, search, data, kind, built) for kind in data.queries]
            if options.peer_python:
                rows, versions = peers(options.peer_python, path, data)
                results["rows"] += rows
                results["libraries"] |= versions
            print("Wrote", write("graph", **results), flush=True)
    shown = ("way", "set", "queries", "prefix", "recall@", "QPS@10", "QPS@200", "build")
    show("All rows", [{key: value for key, value in row.items() if key.startswith(shown)} for row in results["rows"]])
    show("Filtered", results["filtered"])


class Data:
    """The rows and queries of a set, and the exact answers."""

    def __init__(self, path: Path, queries: int) -> None:
        content = np.load(path)
        self.name = path.stem
        self.rows16 = content["rows"]
        self.rows = unit(self.rows16.astype(np.float32))
        self.width = self.rows.shape[1]
        self.queries = {kind: content[kind][:queries] for kind in ("photo", "text")}
        self.similarities = {kind: queries @ self.rows.T for kind, queries in self.queries.items()}

    def described(self) -> dict[str, Any]:
        """How spread the vectors are: recall is easy where there are few directions."""
        variances = np.linalg.svd(self.rows[::10], compute_uv=False).astype(np.float64) ** 2
        one, other = np.random.default_rng(0).integers(len(self.rows), size=(2, 20_000))
        cosines = (self.rows[one] * self.rows[other]).sum(1)
        return {
            "set": self.name,
            "rows": len(self.rows),
            "directions": round(float(variances.sum() ** 2 / (variances**2).sum()), 1),
            "cosine of strangers": [round(float(cosines.mean()), 3), round(float(cosines.std()), 3)],
        }


class Ours:
    """The package's graph, and its candidates scored with the float16 vectors."""

    def __init__(self, data: Data, work: Path) -> None:
        data.rows16.tofile(work / "vectors.f16")
        ours.build_graph(work / "vectors.f16", work / "graph.usearch", len(data.rows16), data.width)
        self.data = data
        self.bytes = (work / "graph.usearch").stat().st_size
        self.graph = ours.Graph(WatchedFile(work / "graph.usearch"), len(data.rows16), data.width)

    def search(self, query_D: Vectors, count: int, among: Rows | None = None) -> Rows:
        return rescored(self.data, query_D, self.graph.candidates(query_D, count, among), count)


def rescored(data: Data, query_D: Vectors, candidates: Rows, count: int) -> Rows:
    """The best of the candidates by their float16 vectors."""
    candidates = np.sort(candidates)
    scores = unit(data.rows16[candidates].astype(np.float32)) @ query_D
    return candidates[np.argsort(-scores, kind="stable")[:count]]


def by_this_package(data: Data, filtered: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Ours, what was before, and into `filtered` ours among some rows."""
    with tempfile.TemporaryDirectory() as work:
        began = time.process_time()
        now = Ours(data, Path(work))
        built = costs(began, now.bytes, data)
        for kind in data.queries:
            yield scored("openalign", now.search, data, kind, built)
            filtered += filters(now, data, kind)
    began = time.process_time()
    index = usearch.index.Index(ndim=data.width, metric="cos", dtype="i8", expansion_search=256)
    index.add(np.arange(len(data.rows16)), data.rows16, threads=1)
    built = costs(began, index.serialized_length, data)
    for kind in data.queries:
        yield scored("before", lambda query, count: before(index, data, query, count), data, kind, built)


def libraries(data: Data) -> Iterator[tuple[str, Search, dict[str, Any]]]:
    """The library without this package: the name, how it searches, and its costs."""
    for dtype in ("i8", "f16"):
        began = time.process_time()
        index = usearch.index.Index(
            ndim=data.width, metric="cos", dtype=dtype, connectivity=LINKS, expansion_add=VIEW_WHEN_BUILT
        )
        index.add(np.arange(len(data.rows16)), data.rows16, threads=1)
        built = costs(began, index.serialized_length, data)
        for view in VIEWS:
            index.expansion_search = view
            yield f"usearch {dtype}, ef {view}", lambda query, count, index=index: keys_of(index, query, count), built


def before(index: usearch.index.Index, data: Data, query_D: Vectors, count: int) -> Rows:
    """What this package did until November 2026: float queries and rows, 256 in view, 4 x as many candidates."""
    return rescored(data, query_D, keys_of(index, query_D, max(4 * count, 64)), count)


def keys_of(index: usearch.index.Index, query_D: Vectors, count: int) -> Rows:
    return np.asarray(index.search(query_D, count, threads=1).keys, dtype=np.int64)


def costs(began: float, size: int, data: Data) -> dict[str, Any]:
    return {
        "build CPU s": round(time.process_time() - began, 1),
        "bytes a row": round(size / len(data.rows16)),
        "of float16": round(size / data.rows16.nbytes, 2),
    }


def scored(name: str, search: Search, data: Data, kind: str, built: dict[str, Any]) -> dict[str, Any]:
    """Recall and queries a second at each depth."""
    found: dict[int, list[Rows]] = {}
    rates = {}
    for depth in DEPTHS:
        began = time.process_time()
        found[depth] = [search(query, depth) for query in data.queries[kind]]
        rates[f"QPS@{depth}"] = round(len(data.queries[kind]) / (time.process_time() - began))
    return figures(name, data, kind, found, rates, built)


def figures(
    name: str, data: Data, kind: str, found: dict[int, list[Rows]], rates: dict[str, int], built: dict[str, Any]
) -> dict[str, Any]:
    recalls = {depth: recall(data.similarities[kind], rows, depth) for depth, rows in found.items()}
    pairs = [(found[depth][query], rows) for query, rows in enumerate(found[max(DEPTHS)]) for depth in DEPTHS]
    begins = [list(short) == list(longest[: len(short)]) for short, longest in pairs]
    return {
        "way": name,
        "set": data.name,
        "queries": kind,
        **{f"recall@{depth}": round(float(each.mean()), 4) for depth, each in recalls.items()},
        **{f"worst@{depth}": round(float(each.min()), 3) for depth, each in recalls.items()},
        "prefix": round(float(np.reshape(begins, (-1, len(DEPTHS))).all(1).mean()), 3),
        **rates,
        **built,
    }


def recall(similarities_QN: Vectors, found: list[Rows], depth: int) -> NDArray[np.float64]:
    """For each query the share of its answer that is as similar as the last row of the exact answer."""
    return np.array([
        (row[rows[:depth]] >= np.partition(row, -depth)[-depth] - TIE).sum() / depth
        for row, rows in zip(similarities_QN, found, strict=True)
    ])  # fmt: skip


def filters(found_by: Ours, data: Data, kind: str) -> Iterator[dict[str, Any]]:
    """Filters that know nothing of the query, and such as allow the rows that are most or least like one picture."""
    chance = np.random.default_rng(0)
    order = np.argsort(-(data.rows @ data.queries["photo"][0]), kind="stable")
    count = len(order)
    for share in SHARES:
        allowed = {
            "random": np.sort(chance.choice(count, int(share * count), replace=False)),
            "like a photo": np.sort(order[: int(share * count)]),
            "unlike it": np.sort(order[-int(share * count) :]),
        }
        for name, among in allowed.items():
            similarities = np.full_like(data.similarities[kind][:FILTERED], -2)
            similarities[:, among] = data.similarities[kind][:FILTERED, among]
            queries = data.queries[kind][:FILTERED]
            candidates = [len(found_by.graph.candidates(query, 10, among)) for query in queries]
            began = time.process_time()
            found = [found_by.search(query, max(DEPTHS), among) for query in queries]
            rate = len(found) / (time.process_time() - began)
            row: dict[str, Any] = {"filter": name, "share": share, "set": data.name, "queries": kind}
            for depth in (10, max(DEPTHS)):
                each = recall(similarities, found, depth)
                row |= {f"recall@{depth}": round(float(each.mean()), 4), f"worst@{depth}": round(float(each.min()), 3)}
            yield {
                **row,
                "QPS": round(rate),
                "compared with all": round(float(np.mean(np.equal(candidates, len(among)))), 2),
            }


def peers(python: str, path: Path, data: Data) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """What faiss and hnswlib find, in an environment of their own."""
    with tempfile.TemporaryDirectory() as folder:
        numbers = (LINKS, VIEW_WHEN_BUILT, len(data.queries["text"]), *VIEWS)
        command = [python, str(PEER), str(path), folder, *map(str, numbers)]
        one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
        told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=one_thread).stdout)
        rows = []
        for way in told["ways"]:
            content = np.load(Path(folder) / way["found"])
            found = {depth: list(content[str(depth)].astype(np.int64)) for depth in DEPTHS}
            built = {
                "build CPU s": way["build CPU s"],
                "bytes a row": round(way["bytes"] / len(data.rows)),
                "of float16": round(way["bytes"] / data.rows16.nbytes, 2),
            }
            rows.append(figures(way["way"], data, way["queries"], found, way["rates"], built))
    return rows, told["versions"]


if __name__ == "__main__":
    main()
