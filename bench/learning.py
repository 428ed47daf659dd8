"""What a model knows after the same pairs and the same time: ours and open_clip, from scratch on product photos.

    python bench/learning.py DATA/fashion --minutes 30 --seeds 0,1 --peer-python PEER/bin/python --peer-lrs 5e-4,1e-3

DATA/fashion holds images.tar and pairs.csv (file, title, articleType, split). The budget is CPU time, two seconds for
each second of two cores, so that waiting costs nothing: short runs tell what a step costs, loader and all, and the
schedule is laid over as many steps as the budget holds. The peer is open_clip's CustomTextCLIP with timm's
EfficientNet-B0 at 64 px and 4 layers of 256 for texts, as it ships but for a context of 32 and our allocator's setting,
which both make it faster; of several learning rates it takes the best on held-out training titles, after runs of
--search-minutes. Both are scored alike, on the photos of `val`.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measure import show, write
from numpy.typing import NDArray

import openalign
from openalign.data.tokenizer.wordpiece import train_tokenizer
from openalign.evaluation.ranking import ranks, share_within

PEER = Path(__file__).parent / "peers" / "open_clip_learning.py"
CORES = 2
VOCABULARY = 2_000
CALIBRATION_STEPS = (3, 13)
COMMONEST = 40  # article types; the others have few photos, and some no title to be learned from
TEMPLATES = (
    "{}", "Men {}", "Women {}", "Unisex {}", "Men Black {}", "Men Blue {}", "Men Grey {}", "Women White {}",
    "Women Pink {}", "Women Brown {}", "Black {}", "Blue {}", "White {}", "Red {}",
)  # fmt: skip
"""In the words that begin titles: whom for, and a colour. Each is filled with the name of a class as given, mostly a
plural, and with its singular, since titles name one thing."""


def main() -> None:
    options = parse()
    work = options.work or Path(tempfile.mkdtemp(prefix="learning-"))
    prepare(options.data, work, options.vocabulary)
    budget = options.minutes * 60 * CORES
    title = f"After {options.minutes:g} minutes on two cores ({budget:,.0f} s of CPU time)"
    rows: list[dict[str, Any]] = []
    for row in figures(work, options, budget):
        rows.append(row)
        show(title, rows)
        told = {"minutes": options.minutes, "vocabulary": options.vocabulary, "settings": options.set}
        path = write(options.name, rows, templates=TEMPLATES, **told)
        print(f"Wrote {path}")


def figures(work: Path, options: argparse.Namespace, budget: float) -> Iterator[dict[str, Any]]:
    """A row a trained model: ours for each seed, then the peer's."""
    for seed in options.seeds if "ours" in options.of else ():
        yield {"seed": seed, **scored("openalign", work, openalign_run(work, "train", seed, budget, options.set))}
    if "peer" in options.of:
        rate = best_peer_rate(work, options)
        for seed in options.seeds:
            run = peer_run(work, "train", seed, budget, options.peer_python, rate)
            yield {"seed": seed, **scored(f"open_clip, lr {rate:g}", work, run)}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--search-minutes", type=float, default=10.0)
    parser.add_argument("--seeds", type=lambda given: [int(part) for part in given.split(",")], default=[0, 1])
    parser.add_argument("--peer-python", help="Python of an environment with open_clip (bench/README.md)")
    parser.add_argument("--peer-lrs", type=lambda given: [float(part) for part in given.split(",")], default=[1e-3])
    parser.add_argument("--of", default="ours,peer", help="or one of the two, to split the hours; name two files then")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change recipes/laptop.toml")
    parser.add_argument("--vocabulary", type=int, default=VOCABULARY, help="word pieces of ours")
    parser.add_argument("--name", default="learning", help="of the file in bench/results")
    parser.add_argument("--work", type=Path, help="keep models and tables here")
    return parser.parse_args()


def prepare(data: Path, work: Path, vocabulary: int = VOCABULARY) -> None:
    """Tables of training, validation and, for choosing, of training less some held-out titles; and a tokenizer."""
    images = work / "images"
    if not images.exists():
        with tarfile.open(data / "images.tar") as tar:
            tar.extractall(images, filter="data")
    with (data / "pairs.csv").open(encoding="utf-8") as file:
        pairs = list(csv.DictReader(file))
    count = Counter(row["title"] for row in pairs)
    train = [row for row in pairs if row["split"] == "train"]
    dev = [row for row in train if count[row["title"]] == 1 and zlib.crc32(row["title"].encode()) % 10 == 0]
    kept_out = {row["file"] for row in dev}
    tables = {
        "train": train,
        "val": [row for row in pairs if row["split"] == "val"],
        "search": [row for row in train if row["file"] not in kept_out],
        "dev": dev,
    }
    for name, rows in tables.items():
        with (work / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("file", "title", "articleType"))
            writer.writerows((str(images / row["file"]), row["title"], row["articleType"]) for row in rows)
    for name in ("train", "search"):
        train_tokenizer([row["title"] for row in tables[name]], work / f"{name}.tokenizer.json", vocabulary)


def openalign_run(
    work: Path,
    table: str,
    seed: int,
    budget: float,
    changes: Sequence[str],
    steps: int | None = None,
    name: str = "openalign",
) -> dict[str, Any]:
    """Train ours for `budget` CPU seconds, or the steps given."""

    def command(steps: int, to: Path) -> list[str]:
        given = [
            f"data={work / table}.csv",
            f"tokenizer={work / table}.tokenizer.json",
            f"seed={seed}",
            f"steps={steps}",
        ]
        given += [f"checkpoint_every_steps={steps}", *changes]
        last = dict(setting.split("=", 1) for setting in given)
        settings = [part for key, value in last.items() for part in ("--set", f"{key}={value}")]
        return [sys.executable, "-m", "openalign", "train", "laptop", *settings, "--to", str(to)]

    return timed_run(command, work / f"{name}-{table}-{seed}", budget, steps)


def peer_run(work: Path, table: str, seed: int, budget: float, python: str, rate: float) -> dict[str, Any]:
    """Train open_clip for `budget` CPU seconds."""

    def command(steps: int, to: Path) -> list[str]:
        return [python, str(PEER), "train", str(work / f"{table}.csv"), str(to), str(steps), str(rate), str(seed)]

    run = timed_run(command, work / f"open_clip-{table}-{seed}-{rate:g}", budget)
    return {**run, "python": python}


def timed_run(
    command: Callable[[int, Path], list[str]], to: Path, budget: float, steps: int | None = None
) -> dict[str, Any]:
    """Run the steps given, or else measure what a step costs and run as many as the budget holds."""
    if steps is None:
        few, more = (cpu_seconds(command(tried, to.with_name(f"{to.name}-{tried}"))) for tried in CALIBRATION_STEPS)
        each = (more - few) / (CALIBRATION_STEPS[1] - CALIBRATION_STEPS[0])
        steps = int(budget / each)
        print(f"{to.name}: {each:.2f} CPU s a step, {steps:,} steps", flush=True)
    return {"to": to, "steps": steps, "cpu_s": cpu_seconds(command(steps, to))}


def cpu_seconds(command: list[str]) -> float:
    """Run a command; CPU seconds of it and all its processes. The peer has our allocator's setting as well."""
    setting = {"OMP_WAIT_POLICY": "PASSIVE", "MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | setting)
    _, status, used = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(command)} ended with {status}")
    return used.ru_utime + used.ru_stime


def best_peer_rate(work: Path, options: argparse.Namespace) -> float:
    """The learning rate that knows most of titles held out of training; the one given, if it is the only one."""
    rates: list[float] = options.peer_lrs
    if len(rates) == 1:
        return rates[0]
    found: dict[float, dict[str, Any]] = {}
    for rate in rates:
        run = peer_run(work, "search", 0, options.search_minutes * 60 * CORES, options.peer_python, rate)
        found[rate] = scored(f"open_clip, lr {rate:g}", work, run, "dev")
        print(found[rate], flush=True)
        write("learning_search", list(found.values()), minutes=options.search_minutes)
    return max(found, key=lambda rate: found[rate]["T2I R@1"] + found[rate]["I2T R@1"])


def scored(name: str, work: Path, run: dict[str, Any], table: str = "val") -> dict[str, Any]:
    """Recall among one photo of each title, and zero-shot accuracy over all article types and over the commonest."""
    with (work / f"{table}.csv").open(encoding="utf-8") as file:
        photos = list(csv.DictReader(file))
    classes = sorted({photo["articleType"] for photo in photos})
    prompts = [
        template.format(form) for label in classes for form in (label, singular(label)) for template in TEMPLATES
    ]
    texts = [photo["title"] for photo in photos]
    images_ND, texts_ND, prompts_PD = embedded(run, [photo["file"] for photo in photos], texts, prompts)
    first = sorted({title: row for row, title in reversed(list(enumerate(texts)))}.values())
    diagonal_N2 = np.repeat(np.arange(len(first)), 2).reshape(-1, 2)
    figures: dict[str, Any] = {"model": name, "steps": run["steps"], "CPU s": round(run["cpu_s"])}
    for way, queries_ND, answers_ND in (("T2I", texts_ND, images_ND), ("I2T", images_ND, texts_ND)):
        ranks_N = ranks(queries_ND[first], answers_ND[first], diagonal_N2)
        figures |= {f"{way} R@{k}": round(100 * share_within(ranks_N, k), 1) for k in (1, 10)}
    means_CD = prompts_PD.reshape(len(classes), 2 * len(TEMPLATES), -1).mean(1)
    means_CD /= np.linalg.norm(means_CD, axis=1, keepdims=True)
    labels_N = np.array([classes.index(photo["articleType"]) for photo in photos])
    for count in (len(classes), COMMONEST):
        asked_C = np.argsort(-np.bincount(labels_N), kind="stable")[:count]
        among_N = np.isin(labels_N, asked_C)
        answers_N = asked_C[(images_ND[among_N] @ means_CD[asked_C].T).argmax(1)]
        figures[f"zero-shot of {count}"] = round(100 * float(np.mean(answers_N == labels_N[among_N])), 1)
    return figures


def singular(label: str) -> str:
    """The last word of an English label in the singular, by its ending: Watches, Watch; Scarves, Scarf; Ties, Tie."""
    for ending, one in (("ches", "ch"), ("shes", "sh"), ("sses", "ss"), ("arves", "arf"), ("ss", "ss"), ("s", "")):
        if label.endswith(ending):
            return label.removesuffix(ending) + one
    return label


def embedded(
    run: dict[str, Any], images: list[str], texts: list[str], prompts: list[str]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Unit rows of photos, titles and prompts."""
    if "python" not in run:
        model = openalign.load(str(run["to"]))
        return model.embed_images(images), model.embed_texts(texts), model.embed_texts(prompts)
    asked, answered = run["to"] / "asked.json", run["to"] / "answered.npz"
    asked.write_text(json.dumps({"images": images, "texts": texts, "prompts": prompts}), encoding="utf-8")
    subprocess.run([run["python"], str(PEER), "embed", str(run["to"])], check=True)
    stored = np.load(answered)
    return stored["images"], stored["texts"], stored["prompts"]


if __name__ == "__main__":
    main()
