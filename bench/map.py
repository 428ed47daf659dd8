"""The map of a collection against umap-learn: seconds, CPU seconds, memory, and how true to neighbours it is.

    python bench/map.py VECTORS/640.npz --peer-python PEER/bin/python --size 10000 100000

VECTORS is what graph_vectors.py wrote: 60,000 embeddings of real pictures. A larger set has, besides, the middles
between pictures and one of their neighbours. PEER has umap-learn (with its defaults, cosine distances and all cores; it
has compiled its code before it is timed, and its import is timed apart). Each runs in a process of its own.
Trustworthiness is scikit-learn's, of the 15 nearest in a sample of 5,000 rows, the same for both.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measure import show, write
from numpy.typing import NDArray

PEER = Path(__file__).parent / "peers" / "map.py"
SAMPLE = 5_000
OURS = """
import resource, sys, time
began = time.perf_counter()
import numpy as np, torch
from openalign.search.map.layout import NEIGHBOURS, first_positions, layout
from openalign.search.map.neighbours import neighbours
imported, cpu = time.perf_counter(), time.process_time()
vectors = torch.nn.functional.normalize(torch.from_numpy(np.load(sys.argv[1])))
found = neighbours(vectors, NEIGHBOURS)
known = time.perf_counter()
at = layout(*found, first_positions(vectors)).numpy()
ended = time.perf_counter()
np.save(sys.argv[2], at)
print([imported - began, known - imported, ended - imported, time.process_time() - cpu,
       resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024])
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vectors", type=Path)
    parser.add_argument("--peer-python", required=True, help="Python of an environment with umap-learn")
    parser.add_argument("--size", type=int, nargs="+", default=[10_000, 100_000])
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for size in options.size:
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            np.save(work / "vectors.npy", drawn(np.load(options.vectors)["rows"].astype(np.float32), size))
            rows += compared(options.peer_python, work, size)
        print("Wrote", write("map", rows, load_average=[round(each, 1) for each in os.getloadavg()]))
    show("Maps", rows)


def drawn(rows_ND: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """`size` of the rows, or all of them and middles between neighbours, in chance order."""
    chance = np.random.default_rng(0)
    rows_ND = rows_ND[chance.permutation(len(rows_ND))]
    if size <= len(rows_ND):
        return rows_ND[:size]
    import torch

    from openalign.search.map.neighbours import neighbours

    more = size - len(rows_ND)
    found = neighbours(torch.nn.functional.normalize(torch.from_numpy(rows_ND)), 15)[0].numpy()
    one = chance.integers(len(rows_ND), size=more)
    other = found[one, chance.integers(15, size=more)]
    return np.concatenate([rows_ND, (rows_ND[one] + rows_ND[other]) / 2])[chance.permutation(size)]


def compared(peer: str, work: Path, size: int) -> list[dict[str, Any]]:
    vectors, ours, theirs = work / "vectors.npy", work / "ours.npy", work / "theirs.npy"
    told = {
        "openalign": told_by([sys.executable, "-c", OURS, vectors, ours]),
        "umap-learn": told_by([peer, PEER, "fit", vectors, theirs]),
    }
    trust = told_by([peer, PEER, "trust", SAMPLE, vectors, ours, theirs])
    return [
        {
            "way": way,
            "rows": size,
            "import s": round(imported, 2),
            "neighbours s": round(known, 1) if known else "",
            "map s": round(whole, 1),
            "CPU s": round(cpu, 1),
            "memory MB": round(memory / 2**20),
            "trustworthiness": round(trusted, 4),
        }
        for (way, (imported, known, whole, cpu, memory)), trusted in zip(told.items(), trust, strict=True)
    ]


def told_by(command: list[Any]) -> list[float]:
    """The list that a process prints last."""
    ended = subprocess.run([str(each) for each in command], check=True, stdout=subprocess.PIPE, text=True)
    found: list[float] = json.loads(ended.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
