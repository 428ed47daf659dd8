"""The log of a run: records, boards, lines on the console, and advice about bottlenecks."""

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from openalign import progress
from openalign.data.loading.loader import Batch
from openalign.progress import bar
from openalign.training.optimization.processes import Processes
from openalign.training.optimization.step import StepResult
from openalign.training.recipe.recipe import Recipe, read_recipe
from openalign.training.run_folder.log_file import LogFile, read_records
from openalign.training.watch import boards, console, throughput
from openalign.training.watch import run_log as run_log_module
from openalign.training.watch.run_log import RunLog

RECALL = {"text_to_image R@1": 0.25, "image_to_text R@1": 0.5, "text_to_image R@10": 1.0}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "MEASURING_SECONDS", 0.0)
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def settings(recipe: Path) -> Recipe:
    return read_recipe(recipe, {"steps": "1200000"})


@pytest.fixture
def spoken(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What is printed, on a console of 80 columns that is no terminal."""
    text = io.StringIO()
    for module in (console, progress):
        monkeypatch.setattr(module, "console", Console(file=text, width=80, highlight=False))
    yield text


def batch_of(step: int, *, pieces: int = 5, disk: float = 0.1, decode: float = 0.2, build: float = 0.4) -> Batch:
    """A batch of 12 pairs, `build` seconds in the making."""
    mask_BT = torch.zeros(12, 16, dtype=torch.int64)
    mask_BT[:, :pieces] = 1
    batch = Batch(step, torch.zeros(12, 16, 16, 3, dtype=torch.uint8), mask_BT, mask_BT, np.arange(12))
    batch.disk_s, batch.decode_s, batch.build_s = disk, decode, build
    return batch


def result(loss: float = 12.345) -> StepResult:
    return StepResult(loss=loss, temperature=0.0156, learning_rate=1e-3, gradient_norm=2.0)


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def test_a_line_a_logged_step_with_every_figure(settings: Recipe, tmp_path: Path) -> None:
    every_third = settings.model_copy(update={"log_every_steps": 3})
    with RunLog(tmp_path, every_third, 0, Processes()) as run_log:
        for step in range(6):
            run_log.add(result(), batch_of(step), waited=0.0)
    records = lines(tmp_path)
    assert [record["step"] for record in records] == [3, 6]
    record = records[1]
    assert record["loss"] == 12.345
    assert record["pairs_seen"] == 72
    assert record["pairs_per_second"] > 0 and record["mfu"] > 0
    assert 0 < records[0]["seconds"] < record["seconds"]
    assert record["loader_disk_share"] == pytest.approx(0.25)
    assert record["loader_decode_share"] == pytest.approx(0.5)
    assert record["memory_bytes"] > 1e6
    assert record["problems"] == 0 and "new_problems" not in record


def test_mfu_counts_the_pieces_of_texts_and_not_their_padding(settings: Recipe, tmp_path: Path) -> None:
    def mfu_over_pairs(pieces: int) -> float:
        run = tmp_path / str(pieces)
        run.mkdir()
        with RunLog(run, settings, 0, Processes()) as run_log:
            run_log._peak = throughput.Peak("a device", 1e12, "made up")
            run_log.add(result(), batch_of(0, pieces=pieces), waited=0.0)
        record = lines(run)[0]
        return float(record["mfu"] * 1e12 / record["pairs_per_second"])

    for pieces in (3, 16):
        assert mfu_over_pairs(pieces) == pytest.approx(throughput.training_flops(settings, pieces))


def test_only_the_first_process_writes(settings: Recipe, tmp_path: Path) -> None:
    with RunLog(tmp_path, settings, 0, Processes(rank=1, world_size=2)) as run_log:
        run_log.add(result(), batch_of(0), waited=0.0)
        run_log.add_recall(1, RECALL)
        assert run_log.note == ""
    assert not [path for path in tmp_path.iterdir() if path.name in ("log.jsonl", "tensorboard", "machine.json")]


def test_recall_is_in_the_line_of_its_step(settings: Recipe, tmp_path: Path, spoken: io.StringIO) -> None:
    with RunLog(tmp_path, settings, 0, Processes()) as run_log:
        for step in range(3):
            run_log.add(result(), batch_of(step), waited=0.0)
            if step == 1:
                run_log.add_recall(2, RECALL)
    records = lines(tmp_path)
    assert [record["step"] for record in records] == [1, 2, 3]
    assert records[1]["recall"] == RECALL and records[1]["loss"] == 12.345
    assert "recall" not in records[0] and "recall" not in records[2]
    assert "Step 2: R@1 25.0% text to image, 50.0% image to text\n" in spoken.getvalue()


def test_recall_of_a_step_that_is_not_logged_is_a_line_of_its_own(settings: Recipe, tmp_path: Path) -> None:
    with RunLog(tmp_path, settings.model_copy(update={"log_every_steps": 2}), 0, Processes()) as run_log:
        for step in range(4):
            run_log.add(result(), batch_of(step), waited=0.0)
            if step == 2:
                run_log.add_recall(3, RECALL)
    assert lines(tmp_path)[1] == {"step": 3, "recall": RECALL}
    assert [record["step"] for record in lines(tmp_path)] == [2, 3, 4]


def test_measuring_recall_does_not_count_as_training(
    settings: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    with RunLog(tmp_path, settings, 0, Processes()) as run_log:
        monkeypatch.setattr(run_log_module.time, "perf_counter", lambda: clock[0])
        run_log._window.began = run_log._began = 0.0  # as if opened at zero
        for step in range(2):
            clock[0] += 1.0  # a step
            run_log.add(result(), batch_of(step), waited=0.25)
            clock[0] += 50.0  # a measurement
            run_log.add_recall(step + 1, RECALL)
    assert [record["pairs_per_second"] for record in lines(tmp_path)] == [12.0, 12.0]
    assert [record["waiting_for_loader"] for record in lines(tmp_path)] == [0.25, 0.25]
    assert lines(tmp_path)[1]["seconds"] == 52.0


def test_a_resumed_run_removes_the_records_it_repeats_and_continues_counting_seconds(
    settings: Recipe, tmp_path: Path
) -> None:
    with RunLog(tmp_path, settings, 0, Processes()) as run_log:
        run_log._began -= 1000.0
        for step in range(5):
            run_log.add(result(), batch_of(step), waited=0.0)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 6, "recall": {"a": 1}')  # killed in mid-line
    with RunLog(tmp_path, settings, 3, Processes()) as run_log:
        run_log.add(result(), batch_of(3), waited=0.0)
    assert [record["step"] for record in lines(tmp_path)] == [1, 2, 3, 4]
    assert lines(tmp_path)[3]["seconds"] > lines(tmp_path)[2]["seconds"] > 1000.0


def test_a_log_is_readable_up_to_its_last_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"step": 1, "loss": 2.0}\n{"step": 2, "recall": {"a": 0.5}\n{"step": 3, "no')
    assert read_records(path) == [{"step": 1, "loss": 2.0}]
    assert read_records(tmp_path / "none.jsonl") == []


def test_amending_leaves_the_lines_before_as_they_are(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "log.jsonl", 0)
    file.write({"step": 1})
    file.write({"step": 2, "text": "ä long value"})
    file.amend(2, {"recall": {"é": 1.0}})
    file.write({"step": 3})
    file.close()
    expected = [{"step": 1}, {"step": 2, "text": "ä long value", "recall": {"é": 1.0}}, {"step": 3}]
    assert read_records(tmp_path / "log.jsonl") == expected


def test_texts_with_characters_that_end_lines_elsewhere_stay_in_their_record(tmp_path: Path) -> None:
    records = [{"step": 1, "new_problems": ["a\u2028b\x85c\x0bd"]}, {"step": 2}]
    file = LogFile(tmp_path / "log.jsonl", 0)
    for record in records:
        file.write(record)
    file.close()
    assert read_records(tmp_path / "log.jsonl") == records


ODD_LINES = ("", "null", "[1]", "{", '{"step": "3"}', '{"step": -1}', '{"step": true}', '{"loss": 1}', '{"a":' * 20_000)


def test_lines_that_are_no_records_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text("\n".join(['{"step": 1}', *ODD_LINES, '{"step": 2, "seconds": "odd"}', ""]))
    assert [record["step"] for record in read_records(tmp_path / "log.jsonl")] == [1, 2]
    assert LogFile(tmp_path / "log.jsonl", 5).seconds == 0.0


class FullDisk(io.BytesIO):
    """Takes a few bytes and then no more."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room

    def write(self, content: Any) -> int:
        taken = min(len(content), self._room)
        self._room -= taken
        if not taken:
            raise OSError(28, "No space left on device")
        return super().write(content[:taken])


def test_a_line_that_finds_no_room_is_not_left_half_written(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "log.jsonl", 0)
    disk = FullDisk(30)
    file._file = disk  # type: ignore[assignment]
    file.write({"step": 1})
    with pytest.raises(OSError, match="No space left"):
        file.write({"step": 2, "text": "longer than the room that is left"})
    assert disk.getvalue() == b'{"step": 1}\n'


def test_a_board_that_fails_is_dropped_with_one_warning(
    settings: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board = boards.TensorBoard(tmp_path, 0)
    board.scalars({"loss": 1.0}, 1)
    written = (next((tmp_path / "tensorboard").iterdir())).read_bytes()
    board._records._writer = FullDisk(0)
    for step in (2, 3):
        board.scalars({"loss": 1.0}, step)
    board.close()
    assert capsys.readouterr().err.count("TensorBoard is not used from here on: [Errno 28]") == 1
    assert next((tmp_path / "tensorboard").iterdir()).read_bytes() == written

    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "tensorboard").write_text("a file where a folder should be")
    board = boards.TensorBoard(tmp_path / "other", 0)
    board.scalars({"loss": 1.0}, 1)
    board.close()
    assert capsys.readouterr().err.count("TensorBoard is not used from here on") == 1


def test_a_resumed_board_shows_no_step_twice(tmp_path: Path) -> None:
    for first_step, value in ((0, 1.0), (2, 5.0)):
        board = boards.TensorBoard(tmp_path, first_step)
        for step in range(first_step + 1, first_step + 4):
            board.scalars({"loss": value}, step)
        board.close()
    shown = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Scalars("loss")
    assert [(each.step, each.value) for each in shown] == [(1, 1), (2, 1), (3, 5), (4, 5), (5, 5)]


def test_tensorboard_gets_the_figures_and_the_recall(settings: Recipe, tmp_path: Path) -> None:
    with RunLog(tmp_path, settings, 0, Processes()) as run_log:
        run_log.add(result(), batch_of(0), waited=0.0)
        run_log.add_recall(1, RECALL)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert events.Scalars("loss")[0].value == pytest.approx(12.345)
    recall = next(tag for tag in events.Tags()["scalars"] if tag.startswith("recall/") and tag.endswith("10"))
    assert events.Scalars(recall)[0].value == 1.0


def test_lines_and_bars_of_the_papers_run_fit_80_columns(
    settings: Recipe, tmp_path: Path, spoken: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "SECONDS_BETWEEN_LINES", -1.0)
    with RunLog(tmp_path, settings, 1_199_998, Processes()) as run_log:
        for step in (1_199_998, 1_199_999):
            run_log.add(result(), batch_of(step), waited=1e-9)
    printed = [line for line in spoken.getvalue().splitlines() if line.startswith("step ")]
    assert len(printed) == 2  # none was wrapped
    assert printed[1].startswith("step 1,200,000/1,200,000 · loss 12.345 · ") and printed[1].endswith("waits 0%")

    terminal = Console(file=io.StringIO(), width=80, force_terminal=True, record=True)
    monkeypatch.setattr("openalign.progress.console", terminal)
    with bar("train", 1_200_000) as running:
        running.advance(1_199_999)
        running.note("loss 12.345 · 15.2k/s · waits 100%")
    assert "waits 100%" in terminal.export_text()


def test_a_problem_is_printed_once_and_counted_each_time(settings: Recipe, tmp_path: Path, spoken: io.StringIO) -> None:
    with RunLog(tmp_path, settings, 0, Processes()) as run_log:
        for step in range(2):
            batch = batch_of(step)
            batch.problems.append("pairs.csv row 7: [truncated] JPEG")
            run_log.add(result(), batch, waited=0.0)
    assert [record["problems"] for record in lines(tmp_path)] == [1, 1]
    assert [record.get("new_problems") for record in lines(tmp_path)] == [["pairs.csv row 7: [truncated] JPEG"], None]
    assert spoken.getvalue().count("[truncated]") == 1


@pytest.mark.parametrize(
    ("waited", "times", "message", "cure"),
    [
        (1.0, {"disk": 0.3, "decode": 0.1}, "busy reading images", "shuffle_block"),
        (1.0, {"disk": 0.1, "decode": 0.3}, "busy decoding images", "cache_images"),
        (1.0, {"disk": 0.0, "decode": 0.0}, "busy putting batches together", "workers"),
        (0.0, {"disk": 0.3, "decode": 0.1}, "The model is the limit", "more workers will not help"),
    ],
    ids=["reading", "decoding", "building", "model"],
)
def test_the_bottleneck_is_named_once_with_what_to_change(
    settings: Recipe,
    tmp_path: Path,
    spoken: io.StringIO,
    waited: float,
    times: dict[str, float],
    message: str,
    cure: str,
) -> None:
    with RunLog(tmp_path, settings, 0, Processes()) as run_log:
        for step in range(30):
            run_log.add(result(), batch_of(step, build=0.5, **times), waited)
            if step < 14:
                assert message not in spoken.getvalue()
    output = " ".join(spoken.getvalue().split())
    assert output.count(message) == 1
    assert cure in output


def test_a_single_slow_record_is_no_bottleneck(settings: Recipe, tmp_path: Path, spoken: io.StringIO) -> None:
    with RunLog(tmp_path, settings, 0, Processes()) as run_log:
        for step in range(30):
            run_log._window.began -= 1.0  # a step takes a second
            run_log.add(result(), batch_of(step), waited=0.9 if step == 20 else 0.05)
    assert "The model" not in spoken.getvalue()


def test_a_run_records_the_peak_that_its_mfu_is_a_share_of(settings: Recipe, tmp_path: Path) -> None:
    with RunLog(tmp_path, settings, 0, Processes()):
        pass
    machine = json.loads((tmp_path / "machine.json").read_text())
    assert machine["peak_flops"] > 0 and "measured" in machine["peak_source"]
    assert machine["torch"] == torch.__version__ and machine["processes"] == 1


FAKE_WANDB = """
import json, os
class Run:
    def log(self, values, step):
        if os.environ.get("FAKE_FAILS"):
            raise RuntimeError("the server is gone")
        write({"step": step, **values})
    def finish(self):
        write({"finished": True})
def init(**settings):
    write({"init": settings["name"], "id": settings["id"], "batch_size": settings["config"]["batch_size"]})
    return Run()
def write(line):
    with open(os.environ["FAKE_FILE"], "a") as file:
        file.write(json.dumps(line) + "\\n")
"""


@pytest.fixture
def wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package `wandb` that records its calls in the returned file."""
    package = tmp_path / "site" / "wandb"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(FAKE_WANDB)
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setenv("FAKE_FILE", str(tmp_path / "shown.jsonl"))
    yield tmp_path / "shown.jsonl"
    sys.modules.pop("wandb", None)


def short_run(settings: Recipe, run: Path, first_step: int = 0) -> None:
    run.mkdir(exist_ok=True)
    with RunLog(run, settings, first_step, Processes()) as run_log:
        run_log.add(result(), batch_of(first_step), waited=0.0)
        run_log.add_recall(first_step + 1, RECALL)


def test_weights_and_biases_gets_the_figures_and_resumes_its_run(
    settings: Recipe, tmp_path: Path, wandb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    short_run(settings, tmp_path / "run")
    short_run(settings, tmp_path / "run", first_step=1)
    shown = [json.loads(line) for line in wandb.read_text().splitlines()]
    assert shown[0]["init"] == "run" and shown[0]["batch_size"] == 12
    assert shown[1]["step"] == 1 and shown[1]["loss"] == 12.345
    assert shown[2]["recall/text_to_image R@1"] == 0.25
    assert shown[3] == {"finished": True}
    assert shown[4]["id"] == shown[0]["id"]


def test_weights_and_biases_is_left_alone_unless_it_was_set_up(
    settings: Recipe, tmp_path: Path, wandb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_run(settings, tmp_path / "no key")
    monkeypatch.setenv("WANDB_API_KEY", "a key")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    short_run(settings, tmp_path / "switched off")
    assert not wandb.exists()


def test_a_failure_of_weights_and_biases_is_one_warning_and_the_run_goes_on(
    settings: Recipe, tmp_path: Path, wandb: Path, monkeypatch: pytest.MonkeyPatch, spoken: io.StringIO
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("FAKE_FAILS", "1")
    short_run(settings, tmp_path / "run")
    assert spoken.getvalue().count("not used from here on: the server is gone") == 1
    assert lines(tmp_path / "run")[0]["recall"] == RECALL


def test_a_folder_called_wandb_is_not_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wandb").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert not boards.weights_and_biases_is_set_up()
