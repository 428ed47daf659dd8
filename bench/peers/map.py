"""umap-learn on vectors, and the trustworthiness of maps.

python map.py fit VECTORS.npy TO.npy
python map.py trust SAMPLE VECTORS.npy MAP.npy...
"""

import resource
import sys
import time

import numpy as np


def fit(vectors, to):  # type: ignore[no-untyped-def]
    began = time.perf_counter()
    import umap

    imported = time.perf_counter() - began
    rows = np.load(vectors)
    umap.UMAP(metric="cosine").fit_transform(rows[:1000])  # compiles
    umap.UMAP(metric="cosine").fit_transform(rows[:5000])  # another path, from 4,096 rows on
    began, cpu = time.perf_counter(), time.process_time()
    at = umap.UMAP(metric="cosine").fit_transform(rows)
    whole, cpu = time.perf_counter() - began, time.process_time() - cpu
    np.save(to, at)
    print([imported, 0, whole, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024])


def trust(sample, vectors, *maps):  # type: ignore[no-untyped-def]
    from sklearn.manifold import trustworthiness

    rows = np.load(vectors)
    some = np.random.default_rng(0).permutation(len(rows))[: int(sample)]
    print([float(trustworthiness(rows[some], np.load(each)[some], n_neighbors=15, metric="cosine")) for each in maps])


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
