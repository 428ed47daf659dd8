"""`openalign demo`: every stage on the miniature web, from its pages to a search page."""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from openalign.curation.pipeline import curate
from openalign.curation.recipe import CurateRecipe
from openalign.data.pairs.open import open_pairs
from openalign.data.pairs.pairs import Pairs
from openalign.data.tokenizer.wordpiece import train_tokenizer
from openalign.demo.captions import PLACES
from openalign.demo.web import make_web
from openalign.evaluation.run import evaluate
from openalign.files import whole_file
from openalign.locks import locked
from openalign.model.hub import load
from openalign.progress import console, display, say
from openalign.search.index import Index
from openalign.training.loop import train
from openalign.training.run_folder.checkpoint import checkpoints_of

VOCABULARY = 4_000
NAMES = {
    "heldout": "held out",
    "unseen": "new combinations",
    "heldout_de": "German",
    "heldout_es": "Spanish",
    "heldout_fr": "French",
    "heldout_pt": "Portuguese",
}
EXAMPLES: list[str | dict[str, Any]] = [
    "a red apple",
    "two cats in the snow",
    "a rocket at night",
    "ein Hund auf Gras",
    "a bicycle next to a tree",
    "three fish in the water",
]


@dataclass(frozen=True)
class Stage:
    """One stage of the demo: its name, a description, its function and a measured duration."""

    name: str
    does: str
    run: Callable[[], object]
    seconds: float
    """Measured on two cores; scaled by the speed of the finished stages, it gives the time left."""


def run_demo(
    to: Path,
    *,
    serve: bool = True,
    web_only: bool = False,
    scenes: int = 28_000,
    seed: int = 0,
    host: str = "127.0.0.1",
    port: int = 8000,
) -> dict[str, Any] | None:
    """Make the miniature web in `to`, run every stage on it, and serve the search page.

    A second run resumes an interrupted one: finished stages are kept.

    Returns:
        The content of `results.json`; None with `web_only`.

    Raises:
        OpenAlignError: `to` holds other files, or another run writes it.
    """
    stages = Demo(to, scenes=scenes, seed=seed).stages()
    stages = stages[:1] if web_only else stages
    with locked(to):
        _run_all(stages)
    if web_only:
        say(f"The miniature web is in {to}/web, the truth about its pairs in {to}/truth.parquet.")
        return None
    results: dict[str, Any] = json.loads((to / "results.json").read_text(encoding="utf-8"))
    console.print(results_table(results))
    if serve:
        from openalign.serve.app import serve as serve_index

        serve_index(to / "photos.index", host=host, port=port)
    return results


def _run_all(stages: list[Stage]) -> None:
    """Run the stages in order, and print the current one and the time left."""
    planned = sum(stage.seconds for stage in stages)
    began, done = time.perf_counter(), 0.0
    for number, stage in enumerate(stages, start=1):
        spent = time.perf_counter() - began
        pace = max(spent / done, 0.2) if done else 1.0
        left = max(1, round((planned - done) * pace / 60))
        console.print(
            f"[bold]{number}/{len(stages)} {stage.name}[/bold]: {stage.does} [dim](about {left} min left)[/dim]"
        )
        with display():
            stage.run()
        done += stage.seconds


class Demo:
    """The folders of one demo, and the stages that fill them."""

    def __init__(self, to: Path, *, scenes: int, seed: int) -> None:
        self.to = to
        self.scenes = scenes
        self.seed = seed

    def stages(self) -> list[Stage]:
        """All stages in order."""
        return [
            Stage("web", "draw scenes and put them on noisy pages", self.web, 75),
            Stage("curate", "pages to pairs, by the paper's rules", self.curate, 45),
            Stage("tokenizer", "word pieces of the kept texts", self.tokenizer, 5),
            Stage("train", "both towers from scratch", self.train, 310),
            Stage("evaluate", "test the model on scenes it never saw", self.evaluate, 15),
            Stage("index", "embed the kept images for search", self.index, 30),
        ]

    def web(self) -> None:
        parameters = {"scenes": self.scenes, "seed": self.seed}
        note = self.to / "web.json"
        if note.exists() and _read_json(note) == parameters:
            return
        make_web(self.to, **parameters)
        with whole_file(note) as file:
            file.write_text(json.dumps(parameters) + "\n", encoding="utf-8")

    def curate(self) -> None:
        curate(
            [self.to / "web"],
            to=self.to / "curated",
            test_set=[self.to / "heldout", self.to / "unseen"],
            truth=self.to / "truth.parquet",
            recipe=CurateRecipe.of(download=False),  # the hosts of the miniature web do not exist
        )

    def tokenizer(self) -> None:
        train_tokenizer(open_pairs(self.to / "curated").texts(), self.to / "tokenizer.json", size=VOCABULARY)

    def train(self) -> None:
        run = self.to / "run"
        own = {"data": str(self.to / "curated"), "tokenizer": str(self.to / "tokenizer.json")}
        train("recipes/demo.toml", set=own, to=run, resume=bool(checkpoints_of(run)))

    def evaluate(self) -> None:
        model = load(self.to / "run" / "model")
        heldout, unseen = open_pairs(self.to / "heldout"), open_pairs(self.to / "unseen")
        single, single_unseen = one_object(heldout), one_object(unseen)
        labels = sorted(set(single.table["objects"].to_pylist()))
        templates = [f"a {{}} {place['en'][0]}" for place in PLACES.values()]
        zero_shot: dict[str, Any] = {
            "protocol": "zero-shot",
            "label_column": "objects",
            "labels": labels,
            "templates": templates,
        }
        results: dict[str, Any] = {
            "heldout": evaluate(model, heldout),
            "heldout_zero_shot": evaluate(model, single, **zero_shot),
            "unseen": evaluate(model, unseen),
            "unseen_zero_shot": evaluate(model, single_unseen, **zero_shot),
        }
        for folder in sorted(self.to.glob("heldout-*")):
            results[folder.name.replace("-", "_")] = evaluate(model, folder)
        with whole_file(self.to / "results.json") as file:
            file.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def index(self) -> None:
        folder = self.to / "photos.index"
        Index.build([self.to / "curated"], model=self.to / "run" / "model", to=folder)
        with whole_file(folder / "examples.json") as file:
            file.write_text(json.dumps(EXAMPLES, ensure_ascii=False) + "\n", encoding="utf-8")
        with whole_file(folder / "CREDITS") as file:
            shutil.copyfile(self.to / "CREDITS.txt", file)


def _read_json(path: Path) -> object:
    """The contents of a JSON file of the demo; None if it is damaged, so that the stage is run again."""
    try:
        return json.loads(path.read_bytes())
    except ValueError:
        return None


def one_object(pairs: Pairs) -> Pairs:
    """The scenes with a single kind of object, whose name is the class of the scene."""
    objects = pairs.table["objects"].to_pylist()
    return pairs.select(np.array([row for row, names in enumerate(objects) if "|" not in names], dtype=np.int64))


def results_table(results: dict[str, Any]) -> Table:
    """A table of the results on held-out scenes with chance, for the terminal."""
    table = Table(title="Results on scenes it never saw", title_justify="left")
    for heading in ("", "scenes", "R@1", "R@10", "chance R@10"):
        table.add_column(heading, justify="right" if heading else "left")
    for key, name in NAMES.items():
        if key in results:
            for direction, shown in (("text_to_image", "text to image"), ("image_to_text", "image to text")):
                scores, chance = results[key]["metrics"][direction], results[key]["chance"][direction]
                cells = (f"{scores['R@1']:.1%}", f"{scores['R@10']:.1%}", f"{chance['R@10']:.1%}")
                table.add_row(f"{name}: {shown}", f"{results[key]['count']:,}", *cells)
    table.add_section()
    for key, name in (("heldout_zero_shot", "zero-shot"), ("unseen_zero_shot", "zero-shot, new combinations")):
        scores, labels = results[key]["metrics"], results[key]["labels"]
        table.add_row(f"{name} over {labels} objects", f"{results[key]['count']:,}", f"{scores['top1']:.1%}")
    return table
