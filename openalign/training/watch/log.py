"""What a run says while it goes: a line on the console, `log.jsonl`, TensorBoard."""

import json
import platform
import resource
import sys
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from types import TracebackType
from typing import Self

import torch

from openalign import __version__
from openalign.data.loading.loader import Batch
from openalign.errors import OpenAlignError
from openalign.files import whole_file
from openalign.progress import console
from openalign.training.optimization.parallel import Processes
from openalign.training.optimization.step import StepResult
from openalign.training.recipe.recipe import Recipe
from openalign.training.run_folder.log_file import LogFile, Record
from openalign.training.watch.boards import boards
from openalign.training.watch.throughput import Peak, peak_of, utilisation

PLAIN_LINE_SECONDS = 15.0  # where there is no terminal to redraw
COLD_RECORDS = 5  # the first ones, while the loader's queue and the kernels are not yet warm
JUDGED_RECORDS = 10  # one alone says little about what holds a run up
SLOW_LOADER_SHARE = 0.2
IDLE_LOADER_SHARE = 0.02
NOTED_SHARE = 0.1


class RunLog:
    """Collects step results and writes one record every `log_every_steps`; a resumed run cuts off what it repeats.

    Only the first process writes and speaks; in the others every call does nothing. Times and problems of the loader
    are those of the first process.
    """

    def __init__(self, run: Path, recipe: Recipe, first_step: int, processes: Processes) -> None:
        self.note = ""
        """The newest figures, short enough to stand beside a bar."""
        self.trouble: OpenAlignError | None = None
        """Why the log cannot be written, if so: the run should end then, after a checkpoint."""
        self._speaks = processes.first
        if self._speaks:
            self._recipe, self._processes, self._first_step = recipe, processes, first_step
            self._peak = peak_of(processes.device, recipe.precision)
            self._path = run / "log.jsonl"
            try:
                _write_machine(run, self._peak, processes)
                self._file = LogFile(self._path, first_step)
            except OSError as error:
                raise _cannot_write(self._path, error) from None
            self._boards = boards(run, recipe, first_step)
            self._told: set[str] = set()
            self._recent: deque[Record] = deque(maxlen=JUDGED_RECORDS)
            self._last_line = self._last_step = time.perf_counter()
            self._began = self._last_step - self._file.seconds
            self._window = _Window(self._last_step)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._speaks:
            self._file.close()
            for board in self._boards:
                board.close()

    def add(self, result: StepResult, batch: Batch, waited: float) -> None:
        """Take in one step: its result, its batch and the seconds it waited for that batch."""
        if not self._speaks:
            return
        self._last_step = time.perf_counter()
        self._window.add(batch, waited)
        for problem in batch.problems:
            if self._is_news(problem):  # it comes back with every pass over the data
                self._window.news.append(problem)
                console.print(f"Step {batch.step + 1:,}: {problem}", markup=False)
        done = batch.step + 1
        if done % self._recipe.log_every_steps == 0 or done == self._recipe.steps:
            self._write(result, done)
            self._window = _Window(self._last_step)

    def add_recall(self, step: int, recall: Mapping[str, float]) -> None:
        """Take in what was measured on held-out pairs after `step` steps, such as {"text_to_image R@1": 0.31}.

        The seconds since the last step went into measuring, and do not count as training.
        """
        if not self._speaks:
            return
        self._window.began += time.perf_counter() - self._last_step
        self._to_file(lambda: self._file.amend(step, {"recall": dict(recall)}))
        for board in self._boards:
            board.scalars({f"recall/{name}": value for name, value in recall.items()}, step)
        firsts = (
            f"{value:.1%} {name.removesuffix(' R@1').replace('_', ' ')}"
            for name, value in recall.items()
            if name.endswith(" R@1")
        )
        console.print(f"Step {step:,}: R@1 {', '.join(firsts)}")

    def _write(self, result: StepResult, done: int) -> None:
        window, now = self._window, self._last_step
        pairs_per_second = self._recipe.batch_size * window.steps / (now - window.began)
        figures: dict[str, float] = {
            **asdict(result),
            "pairs_per_second": pairs_per_second,
            "pairs_seen": done * self._recipe.batch_size,
            "seconds": now - self._began,
            "mfu": utilisation(self._recipe, pairs_per_second, window.pieces, self._peak, self._processes.world_size),
            "waiting_for_loader": window.waited / (now - window.began),
            "loader_disk_share": window.disk / window.worker,
            "loader_decode_share": window.decode / window.worker,
            "memory_bytes": _peak_memory(self._processes.device),
            "problems": window.problems,
        }
        record: Record = {"step": done, **figures}
        if window.news:
            record["new_problems"] = window.news
        self._to_file(lambda: self._file.write(record))
        for board in self._boards:
            board.scalars(figures, done)
        self._speak(record, now)

    def _speak(self, record: Record, now: float) -> None:
        pairs, waits = _short(record["pairs_per_second"]), record["waiting_for_loader"]
        waiting = f" · waits {waits:.0%}" if waits >= NOTED_SHARE else ""
        self.note = f"loss {record['loss']:.3f} · {pairs}/s{waiting}"
        last = record["step"] == self._recipe.steps
        if not console.is_terminal and (last or now - self._last_line > PLAIN_LINE_SECONDS):
            console.print(
                f"step {record['step']:,}/{self._recipe.steps:,} · loss {record['loss']:.3f} · {pairs} pairs/s"
                f" · t {record['temperature']:.4f} · waits {waits:.0%}"
            )
            self._last_line = now
        if record["step"] > self._first_step + COLD_RECORDS * self._recipe.log_every_steps:
            self._recent.append(record)
        if len(self._recent) == JUDGED_RECORDS:
            self._name_bottleneck()

    def _name_bottleneck(self) -> None:
        waits = fmean(record["waiting_for_loader"] for record in self._recent)
        bottleneck = "model" if waits < IDLE_LOADER_SHARE else _slowest_part(self._recent)
        if (waits < IDLE_LOADER_SHARE or waits > SLOW_LOADER_SHARE) and self._is_news(bottleneck):
            console.print(bottleneck_sentence(bottleneck, waits, self._recipe, self._processes.device.type))

    def _to_file(self, write: Callable[[], None]) -> None:
        if self.trouble is not None:
            return
        try:
            write()
        except OSError as error:
            self.trouble = _cannot_write(self._path, error)

    def _is_news(self, what: str) -> bool:
        news = what not in self._told
        self._told.add(what)
        return news


@dataclass
class _Window:
    """Sums over the steps since the last record."""

    began: float
    steps: int = 0
    waited: float = 0.0
    disk: float = 0.0
    decode: float = 0.0
    build: float = 0.0
    mean_pieces: float = 0.0
    problems: int = 0
    news: list[str] = field(default_factory=list)

    def add(self, batch: Batch, waited: float) -> None:
        self.steps += 1
        self.waited += waited
        self.disk += batch.disk_s
        self.decode += batch.decode_s
        self.build += batch.build_s
        self.mean_pieces += float(batch.mask_BT.sum()) / len(batch.mask_BT)
        self.problems += len(batch.problems)

    @property
    def worker(self) -> float:
        """Seconds that workers spent on these batches."""
        return max(self.build, 1e-9)

    @property
    def pieces(self) -> int:
        """Word pieces of a text, on average, padding left out: it is no part of the work."""
        return max(round(self.mean_pieces / self.steps), 1)


def bottleneck_sentence(bottleneck: str, waits: float, recipe: Recipe, device: str) -> str:
    """What holds a run up, and what would help: `bottleneck` is model, or reading, decoding or building (batches)."""
    if bottleneck == "model":
        return (
            f"The model is the limit (it waits {waits:.0%} of the time for the loader): more workers will not help; "
            f"{_for_the_model(recipe, device)} would."
        )
    cures = ["raise `workers`"]
    if bottleneck == "reading" and recipe.shuffle_block == 1:
        cures.append("set `shuffle_block = 64`, so that neighbours are read together")
    if not recipe.cache_images:
        cures.append("set `cache_images = true`")
    what = {"reading": "reading images", "decoding": "decoding images"}.get(bottleneck, "putting batches together")
    return f"The model waits {waits:.0%} of the time for the loader, which is busy {what}: {', or '.join(cures)}."


def _for_the_model(recipe: Recipe, device: str) -> str:
    if device == "cpu":
        return "smaller towers, a smaller `image_size` or a GPU"
    unused = ['`precision = "bfloat16"`'] * (recipe.precision == "float32") + ["`compile = true`"] * (
        not recipe.compile
    )
    return " and ".join(unused) or "more GPUs"


def _slowest_part(records: Collection[Record]) -> str:
    """What the loader's workers spend most of their time on."""
    keys = {"reading": "loader_disk_share", "decoding": "loader_decode_share"}
    shares = {part: fmean(record[key] for record in records) for part, key in keys.items()}
    shares["building"] = 1.0 - sum(shares.values())
    return max(shares, key=shares.__getitem__)


def _write_machine(run: Path, peak: Peak, processes: Processes) -> None:
    """RUN/machine.json: what the run runs on, and what its MFU is a share of."""
    machine = {
        "device": peak.device,
        "processes": processes.world_size,
        "peak_flops": peak.flops,
        "peak_source": peak.source,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "openalign": __version__,
    }
    with whole_file(run / "machine.json") as partial:
        partial.write_text(json.dumps(machine, indent=1) + "\n", encoding="utf-8")


def _cannot_write(path: Path, error: OSError) -> OpenAlignError:
    return OpenAlignError(f"{path}: cannot be written ({error.strerror}); make room and resume")


def _peak_memory(device: torch.device) -> int:
    """The most bytes that this process has held: on its GPU, or else in memory, without the loader's workers."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _short(number: float) -> str:
    """0.52, 530, 15.2k, 1.2M."""
    if number < 10:
        return f"{number:.2f}"
    if number < 1e4:
        return f"{number:.0f}"
    return f"{number / 1e3:.1f}k" if number < 1e6 else f"{number / 1e6:.1f}M"
