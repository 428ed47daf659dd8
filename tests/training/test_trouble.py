"""Runs whose worker, process, terminal or disk fails, and two runs in one folder: an error that names the way on."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from openalign.errors import OpenAlignError
from openalign.locks import locked
from openalign.training.loop import train
from openalign.training.run_folder.checkpoint import checkpoints_of, save_checkpoint
from openalign.training.run_folder.log_file import LogFile, Record, read_records
from openalign.training.run_folder.plan import newest_whole
from tests import preloaded
from tests.training.conftest import write_set
from tests.training.two_processes import end_of_two, start_two, torchrun

pytestmark = pytest.mark.slow

OPENALIGN = (sys.executable, "-m", "openalign")
LONG = {"steps": "5000", "checkpoint_every_steps": "5000"}
WITH_A_TERMINAL = """
import fcntl, sys, termios
from openalign.commands.cli import main
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
sys.argv = sys.argv[1:]
main()
"""
ON_A_SMALL_DISK = """
import resource, sys
from openalign.commands.cli import main
size = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
sys.argv = sys.argv[2:]
main()
"""


def typed(recipe: Path, run: Path, changes: Mapping[str, str], *more: str) -> list[str]:
    settings = [part for key, value in changes.items() for part in ("--set", f"{key}={value}")]
    return ["train", str(recipe), "--to", str(run), *settings, *more]


def start(command: list[Any]) -> "subprocess.Popen[str]":
    return preloaded.Popen(command, stderr=subprocess.PIPE, start_new_session=True)


def wait_for(condition: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)


def logged(run: Path, steps: int = 2) -> Callable[[], bool]:
    return lambda: len(read_records(run / "log.jsonl")) >= steps


def end(process: "subprocess.Popen[str]") -> str:
    """Its standard error until it ends; its process group is killed."""
    try:
        return process.communicate(timeout=120)[1]
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Enough(Exception):
    """Ends the run to compare with."""


def test_a_killed_loader_worker_is_an_error_and_leaves_the_state_of_the_last_step(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    process = start([*OPENALIGN, *typed(recipe, run, LONG | {"workers": "2"})])
    wait_for(logged(run), process)
    os.kill(children(process.pid)[0], signal.SIGKILL)
    output = end(process)
    assert process.returncode == 1 and "Traceback" not in output and output.count("openalign:") == 1
    assert "a loader worker was killed" in output and f"go on with --resume --to {run}" in output
    (kept,) = checkpoints_of(run)
    assert newest_whole([kept])[0] == kept
    steps = str(int(kept.name.removeprefix("step-")))
    assert f"Stopped after step {steps}" in output

    def save_and_end(*given: Any) -> None:
        save_checkpoint(*given)
        raise Enough

    monkeypatch.setattr("openalign.training.setup.save_checkpoint", save_and_end)
    with pytest.raises(Enough):
        train(recipe, set=LONG | {"checkpoint_every_steps": steps, "workers": "0"}, to=tmp_path / "other")
    for file in ("model.safetensors", "training_state/optimizer.safetensors"):
        assert (kept / file).read_bytes() == (tmp_path / "other" / "checkpoints" / kept.name / file).read_bytes()


def test_a_killed_process_is_an_error_of_the_other_that_names_the_last_checkpoint(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    run = tmp_path / "run"
    processes = start_two([*OPENALIGN, *typed(recipe, run, LONG | {"checkpoint_every_steps": "2", "workers": "0"})])
    wait_for(lambda: checkpoints_of(run), processes[1])
    processes[0].kill()
    output = end_of_two(processes)[1]
    assert processes[1].returncode != 0
    assert_names_the_last_checkpoint(output, run, process=1)


def test_a_process_killed_under_torchrun_is_an_error_of_the_other_that_names_the_last_checkpoint(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    run, logs = tmp_path / "run", tmp_path / "logs"
    changes = LONG | {"checkpoint_every_steps": "2", "workers": "0"}
    # torchrun looks at its processes rarely: what the other says for itself comes before torchrun's SIGTERM
    options = ["--monitor-interval=5", "--redirects=2", f"--log-dir={logs}"]
    process = start(torchrun(*options, "-m", "openalign", *typed(recipe, run, changes)))
    wait_for(lambda: checkpoints_of(run), process)
    os.kill({rank_of(child): child for child in children(process.pid)}["1"], signal.SIGKILL)
    end(process)
    assert process.returncode != 0
    output = {path.parent.name: path.read_text() for path in logs.rglob("stderr.log")}
    assert "Traceback" not in output["1"]
    assert_names_the_last_checkpoint(output["0"], run, process=0)


def assert_names_the_last_checkpoint(output: str, run: Path, process: int) -> None:
    assert f"process {process} of 2 stops, since another one has ended; the last checkpoint is" in output
    assert f"--resume --to {run}" in output and "Traceback" not in output
    assert newest_whole(checkpoints_of(run))[2] == []


def rank_of(process: int) -> str:
    """Of a process of torchrun, by the folder of its log; of another, something else."""
    return Path(f"/proc/{process}/fd/2").readlink().parent.name


def test_a_terminal_that_goes_away_leaves_a_checkpoint(recipe: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    mine, its = pty.openpty()
    command = [sys.executable, "-c", WITH_A_TERMINAL, "openalign", *typed(recipe, run, LONG)]
    process = preloaded.Popen(command, stdin=its, stdout=its, stderr=its, start_new_session=True)
    os.close(its)
    deadline = time.monotonic() + 120
    while not logged(run)():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.close(mine)  # the kernel sends SIGHUP to the whole session; what is written to the terminal fails from now on
    process.wait(timeout=120)
    assert process.returncode != 0
    assert newest_whole(checkpoints_of(run))[0] is not None


def test_a_run_whose_messages_nobody_reads_goes_on(recipe: Path, tmp_path: Path) -> None:
    process = start([*OPENALIGN, *typed(recipe, tmp_path / "run", {"steps": "4", "workers": "0"})])
    assert process.stderr is not None
    process.stderr.close()
    process.wait(timeout=120)
    assert len(read_records(tmp_path / "run" / "log.jsonl")) == 4


def test_a_second_run_in_one_folder_is_refused_and_a_killed_one_is_no_hindrance(recipe: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start([*OPENALIGN, *typed(recipe, run, LONG | {"workers": "2"})])
    wait_for(logged(run), process)
    with pytest.raises(OpenAlignError, match=f"is being written by another run .process {process.pid} on"):
        train(recipe, to=run)
    with pytest.raises(OpenAlignError, match="is being written by another run"):
        train(to=run, resume=True)
    os.kill(process.pid, signal.SIGKILL)  # its workers live on for some seconds
    process.wait()
    assert train(recipe, to=run).steps == 8
    end(process)


def test_all_processes_of_a_second_run_end_with_one_refusal(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    run = tmp_path / "run"
    with locked(run):
        processes = start_two([*OPENALIGN, *typed(recipe, run, {})])
        output = end_of_two(processes)
    assert [process.returncode for process in processes] == [1, 1]
    assert "is being written by another run" in output[0] and "Traceback" not in output[0]
    assert "run" not in output[1].lower(), output[1]


def test_a_disk_that_is_full_at_a_checkpoint_is_an_error_and_leaves_the_older_ones(
    recipe: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train(recipe, set={"steps": "4", "checkpoint_every_steps": "2", "workers": "0"}, to=run)
    for checkpoint in checkpoints_of(run)[1:]:
        checkpoint.rename(checkpoint.with_name("gone-" + checkpoint.name))
    size = str((run / "model" / "model.safetensors").stat().st_size // 2)
    command = [sys.executable, "-c", ON_A_SMALL_DISK, size, "openalign", "train", "--resume", "--to", str(run)]
    done = preloaded.run(command)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "step-00000004: the checkpoint could not be written" in done.stderr and "make room and resume" in done.stderr
    assert checkpoints_of(run) == [run / "checkpoints" / "step-00000002"]
    assert not list(run.glob("**/.*"))
    assert train(to=run, resume=True).steps == 4


@pytest.mark.parametrize("size", [0, 3000])
def test_a_disk_that_is_full_from_the_start_is_an_error(recipe: Path, tmp_path: Path, size: int) -> None:
    command = [
        sys.executable,
        "-c",
        ON_A_SMALL_DISK,
        str(size),
        "openalign",
        *typed(recipe, tmp_path / "run", {"workers": "0"}),
    ]
    done = preloaded.run(command)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "File too large" in done.stderr


@pytest.fixture(scope="module")
def weights_of_a_whole_run(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("whole")
    return (train(write_set(folder), to=folder / "run").model / "model.safetensors").read_bytes()


@pytest.mark.parametrize("step", [1, 3, 8])
def test_a_log_that_cannot_be_written_ends_the_run_with_a_checkpoint(
    recipe: Path, tmp_path: Path, weights_of_a_whole_run: bytes, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    plain = LogFile.write

    def full(self: LogFile, record: Record) -> None:
        if record["step"] == step:
            raise OSError(28, "No space left on device")
        plain(self, record)

    monkeypatch.setattr(LogFile, "write", full)
    with pytest.raises(OpenAlignError, match=r"log\.jsonl: cannot be written \(No space left on device\)"):
        train(recipe, to=tmp_path / "run")
    assert checkpoints_of(tmp_path / "run")[-1].name == f"step-{step:08d}"
    monkeypatch.undo()
    train(to=tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "model" / "model.safetensors").read_bytes() == weights_of_a_whole_run
