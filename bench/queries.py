"""Queries over HTTP and over a command line at 100,000 rows, beside infinity-emb and rclip with the same weights.

    python bench/queries.py --work WORK --infinity INF/bin/infinity_emb --rclip RCLIP/bin/python

The model is a CLIP of ViT-B/32 with random weights (`clip_model.py`), the index made rows of its width
(`made_index.py`). INF and RCLIP are environments with infinity-emb 0.0.78 (`[server,torch]`, numpy<2, torch of the
same version as ours) and rclip 3.3.

Over HTTP, texts of five words that were not asked before, one a request; a client is a thread of this script with one
connection, and asks when it has its answer: it shares the processor with the service. `--requests` for each figure,
after a tenth as many to warm up.

- openalign: `openalign serve INDEX`; `/v1/embeddings` gives a vector, `/search` 24 rows of the index with it.
- infinity-emb: `infinity_emb v2 --engine torch --device cpu --dtype float32 --no-bettertransformer`, its batches (32)
  and all else its own; `/embeddings` gives a vector. It has no index.

Over the command line, median of `--starts` processes, from start to end: `openalign search INDEX TEXT`, and
`rclip --no-indexing TEXT` over as many rows in its own database (ONNX Runtime, and no download).
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measure import show, write
from services import ROOT, Request, free_port, load, service

PEERS = Path(__file__).parent / "peers"
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
QUIET = {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "INFINITY_ANONYMOUS_USAGE_STATS": "0"}
WORDS = ("red", "old", "small", "wooden", "white", "long", "striped", "round")
THINGS = ("apple", "bicycle", "house", "beach", "car", "flower", "river", "street")
WIDTH = 512
"""Of the vectors of rclip."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for model and index, which are kept")
    parser.add_argument("--infinity", type=Path, help="the command infinity_emb of its environment")
    parser.add_argument("--rclip", type=Path, help="Python of an environment with rclip")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--layers", type=int, default=12, help="fewer than 12: a smaller model, to try the script")
    options = parser.parse_args()
    work = options.work.resolve() / f"{WIDTH}-wide-layers-{options.layers}"
    made = [str(work), str(options.rows), str(WIDTH), str(options.layers)]
    subprocess.run([sys.executable, str(ROOT / "bench/made_index.py"), *made], check=True, env=_environment())
    rows = over_http(work, options)
    show(f"Queries over HTTP at {options.rows:,} rows", rows)
    starts = over_command_line(work, options)
    show(f"Queries over a command line at {options.rows:,} rows", starts)
    more = {"rows_of_index": options.rows, "layers": options.layers, "command_line": starts}
    print("Wrote", write("queries", rows, **more))


def over_http(work: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    port = free_port()
    ours = [sys.executable, "-m", "openalign", "serve", str(work / f"{options.rows}.index"), "--port", str(port)]
    ways: dict[str, Callable[[int], Request]] = {"/v1/embeddings": embed("/v1/embeddings"), "/search": search}
    with service(ours, port, search(0), ENVIRONMENT):
        rows = [
            figures("openalign", path, port, ask, each, options)
            for path, ask in ways.items()
            for each in options.clients
        ]
    if options.infinity:
        port = free_port()
        theirs = [
            *(str(options.infinity.absolute()), "v2", "--model-id", str(work / "clip"), "--served-model-name", "clip"),
            *("--engine", "torch", "--device", "cpu", "--dtype", "float32", "--no-bettertransformer"),
            *("--host", "127.0.0.1", "--port", str(port)),
        ]
        with service(theirs, port, embed("/embeddings")(0), QUIET):
            ask = embed("/embeddings")
            rows += [figures("infinity-emb", "/embeddings", port, ask, each, options) for each in options.clients]
    for row in rows:
        peers = [each for each in rows if each["way"] == "infinity-emb" and each["clients"] == row["clients"]]
        for peer in peers:
            row["throughput_of_infinity"] = round(row["answers_per_s"] / peer["answers_per_s"], 2)
            row["p99_of_infinity"] = round(row["p99_ms"] / peer["p99_ms"], 2)
    return rows


def figures(
    way: str, path: str, port: int, ask: Callable[[int], Request], clients: int, options: argparse.Namespace
) -> dict[str, Any]:
    before = max(clients, options.requests // 10)
    load(port, lambda number: ask(options.requests + number), clients, before)
    milliseconds, seconds = load(port, ask, clients, options.requests)
    return {
        "way": way, "path": path, "clients": clients, "answers_per_s": round(len(milliseconds) / seconds, 1),
        "p50_ms": round(float(np.percentile(milliseconds, 50)), 1),
        "p99_ms": round(float(np.percentile(milliseconds, 99)), 1),
    }  # fmt: skip


def text(number: int) -> str:
    """Words by the digits of a number to the base of eight, so that every text is another one."""
    digits = [number // 8**place % 8 for place in range(5)]
    return " ".join([*(WORDS[digit] for digit in digits[:4]), THINGS[digits[4]]])


def embed(path: str) -> Callable[[int], Request]:
    return lambda number: ("POST", path, {"model": "clip", "input": [text(number)]})


def search(number: int) -> Request:
    return "GET", f"/search?top=24&text={text(number).replace(' ', '+')}", None


def over_command_line(work: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    index = work / f"{options.rows}.index"
    ours = [sys.executable, "-m", "openalign", "search", str(index), "red old small wooden apple"]
    rows = [{"way": "openalign", **started(ours, work, ENVIRONMENT, options.starts)}]
    if options.rclip:
        python, folder = str(options.rclip.absolute()), work / "pictures"
        folder.mkdir(exist_ok=True)
        database = work / "rclip" / "db.sqlite3"
        subprocess.run([python, str(PEERS / "queries.py"), str(database), str(folder), str(options.rows)], check=True)
        theirs = [python, "-m", "rclip", "--no-indexing", "red old small wooden apple"]
        rows.append({"way": "rclip", **started(theirs, folder, {"RCLIP_DATADIR": str(work / "rclip")}, options.starts)})
    for row in rows:
        row["of_ours"] = round(row["seconds"] / rows[0]["seconds"], 2)
    return rows


def started(command: Sequence[str], folder: Path, environment: dict[str, str], starts: int) -> dict[str, Any]:
    seconds = []
    for _ in range(starts):
        began = time.perf_counter()
        ended = subprocess.run(
            command, cwd=folder, env={**os.environ, **environment}, check=True, capture_output=True, timeout=300
        )
        seconds.append(time.perf_counter() - began)
        if len(ended.stdout.splitlines()) < 10:
            raise SystemExit(f"{command} finds nothing: {ended.stdout!r} {ended.stderr!r}")
    return {"seconds": round(statistics.median(seconds), 2)}


def _environment() -> dict[str, str]:
    return {**os.environ, **ENVIRONMENT}


if __name__ == "__main__":
    main()
