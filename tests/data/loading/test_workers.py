"""Loader workers end with the program, and their death or failure is one error."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from openalign.data.loading.loader import Batch, BatchLoader
from openalign.data.pairs.pairs import Pairs
from openalign.data.tokenizer.wordpiece import Tokenizer
from openalign.errors import OpenAlignError
from tests import preloaded
from tests.data.loading.batches import SETTINGS, batches


@pytest.mark.slow
def test_workers_outlive_a_sigterm_to_the_whole_process_group(pairs: Pairs, tokenizer: Tokenizer) -> None:
    loader = BatchLoader(pairs, tokenizer, replace(SETTINGS, workers=2), first_step=0, last_step=40)
    running = iter(loader)
    met = [next(running), next(running)]  # one of each worker: both have begun
    workers = multiprocessing.active_children()
    assert len(workers) == 2
    for worker in workers:
        os.kill(cast(int, worker.pid), signal.SIGTERM)
    met += running
    assert [batch.step for batch in met] == list(range(40))
    del running
    for worker in workers:
        worker.join(10)
        assert worker.exitcode == 0


def test_a_loader_left_in_the_middle_leaves_no_worker(pairs: Pairs, tokenizer: Tokenizer) -> None:
    running = iter(BatchLoader(pairs, tokenizer, replace(SETTINGS, workers=2), first_step=0, last_step=1000))
    next(running)
    assert len(multiprocessing.active_children()) == 2
    running.close()
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_a_program_that_still_holds_its_loader_comes_to_an_end(folder: Path, tmp_path: Path) -> None:
    """Workers that ignore SIGTERM must be ended before multiprocessing waits for them at the interpreter's end."""
    program = f"""
from pathlib import Path
from types import SimpleNamespace
from openalign.data.loading.loader import BatchLoader
from openalign.data.loading.settings import LoaderSettings
from openalign.data.pairs.open import open_pairs
from openalign.data.tokenizer.wordpiece import Tokenizer, train_tokenizer
pairs = open_pairs({str(folder)!r})
tokenizer = Tokenizer.load(train_tokenizer(pairs.texts(), Path({str(tmp_path / "tokenizer.json")!r}), 100))
settings = LoaderSettings(batch_size=4, seed=1, image_size=24, resize_size=32, workers=2)
running = iter(BatchLoader(pairs, tokenizer, settings, first_step=0, last_step=1000))
next(running)
held = [running]
held.append(held)
raise KeyboardInterrupt
"""
    done = preloaded.run([sys.executable, "-c", program])
    assert done.stderr.splitlines()[-1] == "KeyboardInterrupt"


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_killed_at_any_moment_is_one_error_and_leaves_no_process(
    pairs: Pairs, tokenizer: Tokenizer, workers: int, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = replace(SETTINGS, workers=workers, batch_size=2)
    for after in np.random.default_rng(workers).uniform(0, 0.05, 8):
        running = iter(BatchLoader(pairs, tokenizer, settings, first_step=0, last_step=100_000))
        next(running)
        killed = multiprocessing.active_children()[-1]
        timer = threading.Timer(after, killed.kill)
        timer.start()
        with pytest.raises(OpenAlignError, match="a loader worker was killed"):
            for _ in running:
                pass
        timer.join()
        assert not multiprocessing.active_children()
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_dies_before_its_batches_are_fetched_is_reported_as_killed(
    pairs: Pairs, tokenizer: Tokenizer, workers: int
) -> None:
    """In a thread no signal tells of the death: the connection to the dead worker breaks."""
    reported: list[BaseException] = []

    def fetch() -> None:
        running = iter(BatchLoader(pairs, tokenizer, replace(SETTINGS, workers=workers), first_step=0, last_step=40))
        next(running)
        time.sleep(0.5)  # batches wait to be fetched
        for worker in multiprocessing.active_children():
            worker.kill()
        try:
            list(running)
        except BaseException as error:
            reported.append(error)

    thread = threading.Thread(target=fetch)
    thread.start()
    thread.join(60)
    assert isinstance(reported[0], OpenAlignError) and "a loader worker was killed" in str(reported[0])
    assert not multiprocessing.active_children()


class _Unexpected(Tokenizer):
    """A tokenizer with a fault in it."""

    def __call__(self, texts: Sequence[str], max_pieces: int = 64) -> Any:
        raise KeyError("no such piece")


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unexpected_exception_in_a_worker_is_one_line(pairs: Pairs, tokenizer: Tokenizer, workers: int) -> None:
    tokenizer.__class__ = _Unexpected
    with pytest.raises(OpenAlignError, match=r"batch of step 1 cannot be built: KeyError: 'no such piece' \(.*py:\d+"):
        batches(pairs, tokenizer, workers=workers)
    assert not multiprocessing.active_children()


def test_batches_that_cannot_be_sent_end_the_loader(
    pairs: Pairs, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Batch, "__reduce__", lambda self: (_ for _ in ()).throw(OSError(24, "Too many open files")))
    with pytest.raises(OpenAlignError, match="a loader worker ended with status 1, most likely for lack of open files"):
        batches(pairs, tokenizer, workers=2)
    assert not multiprocessing.active_children()


def test_a_full_shared_memory_is_one_error(pairs: Pairs, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)")

    monkeypatch.setattr(torch.Tensor, "share_memory_", full)
    with pytest.raises(OpenAlignError, match="batch of step 1 cannot be built: no shared memory is left"):
        batches(pairs, tokenizer, workers=2)
