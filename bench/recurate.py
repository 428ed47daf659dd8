"""CPU time of a curation, and of further ones into the same folder with another threshold.

    python bench/recurate.py --web ../shared/data/web --scenes 4000

Two crawls: that in the folder `--web`, of real pages, and one of drawn scenes, made for the occasion. Each run is a
command of its own, whose user and system time count, those of its processes included: starting Python and importing
libraries takes some 0.6 s of each, and is named apart. Nothing is downloaded. Python's byte code is cached, as it is
where openalign is installed.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from measure import show, write

from openalign.demo.web import make_web

CHANGES = ("min_shorter_side=100", "max_aspect_ratio=2", "min_words=2", "jpeg_quality=80")
"""The last is no threshold: it changes what is stored, so that every image is inspected again."""
IMPORTS = "import gc, os; gc.disable(); import openalign.commands.curate, openalign.curation.pipeline; os._exit(0)"
"""As the command does it, which ends without freeing what it imported."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--web", type=Path, required=True, help="folder of WARC files")
    parser.add_argument("--scenes", type=int, default=4000, help="drawn scenes of the other crawl")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    _cpu_seconds([sys.executable, "-c", IMPORTS])  # compiles them
    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder) / "drawn"
        make_web(drawn, scenes=options.scenes, test_scenes=10)
        rows = [*_rows("real pages", options.web, Path(folder) / "a", options.workers)]
        rows += _rows(f"{options.scenes:,} drawn scenes", drawn / "web", Path(folder) / "b", options.workers)
    imports = _cpu_seconds([sys.executable, "-c", IMPORTS])
    show("Curating again with another setting", rows)
    print(f"Wrote {write('recurate', rows, imports_cpu_s=round(imports, 2), workers=options.workers)}")


def _rows(name: str, crawl: Path, to: Path, workers: int) -> list[dict[str, object]]:
    files = sorted(map(str, crawl.glob("*.warc.gz")))
    command = [sys.executable, "-m", "openalign", "curate", *files, "--to", str(to), "--workers", str(workers)]
    command += ["--set", "download=false"]
    first = _cpu_seconds(command)
    rows: list[dict[str, object]] = [{"crawl": name, "run": "first", "CPU s": round(first, 1), "times cheaper": 1.0}]
    for change in CHANGES:
        again = _cpu_seconds([*command, "--set", change])
        rows.append({"crawl": name, "run": change, "CPU s": round(again, 1), "times cheaper": round(first / again, 1)})
    return rows


def _cpu_seconds(command: Sequence[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=1800, env=kept)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
