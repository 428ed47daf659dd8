"""The relational rules over millions of rows, and the counting of rare tokens, beside hand-written DuckDB and Polars.

    python bench/relations.py rules  --rows 5000000 --peer-python PYTHON     one that has polars and duckdb
    python bench/relations.py tokens --rows 5000000 --peer-python PYTHON

Rows are made up: texts of 1 to 24 words by Zipf's law, a fifth of them from a small pool that many images share.
`rules` makes distinct pairs of them, counts the images of each text and the texts of each image, counts unigrams, and
says which pairs break no text rule; `tokens` counts all unigrams and bigrams of the distinct texts and finds those
texts that have one outside the most frequent. Each way runs in a process of its own, on all cores, and must find the
same numbers; seconds are of the work alone, memory is the peak of the process.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
from measure import show, write

from openalign.curation.engine.local import LocalEngine
from openalign.curation.recipe import CurateRecipe
from openalign.curation.rules import relations
from openalign.curation.rules.evaluation import add_text_passes
from openalign.curation.rules.rule import Corpus
from openalign.curation.rules.table import rules_that_run

PEER = Path(__file__).parent / "peers" / "relations.py"
VOCABULARY = 100_000  # small, so that there is something to find
WORDS = 3_000_000  # that texts are made of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("rules", "tokens"))
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--memory", default="3GB", help="that DuckDB may use, ours and the peer's")
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--ways", default="openalign,duckdb,polars")
    parser.add_argument("--most-minutes", type=float, default=60, help="that each way may take")
    parser.add_argument("--work", type=Path, help="keep the rows here")
    parser.add_argument("--ours", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ours:
        print(json.dumps(ours(options.what, options.memory, *options.ours)))
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = (options.work or Path(folder)) / f"rows-{options.rows}.parquet"
        if not rows.exists():
            make_rows(rows, options.rows)
        found = []
        for way in options.ways.split(","):
            found.append(run(way, options, rows))
            show(f"{options.what}, {options.rows:,} rows", found)
            answers = {json.dumps(row["found"]) for row in found if row["found"]}
            if len(answers) > 1:
                raise SystemExit(f"the ways disagree: {answers}")
            path = write(f"relations-{options.what}-{options.rows}", found, memory=options.memory)
    print(f"Wrote {path}")


def make_rows(path: Path, rows: int) -> None:
    """Deterministic rows: `occurrence`, `image`, `text`, `page`, `host`."""
    with duckdb.connect() as database:
        database.execute(f"""
            CREATE MACRO share(key) AS (hash(key) >> 11)::DOUBLE / (1::UBIGINT << 53);
            CREATE MACRO text_of(id) AS array_to_string(list_transform(
                range((1 + floor(24 * share(id * 7 + 1)))::BIGINT),
                lambda k: 'w' || floor(pow({WORDS}, share(id * 64 + k + 13)))::BIGINT), ' ');
            COPY (
                SELECT k AS occurrence, 'https://host' || i % 5003 || '.example/' ||
                    (CASE WHEN i % 6 = 0 THEN i // 12 ELSE i END) || '.jpg' AS image,
                    text_of(CASE WHEN i % 5 = 0 THEN floor(pow(100000, share(i * 3 + 5)))::BIGINT ELSE i END) AS text,
                    'https://host' || i % 5003 || '.example/' || i // 20 || '.html' AS page,
                    'host' || i % 5003 || '.example' AS host
                FROM (SELECT CASE WHEN k % 9 = 0 THEN k // 2 ELSE k END AS i, k FROM range({rows}) AS numbers(k))
            ) TO '{path}' (FORMAT parquet)
        """)


def run(way: str, options: argparse.Namespace, rows: Path) -> dict[str, object]:
    with tempfile.TemporaryDirectory(dir=rows.parent) as work:
        if way == "openalign":
            command = [sys.executable, __file__, options.what, "--memory", options.memory, "--ours", str(rows), work]
        else:
            command = [options.peer_python, str(PEER), way, options.what, options.memory, str(rows), work]
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60 * options.most_minutes)
        except subprocess.TimeoutExpired:
            return {"way": way, "s": f"more than {60 * options.most_minutes:g}", "memory MB": None, "found": None}
    if done.returncode:
        return {"way": way, "s": f"failed ({done.returncode})", "memory MB": None, "found": None}
    return {"way": way, **json.loads(done.stdout)}


def ours(what: str, memory: str, rows: Path, work: Path) -> dict[str, object]:
    settings = CurateRecipe.of(vocabulary=VOCABULARY) if what == "tokens" else CurateRecipe.of(vocabulary=10**12)
    with LocalEngine(work, os.cpu_count() or 1, int(memory.removesuffix("GB")) * 1024) as engine:
        began = time.perf_counter()
        if what == "tokens":
            pairs = relations.collect_pairs(engine, engine.read([rows]))
            began = time.perf_counter()  # the pairs are what both count from
            texts = relations.collect_texts(engine, pairs, settings.text.vocabulary, [])
            found = [texts.count().execute(), texts.rare.sum().execute()]
        else:
            pairs = relations.count_pairs(engine, engine.read([rows]), settings.text.vocabulary, [])
            rules = [rule for rule in rules_that_run(settings, has_test_set=False) if not rule.of_image]
            counted = add_text_passes(Corpus(engine, settings, pairs), rules).pairs
            found = [counted.count().execute(), counted.text_passes.sum().execute()]
        seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"s": round(seconds, 1), "memory MB": peak, "found": [int(number) for number in found]}


if __name__ == "__main__":
    main()
