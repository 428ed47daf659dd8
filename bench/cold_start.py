"""Seconds from the start of a process to its first answer over a large index, and the memory that the index takes.

    python bench/cold_start.py --work WORK --rows 1000000

The model is a CLIP of ViT-B/32 with random weights (`clip_model.py`) of `--width`; the index has made rows and a graph
(`made_index.py`; a million rows of 640 take 3 GB of disk and some minutes once, and stay in WORK). Each figure is the
median of `--repeats` starts with warm file caches, beside the same over an index of 1,000 rows: what is more is the
index, what is the same is Python, torch, transformers and the model.

- search: `openalign search INDEX "..."`, start to end of the process; memory is its highest resident set.
- serve: `openalign serve INDEX` to its first answer to `/api/search`; memory then, and after `--queries` more.
- imports: `import openalign.search.index` alone; open: the index opened in a process that has imported everything.

Resident memory is the process's own and the pages of mapped files that it has touched (the graph above 256 MiB, and
the weights of a model): these belong to the file cache, and the kernel takes them back when memory is short.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measure import show, write
from services import ROOT, free_port, load, resident_mb, service

FEW = 1000
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
OPEN = """
import sys, time
from pathlib import Path
from openalign.search.store import Store
began = time.perf_counter()
Store(Path(sys.argv[1]))
print(time.perf_counter() - began)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for model and indexes, which are kept")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--layers", type=int, default=12, help="fewer than 12: a smaller model, to try the script")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--queries", type=int, default=200)
    options = parser.parse_args()
    work = options.work.resolve() / f"{options.width}-wide-layers-{options.layers}"
    rows = []
    for count in (FEW, options.rows):
        made = [str(work), str(count), str(options.width), str(options.layers)]
        subprocess.run([sys.executable, str(ROOT / "bench/made_index.py"), *made], check=True, env=_environment())
        index = work / f"{count}.index"
        rows.append({"rows": count, **measured(index, options.repeats, options.queries)})
    few, many = rows
    rows.append({"rows": "more", **{name: round(many[name] - few[name], 2) for name in few if name != "rows"}})
    show(
        f"First answer over {options.rows:,} x {options.width}", [turned(rows, name) for name in few if name != "rows"]
    )
    print("Wrote", write("cold_start", rows, width=options.width, layers=options.layers, queries=options.queries))


def measured(index: Path, repeats: int, queries: int) -> dict[str, Any]:
    told = {
        "imports_s": median(repeats, lambda: timed("-c", "import openalign.search.index")[0]),
        "open_s": median(repeats, lambda: opened(index)),
    }
    searches = [timed("-m", "openalign", "search", str(index), "a red apple") for _ in range(repeats)]
    told["search_s"] = statistics.median(seconds for seconds, _ in searches)
    told["search_mb"] = statistics.median(mb for _, mb in searches)
    starts = [served(index, queries) for _ in range(repeats)]
    told |= {name: statistics.median(start[name] for start in starts) for name in starts[0]}
    return {name: round(value, 2) for name, value in told.items()}


def timed(*arguments: str) -> tuple[float, float]:
    """Seconds of a process of Python, and the megabytes of its largest resident set."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, env=_environment())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        raise SystemExit(f"{arguments} ended with {status}")
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def opened(index: Path) -> float:
    command = [sys.executable, "-c", OPEN, str(index)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, env=_environment()).stdout)


def served(index: Path, queries: int) -> dict[str, float]:
    port = free_port()
    command = [sys.executable, "-m", "openalign", "serve", str(index), "--port", str(port)]
    with service(command, port, ("GET", "/api/search?text=a+red+apple", None), ENVIRONMENT) as (process, seconds):
        first = resident_mb(process.pid)
        load(port, lambda number: ("GET", f"/api/search?text=a+red+apple+{number}&top=24", None), 1, queries)
        later = resident_mb(process.pid)
    return {
        "serve_s": seconds, **{f"serve_{name}_mb": value for name, value in first.items()},
        **{f"later_{name}_mb": value for name, value in later.items()},
    }  # fmt: skip


def median(repeats: int, measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(repeats))


def turned(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """A row a figure, a column an index."""
    return {"figure": name, **{f"{row['rows']}": row[name] for row in rows}}


def _environment() -> dict[str, str]:
    return {**os.environ, **ENVIRONMENT}


if __name__ == "__main__":
    main()
