"""The report of runs: every curve, setting and checkpoint on one page, in a real browser too."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser
from typer.testing import CliRunner

from openalign.commands.cli import app
from openalign.errors import OpenAlignError
from openalign.training.recipe.recipe import read_recipe, write_recipe
from openalign.training.watch.chart import Axis, Curve, averaged, draw, short_number, stacked, thinned
from openalign.training.watch.logged_run import read_run
from openalign.training.watch.report import report
from tests.browser import opened

pytestmark = pytest.mark.slow

STEPS = 40


def write_run(folder: Path, *, recall: bool = True, changes: dict[str, str] | None = None, bare: bool = False) -> Path:
    """A run as training leaves it after 40 of its 1,100 steps, killed in mid-line."""
    (folder / "checkpoints" / "step-00000020").mkdir(parents=True)
    (folder / "checkpoints" / "step-00000020" / "model.safetensors").write_bytes(bytes(3_000_000))
    records = [record_of(step, recall, bare) for step in range(1, STEPS + 1)]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "log.jsonl").write_text(lines + '{"step": 41, "lo')
    write_recipe(
        read_recipe("laptop", {"data": "a.csv", "tokenizer": "t.json", "steps": "1100", **(changes or {})}),
        folder / "recipe.toml",
    )
    if not bare:
        machine = {"device": "a machine", "processes": 2, "peak_flops": 5e10, "peak_source": "measured"}
        versions = {"python": "3", "torch": "2", "openalign": "0"}
        (folder / "machine.json").write_text(json.dumps(machine | versions))
    return folder


def record_of(step: int, recall: bool, bare: bool) -> dict[str, Any]:
    record: dict[str, Any] = {
        "step": step,
        "loss": 10 / step,
        "temperature": 0.07,
        "learning_rate": 1e-3,
        "gradient_norm": 2.0,
        "pairs_per_second": 500.0 + step,
    }
    if bare:
        return record
    shares = {"waiting_for_loader": 0.1, "loader_disk_share": 0.2, "loader_decode_share": 0.5}
    record |= shares | {"mfu": 0.31, "pairs_seen": step * 512, "seconds": step * 60.0, "memory_bytes": 2_100_000_000}
    record["problems"] = int(step in (5, 9))
    if step == 5:
        record["new_problems"] = ["row 7: <b>truncated</b> JPEG"]
    if recall and step % 10 == 0:
        names = [f"{way} R@{depth}" for way in ("image_to_text", "text_to_image") for depth in (1, 5, 10)]
        record["recall"] = {name: min(1.0, step / 50 + index / 100) for index, name in enumerate(names)}
    return record


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "photos")


@pytest.fixture(scope="module")
def page(run: Path) -> str:
    return report([run]).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def compared(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    other = write_run(run.parent / "lamb", recall=False, changes={"optimizer.name": "lamb"})
    return report([run, other], tmp_path_factory.mktemp("page") / "compare.html")


def headings(page: str) -> list[str]:
    return re.findall(r"<h3>([^<]+)</h3>", page)


def test_the_page_lies_in_the_run_and_fetches_nothing(run: Path, page: str) -> None:
    assert (run / "report.html").exists()
    assert not re.search(r"""(?:src|href)=|url\(|@import|fetch\(|https?://(?!www\.w3\.org/2000/svg)""", page)


def test_every_figure_has_its_curve(page: str) -> None:
    drawn = headings(page)
    learning = ["Loss", "Temperature", "Learning rate", "Gradient norm", "Recall image to text", "Recall text to image"]
    speed = ["Pairs per second", "MFU", "Waiting for the loader", "Memory"]
    assert drawn[: len(learning) + len(speed)] == learning + speed
    assert page.count('class="area ') == 3
    assert 'data-values="10|5|3.333' in page


def test_figures_settings_checkpoints_problems_and_machine_are_shown(page: str) -> None:
    assert "Step 40 of 1,100" in page
    assert "<b>80 %</b>" in page  # R@1 image to text
    assert "<b>31 %</b>" in page and "<b>40 min</b>" in page and "<b>2.1 GB</b>" in page
    cells = [re.sub(r"<[^>]+>", "|", row) for row in re.findall(r"<tr.*?</tr>", page, re.DOTALL)]
    assert "||optimizer.name|lamb|adamw|" in cells
    assert not any("seed" in row or "optimizer.beta1" in row for row in cells)
    assert "||step-00000020|20|3 MB|40 % image to text, 43 % text to image|" in cells
    assert "row 7: &lt;b&gt;truncated&lt;/b&gt; JPEG" in page
    assert any("0.05 TFLOP/s each: measured" in row for row in cells)


def test_a_log_of_few_figures_and_no_recall_is_drawn_all_the_same(tmp_path: Path) -> None:
    page = report([write_run(tmp_path / "bare", bare=True)]).read_text(encoding="utf-8")
    assert "Loss" in headings(page)
    assert not {"MFU", "Recall image to text", "Memory"} & set(headings(page))
    assert "Machine" not in page


def test_a_recipe_that_this_version_no_longer_reads_is_still_shown(tmp_path: Path) -> None:
    run = write_run(tmp_path / "old")
    (run / "recipe.toml").write_text("steps = 40\n[optimizer]\nlearning_rte = 1\n")
    page = report([run]).read_text(encoding="utf-8")
    assert "optimizer.learning_rte" in page and "Finished" in page


def test_runs_are_laid_over_each_other(compared: Path) -> None:
    page = compared.read_text(encoding="utf-8")
    assert "2 runs compared" in page
    loss = page[page.index("<h3>Loss") : page.index("<h3>Temperature")]
    assert re.findall(r'data-run="(\w+)"', loss) == ["photos", "lamb"]
    recall = page[page.index("<h3>Recall image") : page.index("<h3>Recall text")]
    assert set(re.findall(r'data-run="(\w+)"', recall)) == {"photos"}
    assert re.search(r'class="differs"><td>optimizer.name', page)
    assert not re.search(r'class="differs"><td>optimizer.learning_rate', page)


def test_runs_with_equal_names_are_shown_by_their_paths(run: Path, tmp_path: Path) -> None:
    twin = write_run(tmp_path / "photos")
    page = report([run, twin], tmp_path / "page.html").read_text(encoding="utf-8")
    assert f'data-run="{run}"' in page and f'data-run="{twin}"' in page


def test_a_folder_without_a_run_or_without_a_logged_step_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OpenAlignError, match="is not the folder of a run"):
        read_run(tmp_path)
    (tmp_path / "recipe.toml").write_text("steps = 1\n")
    with pytest.raises(OpenAlignError, match="has logged no step yet"):
        read_run(tmp_path)
    with pytest.raises(OpenAlignError, match="name it with --to"):
        report([tmp_path, tmp_path])


def test_the_command_writes_the_page_and_wants_a_file_for_several(run: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["report", str(run), "--to", str(tmp_path / "page.html")], prog_name="openalign")
    assert done.exit_code == 0 and "page.html" in done.stderr
    assert (tmp_path / "page.html").exists()
    several = CliRunner().invoke(app, ["report", str(run), str(run)], prog_name="openalign")
    assert several.exit_code == 2 and "--to" in several.stderr


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("which", ["run", "compared"])
def test_the_page_opens_without_errors_and_fits_the_width(
    browser: Browser, run: Path, page: str, compared: Path, width: int, which: str
) -> None:
    shown, complaints = opened(browser, compared if which == "compared" else run / "report.html", width)
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    svg = shown.locator("svg").first
    assert svg.locator(".curve").first.bounding_box()["width"] > 0.7 * svg.bounding_box()["width"]
    assert complaints == []


def test_pointing_at_a_curve_shows_its_value(browser: Browser, run: Path, page: str) -> None:
    shown, complaints = opened(browser, run / "report.html", 1280)
    box = shown.locator(".chart svg").first.bounding_box()
    shown.mouse.move(box["x"] + box["width"] - 1, box["y"] + 40)
    assert shown.locator(".chart output").first.inner_text() == "step 40: 0.25"
    assert shown.locator(".chart .dot").count() == 1
    area = shown.locator(".chart:has(.area) svg")
    area.hover()
    label = shown.locator(".chart:has(.area) output").inner_text()
    assert re.fullmatch(r"step \d+: the rest 30 % · decoding 50 % · reading 20 %", label)
    assert complaints == []


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400), st.integers(4, 50))
def test_thinning_keeps_ends_and_extremes(values: list[float], most: int) -> None:
    points = [(float(step), value) for step, value in enumerate(values)]
    kept = thinned(points, most)
    assert len(kept) <= most + 4
    assert set(kept) <= set(points) and kept == sorted(kept)
    assert {kept[0], kept[-1]} == {points[0], points[-1]}
    assert {min(values), max(values)} <= {value for _, value in kept}


@given(st.floats(1e-9, 1e9), st.floats(1e-3, 1e6), st.sampled_from(["linear", "log"]))
def test_ticks_lie_on_the_axis_and_are_neither_few_nor_many(low: float, factor: float, scale: Any) -> None:
    axis = Axis(low, low * (1 + factor), 100.0, 0.0, scale)
    ticks = axis.ticks(6, short_number)
    assert 1 <= len(ticks) <= 13
    assert all(-1e-3 <= tick.at <= 100.001 for tick in ticks)


def test_areas_lie_on_each_other_and_tell_their_own_share() -> None:
    shares = [Curve(label, 0, [(1.0, value)]) for label, value in (("a", 0.25), ("b", 0.5), ("c", 0.25))]
    assert [(curve.label, curve.points[0][1], curve.labels) for curve in stacked(shares)] == [
        ("c", 1.0, [0.25]),
        ("b", 0.75, [0.5]),
        ("a", 0.25, [0.25]),
    ]


def test_averages_are_over_stretches() -> None:
    assert averaged([(1.0, 0.0), (2.0, 1.0), (3.0, 4.0)], most=2) == [(2.0, 0.5), (3.0, 4.0)]


def test_nothing_to_draw_is_no_chart_and_one_value_is_a_dot() -> None:
    assert draw("", [Curve("", 0, [])], shown=short_number, until=9) is None
    assert draw("", [Curve("", 0, [(1.0, 0.0)])], shown=short_number, until=9, scale="log") is None
    dot = draw("", [Curve("", 0, [(1.0, 0.0)])], shown=short_number, until=9)
    assert dot is not None and len(set(dot.curves[0].path[1:].split("L"))) == 1


ODD = st.sampled_from(
    [None, True, -1, 0, 10**400, 0.0, -0.5, float("nan"), float("inf"), "text", [], {}, [1, "a"], {"R": "x"}]
)


@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_a_damaged_log_is_drawn_as_far_as_it_can_be(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = write_run(tmp_path_factory.mktemp("odd") / "run")
    records = [record_of(step, True, False) for step in range(1, 6)]
    for _ in range(data.draw(st.integers(1, 6))):
        record = records[data.draw(st.integers(0, 4))]
        record[data.draw(st.sampled_from(sorted(record)))] = data.draw(ODD)
    (run / "log.jsonl").write_text("\n".join([json.dumps(record) for record in records] + ['{"step": 9}']))
    report([run])


@pytest.mark.parametrize("name", ["recipe.toml", "machine.json"])
@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" * 20_000, b"[1]"])
def test_damaged_files_of_a_run_are_an_error_or_drawn(tmp_path: Path, name: str, content: bytes) -> None:
    run = write_run(tmp_path / "run")
    (run / name).write_bytes(content)
    if name == "recipe.toml" and content == b"[1]":  # an empty table of that name
        report([run])
    else:
        with pytest.raises(OpenAlignError, match=f"{name} is damaged"):
            report([run])


def test_odd_values_in_the_files_of_a_run_and_odd_checkpoints_are_drawn(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    (run / "recipe.toml").write_text('steps = "many"\nseed = 1979-05-27\n[optimizer]\nname = [[1], {a = 2}]\n')
    (run / "machine.json").write_text('{"peak_flops": "fast"}')
    (run / "checkpoints" / "step-mine").mkdir()
    (run / "checkpoints" / "damaged-step-00000030").mkdir()
    (run / "checkpoints" / "step-00000020" / "gone").symlink_to(tmp_path / "nowhere")
    assert "step-00000020" in report([run]).read_text()
