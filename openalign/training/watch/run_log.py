"""The log of a run: `log.jsonl`, boards, lines on the console and advice, all from one record every few steps."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from openalign.data.images.frames import further_frames
from openalign.data.loading.loader import Batch
from openalign.errors import OpenAlignError
from openalign.progress import list_notes, log
from openalign.training.optimization.processes import Processes
from openalign.training.optimization.step import StepResult
from openalign.training.recipe.recipe import Recipe
from openalign.training.run_folder.log_file import LogFile, Record
from openalign.training.watch.boards import boards
from openalign.training.watch.bottleneck import BottleneckAdvice
from openalign.training.watch.console import ConsoleLines
from openalign.training.watch.machine import peak_memory, write_machine
from openalign.training.watch.throughput import peak_of, utilisation
from openalign.training.watch.window import Window


class RunLog:
    """Collects step results and writes one record every `log_every_steps`; a resumed run cuts off what it repeats.

    Only the first process writes; in the others every call does nothing. Loader times and problems are those of the
    first process.
    """

    def __init__(self, run: Path, recipe: Recipe, first_step: int, processes: Processes) -> None:
        self.note = ""
        """The newest figures, short enough to stand beside a bar."""
        self.trouble: OpenAlignError | None = None
        """Why the log cannot be written, if so: the run should stop then, after a checkpoint."""
        self._writes = processes.first
        if self._writes:
            self._recipe, self._processes = recipe, processes
            self._peak = peak_of(processes.device, recipe.precision)
            self._path = run / "log.jsonl"
            try:
                write_machine(run, self._peak, processes)
                self._file = LogFile(self._path, first_step)
            except OSError as error:
                raise _cannot_write(self._path, error) from None
            self._boards = boards(run, recipe, first_step)
            self._console = ConsoleLines(recipe)
            self._advice = BottleneckAdvice(recipe, first_step, processes.device.type)
            self._known_problems: set[str] = set()
            self._frames: dict[str, int] = {}
            self._last_step = time.perf_counter()
            self._began = self._last_step - self._file.seconds
            self._window = Window(self._last_step)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writes:
            list_notes([f"Left out: {message}" for message in further_frames(self._frames, self._recipe.data)])
            self._file.close()
            for board in self._boards:
                board.close()

    def add(self, result: StepResult, batch: Batch, waited: float) -> None:
        """Add one step: its result, its batch and the seconds it waited for that batch."""
        if not self._writes:
            return
        self._last_step = time.perf_counter()
        self._window.add(batch, waited)
        self._frames |= batch.frames
        for problem in batch.problems:
            if problem not in self._known_problems:  # it comes back with every epoch
                self._known_problems.add(problem)
                self._window.new_problems.append(problem)
                log.warning(f"Step {batch.step + 1:,}: {problem}")
        done = batch.step + 1
        if done % self._recipe.log_every_steps == 0 or done == self._recipe.steps:
            self._write(result, done)
            self._window = Window(self._last_step)

    def add_recall(self, step: int, recall: Mapping[str, float]) -> None:
        """Add recall measured on held-out pairs after `step` steps, such as {"text_to_image R@1": 0.31}.

        The seconds since the last step were spent on measuring, and do not count as training.
        """
        if not self._writes:
            return
        self._window.began += time.perf_counter() - self._last_step
        self._to_file(lambda: self._file.amend(step, {"recall": dict(recall)}))
        for board in self._boards:
            board.scalars({f"recall/{name}": value for name, value in recall.items()}, step)
        self._console.print_recall(step, recall)

    def _write(self, result: StepResult, done: int) -> None:
        window, now = self._window, self._last_step
        pairs_per_second = self._recipe.batch_size * window.steps / (now - window.began)
        world_size = self._processes.world_size
        figures: dict[str, float] = {
            **asdict(result),
            "pairs_per_second": pairs_per_second,
            "pairs_seen": done * self._recipe.batch_size,
            "seconds": now - self._began,
            "mfu": utilisation(self._recipe, pairs_per_second, window.mean_pieces, self._peak, world_size),
            **window.shares(now),
            "memory_bytes": peak_memory(self._processes.device),
            "problems": window.problems,
            "further_frames": sum(self._frames.values()) - len(self._frames),
        }
        record: Record = {"step": done, **figures}
        if window.new_problems:
            record["new_problems"] = window.new_problems
        self._to_file(lambda: self._file.write(record))
        for board in self._boards:
            board.scalars(figures, done)
        self.note = self._console.print_step(record, now)
        if (advice := self._advice.add(record)) is not None:
            log.info(advice)

    def _to_file(self, write: Callable[[], None]) -> None:
        if self.trouble is not None:
            return
        try:
            write()
        except OSError as error:
            self.trouble = _cannot_write(self._path, error)


def _cannot_write(path: Path, error: OSError) -> OpenAlignError:
    return OpenAlignError(f"{path}: cannot be written ({error.strerror}); make room and resume")
