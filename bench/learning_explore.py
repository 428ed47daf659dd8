"""What makes learning from little data in little time work: one change to recipes/laptop.toml at a time.

    python bench/learning_explore.py DATA/fashion NAME [--set KEY=VALUE ...] [--minutes 5 | --steps 600] [--work FOLDER]

A run learns from the training titles less some that stand on one photo each, and is scored on those, never on `val`
(bench/learning.py says how, and how a budget becomes steps). One thread, so that two runs side by side do not disturb
each other; each appends a line to results/learning_explore.jsonl.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

from learning import CORES, VOCABULARY, openalign_run, prepare, scored
from measure import RESULTS, environment, show


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("name", help="of the change, as the table is to call it")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change recipes/laptop.toml")
    parser.add_argument("--vocabulary", type=int, default=VOCABULARY, help="word pieces")
    parser.add_argument("--minutes", type=float, default=5.0, help="of two cores")
    parser.add_argument("--steps", type=int, help="instead of a budget, for changes that leave a step's cost as it is")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="keep models and tables here")
    options = parser.parse_args()

    os.environ["OMP_NUM_THREADS"] = "1"
    work = options.work or Path(tempfile.mkdtemp(prefix="learning-"))
    prepare(options.data, work, options.vocabulary)
    budget = options.minutes * 60 * CORES
    run = openalign_run(work, "search", options.seed, budget, options.set, options.steps, options.name)
    row = scored(options.name, work, run, "dev")
    show("On training titles held out", [row])
    told = {"seed": options.seed, "vocabulary": options.vocabulary, "settings": options.set}
    line = {**row, **told, "date": environment()["date"]}
    with (RESULTS / "learning_explore.jsonl").open("a", encoding="utf-8") as results:
        results.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
