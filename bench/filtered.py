"""Search among the rows that a condition allows: recall and time beside LanceDB and zvec.

    python bench/filtered.py VECTORS/640.npz --peer-python PEER/bin/python

VECTORS is what graph_vectors.py wrote: 60,000 embeddings of real pictures, and 500 pictures that ask for them. PEER has
lancedb and zvec. Each row has a number `part`, drawn evenly from 0 to 999, on which the peers have an index of their
own; the condition `part<N` allows 0.1, 1, 10, 50 and 100 % of the rows. Ours is `Index.search(row=...)` whole: the
condition looked up in the table of rows, the vectors, the mark and the ten rows read; the peers give numbers of rows.
Recall counts a row as right if it is as similar as the tenth of the exact answer.
"""

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import show, write
from numpy.typing import NDArray
from PIL import Image

from openalign.model.dual_encoder import DualEncoder
from openalign.search import Index

PEER = Path(__file__).parent / "peers" / "filtered.py"
PARTS, TOP, TIE = 1000, 10, 1e-3
MOST = (1, 10, 100, 500, 1000)
"""Parts allowed, of a thousand."""


class Given(DualEncoder):  # type: ignore[misc]
    """Gives each picture the row that its three bytes name."""

    name, fingerprint, image_size, temperature = "given", "00", 1, 0.1

    def __init__(self, rows_ND: NDArray[np.float32]) -> None:
        self.rows_ND, self.width = rows_ND, rows_ND.shape[1]

    def prepare(self, image: Any) -> Any:
        from openalign.data.images.read import read_image

        return read_image(image)[0, 0].astype(np.int64)

    def _embed_prepared(self, images: Any) -> torch.Tensor:
        return torch.from_numpy(self.rows_ND[images @ np.array([1, 256, 65536])])

    def _embed_text_batch(self, texts: Any) -> torch.Tensor:
        drawn = np.random.default_rng(len(texts)).standard_normal((len(texts), self.width))
        return torch.nn.functional.normalize(torch.tensor(drawn.astype(np.float32)), dim=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vectors", type=Path)
    parser.add_argument("--peer-python", help="Python of an environment with lancedb and zvec")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--rows", type=int, default=60_000)
    options = parser.parse_args()
    content = np.load(options.vectors)
    rows_ND = unit(content["rows"][: options.rows].astype(np.float32))
    queries_QD = unit(content["photo"][: options.queries].astype(np.float32))
    part_N = np.random.default_rng(0).integers(0, PARTS, len(rows_ND))
    rows, versions = [], {}
    with tempfile.TemporaryDirectory() as folder:
        rows += ours(rows_ND, queries_QD, part_N, Path(folder))
        if options.peer_python:
            found, versions = peers(options.peer_python, rows_ND, queries_QD, part_N, Path(folder))
            rows += found
    for row in rows:
        (whole,) = (each["p50_ms"] for each in rows if each["way"] == row["way"] and each["allowed_%"] == 100)
        row["of unfiltered"] = round(row["p50_ms"] / whole, 2)
    show(f"Filtered search, {len(rows_ND):,} x {rows_ND.shape[1]}, top {TOP}", rows)
    print("Wrote", write("filtered", rows, vectors=len(rows_ND), width=rows_ND.shape[1], libraries=versions))


def ours(
    rows_ND: NDArray[np.float32], queries_QD: NDArray[np.float32], part_N: NDArray[np.int64], folder: Path
) -> list[dict[str, Any]]:
    photos = folder / "photos"
    photos.mkdir()
    table = ["file,part"]
    for row, part in enumerate(part_N.tolist()):
        colour = (row % 256, row // 256 % 256, row // 65536)
        Image.new("RGB", (1, 1), colour).save(photos / f"{row:06}.png")
        table.append(f"{row:06}.png,{part}")
    (photos / "pairs.csv").write_text("\n".join(table) + "\n", encoding="utf-8")
    index = Index.build(photos, model=Given(rows_ND), to=folder / "rows.index", map_=False)
    names = [int(row.image.rpartition("/")[2].partition(".")[0]) for row in index.store.rows(index.store.numbers)]
    told = []
    for most in MOST:
        where = [f"part<{most}"] if most < PARTS else []
        # It remembers the rows of conditions, which are kept on, but also queries, which are to be new.
        index = Index.open(folder / "rows.index", Given(rows_ND))
        found, seconds = [], []
        for query_D in queries_QD:
            began = time.perf_counter()
            hits = _search(index, query_D, where)
            seconds.append(time.perf_counter() - began)
            found.append([names[hit] for hit in hits])
        p50 = 1000 * float(np.median(seconds[len(seconds) // 10 :]))
        told.append(figures("openalign", most, found, p50, rows_ND, queries_QD, part_N))
    return told


def _search(index: Index, query_D: NDArray[np.float32], where: list[str]) -> list[int]:
    """`Index.search` with a vector in place of a model's."""
    index.embed_query = lambda *_, **__: query_D  # type: ignore[method-assign]
    return [hit.row for hit in index.search("given", where=where, top=TOP)]


def peers(
    python: str,
    rows_ND: NDArray[np.float32],
    queries_QD: NDArray[np.float32],
    part_N: NDArray[np.int64],
    folder: Path,
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    path = folder / "content.npz"
    np.savez(path, rows=rows_ND, queries=queries_QD, part=part_N, most=np.array(MOST))
    ended = subprocess.run([python, str(PEER), str(path), str(folder)], check=True, stdout=subprocess.PIPE, text=True)
    told = json.loads(ended.stdout.splitlines()[-1])
    rows = [
        figures(way["way"], way["most"], way["found"], way["p50_ms"], rows_ND, queries_QD, part_N)
        for way in told["ways"]
    ]
    return rows, told["versions"]


def figures(
    way: str,
    most: int,
    found: list[list[int]],
    p50_ms: float,
    rows_ND: NDArray[np.float32],
    queries_QD: NDArray[np.float32],
    part_N: NDArray[np.int64],
) -> dict[str, Any]:
    """Recall against the exact answer among the allowed rows."""
    allowed = part_N < most
    similarities_QN = np.where(allowed, queries_QD @ rows_ND.T, -2)
    count = min(TOP, int(allowed.sum()))
    tenth_Q = np.partition(similarities_QN, -count, axis=1)[:, -count]
    right = [(similarities_QN[query, rows] >= tenth_Q[query] - TIE).sum() / count for query, rows in enumerate(found)]
    return {
        "way": way, "allowed_%": 100 * most / PARTS, "allowed rows": int(allowed.sum()),
        "recall@10": round(float(np.mean(right)), 4), "p50_ms": round(p50_ms, 2),
    }  # fmt: skip


def unit(vectors_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors_ND / np.linalg.norm(vectors_ND, axis=1, keepdims=True), np.float32)


if __name__ == "__main__":
    main()
