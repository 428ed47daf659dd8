"""Changes to recipes/laptop.toml at full length, a run in about two minutes: the training step as a CUDA graph.

    python bench/learning_gpu.py DATA/fashion "as it is|" "512 wide|embedding_width=512"

A run is what `learning_explore.py NAME --set KEY=VALUE --steps 4884` learns, with the same samples, crops and words
from the package's own loader, the same model and AdamW; several processes beside each other share a GPU well. A graph
repeats what the GPU did once, so texts are padded to the longest allowed, and the loss is plain cross-entropy over the
whole matrix of logits, which asks nothing of the host. On a CPU the same step runs without a graph, for comparison.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from learning import prepare, scored
from measure import RESULTS, environment
from torch import Tensor
from torch.nn import functional

from openalign.data.loading.loader import Batch, BatchLoader
from openalign.data.loading.settings import LoaderSettings
from openalign.data.pairs.open import open_pairs
from openalign.data.tokenizer.wordpiece import Tokenizer
from openalign.model import hub
from openalign.model.align import Align
from openalign.training.optimization.optim import build_optimizer, learning_rate
from openalign.training.optimization.step import seed_step
from openalign.training.recipe.recipe import Recipe, read_recipe

CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")
BEFORE_GRAPH = 5  # steps that choose kernels and make the optimizer's state
WORKERS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("changes", nargs="+", metavar="NAME|KEY=VALUE ...", help="one run each")
    parser.add_argument("--steps", type=int, default=4884)
    parser.add_argument("--work", type=Path, help="keep models and tables here")
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp(prefix="learning-"))
    prepare(options.data, work)
    for change in options.changes:
        name, _, given = change.partition("|")
        settings = given.split()
        row = scored(name, work, learned(work, name, settings, options.steps), "dev")
        row["seconds"] = row.pop("CPU s")  # by the clock: the work is the GPU's
        line = {**row, "settings": settings, "gpu": environment().get("gpu"), "date": environment()["date"]}
        print(json.dumps(line), flush=True)
        with (RESULTS / "learning_gpu.jsonl").open("a", encoding="utf-8") as results:
            results.write(json.dumps(line) + "\n")


def learned(work: Path, name: str, settings: list[str], steps: int) -> dict[str, object]:
    """Train on the titles of `search`; the run, as `scored` wants it."""
    changes = {"data": str(work / "search.csv"), "tokenizer": str(work / "search.tokenizer.json"), "steps": str(steps)}
    recipe = read_recipe("laptop", changes | dict(setting.split("=", 1) for setting in settings))
    tokenizer = Tokenizer.load(Path(recipe.tokenizer or ""))
    seed_step(recipe.seed, recipe.steps)
    model = Align(recipe.model(tokenizer.size)).to(DEVICE).train()
    model.vision_model.to(memory_format=torch.channels_last)
    step, began = Step(model, recipe), time.perf_counter()
    for batch in batches(recipe, tokenizer, work / f"cache-{name}"):
        step(batch)
        if not CUDA:
            print(batch.step, float(step.loss.detach()))
    loss, seconds = float(step.loss.detach()), time.perf_counter() - began
    to = work / f"gpu-{name}"
    hub.save(model, tokenizer, to, card=f"{name}: {settings}, loss {loss}")
    return {"to": to, "steps": recipe.steps, "cpu_s": seconds}


def batches(recipe: Recipe, tokenizer: Tokenizer, cache: Path) -> Iterator[Batch]:
    settings = LoaderSettings(
        batch_size=recipe.batch_size, seed=recipe.seed, image_size=recipe.image_size, resize_size=recipe.resized,
        max_pieces=recipe.text_tower.max_pieces, workers=WORKERS, flip=recipe.flip, crop_scale=recipe.crop_scale,
        word_dropout=recipe.word_dropout,
    )  # fmt: skip
    pairs = open_pairs(recipe.data)
    return iter(BatchLoader(pairs, tokenizer, settings, first_step=0, last_step=recipe.steps, cache=cache))


class Step:
    """One optimizer step after another on buffers that stay where they are. B pairs, T word pieces."""

    def __init__(self, model: Align, recipe: Recipe) -> None:
        size, side, pieces = recipe.batch_size, recipe.image_size, recipe.text_tower.max_pieces
        self.model, self.recipe = model, recipe
        self.images_BHWC = torch.zeros(size, side, side, 3, dtype=torch.uint8, device=DEVICE)
        self.ids_BT = torch.zeros(size, pieces, dtype=torch.int64, device=DEVICE)
        self.mask_B1TT = torch.zeros(size, 1, pieces, pieces, dtype=torch.bool, device=DEVICE)
        self.positives_BB = torch.eye(size, device=DEVICE)
        self.rate = torch.zeros((), device=DEVICE)
        self.loss = torch.zeros((), device=DEVICE)
        self.graph: torch.cuda.CUDAGraph | None = None
        self.optimizer = build_optimizer(model, recipe.optimizer)
        if not isinstance(self.optimizer, torch.optim.AdamW):
            raise SystemExit("only AdamW keeps its step count where a graph finds it")

    def __call__(self, batch: Batch) -> None:
        self._fill(batch)
        if not CUDA:
            self._run()
        elif batch.step < BEFORE_GRAPH:
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                self._run()
            torch.cuda.current_stream().wait_stream(side)
        else:
            if self.graph is None:
                self.graph = torch.cuda.CUDAGraph()
                self.optimizer.zero_grad(set_to_none=True)
                with torch.cuda.graph(self.graph):
                    self._run()
            self.graph.replay()

    def _fill(self, batch: Batch) -> None:
        ids_BT, mask_BT = (torch.zeros(self.ids_BT.shape, dtype=torch.int64) for _ in range(2))
        ids_BT[:, : batch.ids_BT.shape[1]] = batch.ids_BT
        mask_BT[:, : batch.mask_BT.shape[1]] = batch.mask_BT
        self.images_BHWC.copy_(batch.images_BHWC)
        self.ids_BT.copy_(ids_BT)
        self.mask_B1TT.copy_(mask_BT.bool()[:, None, None, :].expand(self.mask_B1TT.shape))
        if self.recipe.loss.equal_pairs_are_positives:
            texts_B, images_B = batch.text_ids_B, batch.image_ids_B
            self.positives_BB.copy_((texts_B[:, None] == texts_B) | (images_B[:, None] == images_B))
        rate = learning_rate(batch.step, self.recipe.optimizer, self.recipe.steps)
        self.rate.fill_(rate)
        for group in self.optimizer.param_groups:
            group |= {"lr": self.rate, "capturable": True} if CUDA else {"lr": rate}

    def _run(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        images_BD = self.model.embed_images(self.images_BHWC)
        hidden_BTC = self.model.text_model(input_ids=self.ids_BT, attention_mask=self.mask_B1TT).last_hidden_state
        texts_BD = functional.normalize(self.model.text_projection(hidden_BTC[:, 0]), dim=1)
        logits_BB = images_BD @ texts_BD.T / self.model.temperature
        shares_BB = self.positives_BB / self.positives_BB.sum(1, keepdim=True)
        self.loss = self._one_way(logits_BB, shares_BB) + self._one_way(logits_BB.T, shares_BB)
        self.loss.backward()
        self.optimizer.step()

    def _one_way(self, logits_BB: Tensor, shares_BB: Tensor) -> Tensor:
        return functional.cross_entropy(logits_BB, shares_BB, label_smoothing=self.recipe.loss.label_smoothing)


if __name__ == "__main__":
    main()
