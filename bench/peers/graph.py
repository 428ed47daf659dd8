"""HNSW graphs of faiss and hnswlib: what they find, how fast, how large.

python graph.py VECTORS.npz WORK LINKS VIEW_WHEN_BUILT QUERIES VIEW...
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import faiss
import hnswlib
import numpy as np

DEPTHS = (10, 60, 100, 200)


def main() -> None:
    path, work = sys.argv[1], Path(sys.argv[2])
    links, view_when_built, queries, *views = (int(part) for part in sys.argv[3:])
    faiss.omp_set_num_threads(1)
    content = np.load(path)
    rows = content["rows"].astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    told = []
    for name, build in (("faiss HNSW", by_faiss), ("faiss HNSW SQ8", by_faiss_sq8), ("hnswlib", by_hnswlib)):
        began = time.process_time()
        search, size = build(rows, links, view_when_built, work)
        built = time.process_time() - began
        for kind in ("photo", "text"):
            for view in views:
                found, rates = asked(search, content[kind][:queries], view)
                file = f"{name}-{kind}-{view}.npz".replace(" ", "-")
                np.savez(work / file, **found)
                told.append({"way": f"{name}, ef {view}", "queries": kind, "found": file, "rates": rates,
                             "build CPU s": round(built, 1), "bytes": size})  # fmt: skip
    print(json.dumps({"ways": told, "versions": {name: version(name) for name in ("faiss-cpu", "hnswlib")}}))


def asked(search, queries, view):  # type: ignore[no-untyped-def]
    """A query at a time, as a service is asked."""
    found, rates = {}, {}
    for depth in DEPTHS:
        began = time.process_time()
        found[str(depth)] = np.stack([search(query[None], depth, view) for query in queries])
        rates[f"QPS@{depth}"] = round(len(queries) / (time.process_time() - began))
    return found, rates


def by_faiss(rows, links, view_when_built, work):  # type: ignore[no-untyped-def]
    return of_faiss(faiss.IndexHNSWFlat(rows.shape[1], links, faiss.METRIC_INNER_PRODUCT), rows, view_when_built, work)


def by_faiss_sq8(rows, links, view_when_built, work):  # type: ignore[no-untyped-def]
    kind = faiss.ScalarQuantizer.QT_8bit
    index = faiss.IndexHNSWSQ(rows.shape[1], kind, links, faiss.METRIC_INNER_PRODUCT)
    return of_faiss(index, rows, view_when_built, work)


def of_faiss(index, rows, view_when_built, work):  # type: ignore[no-untyped-def]
    index.hnsw.efConstruction = view_when_built
    if not index.is_trained:
        index.train(rows)
    index.add(rows)
    faiss.write_index(index, str(work / "peer.faiss"))

    def search(query, depth, view):  # type: ignore[no-untyped-def]
        index.hnsw.efSearch = max(view, depth)
        return index.search(query, depth)[1][0]

    return search, (work / "peer.faiss").stat().st_size


def by_hnswlib(rows, links, view_when_built, work):  # type: ignore[no-untyped-def]
    index = hnswlib.Index(space="ip", dim=rows.shape[1])
    index.init_index(max_elements=len(rows), M=links, ef_construction=view_when_built, random_seed=0)
    index.set_num_threads(1)
    index.add_items(rows, num_threads=1)
    index.save_index(str(work / "peer.hnswlib"))

    def search(query, depth, view):  # type: ignore[no-untyped-def]
        index.set_ef(max(view, depth))
        return index.knn_query(query, k=depth, num_threads=1)[0][0]

    return search, (work / "peer.hnswlib").stat().st_size


if __name__ == "__main__":
    main()
