"""What a run says and keeps of the data that it learns from."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from openalign.commands.cli import app
from openalign.errors import OpenAlignError
from openalign.training.loop import train
from tests.conftest import TINY


@pytest.fixture
def lossy(road, tmp_path: Path) -> Path:
    """The road's table with four rows whose texts are missing."""
    lines = road.table.read_text(encoding="utf-8").splitlines()
    rows = [line.split(",") for line in lines[1:]]
    table = ["file,text,label"]
    for number, (file, text, label) in enumerate(rows):
        table.append(f"{road.table.parent / file},{'' if number < 4 else text},{label}")
    (tmp_path / "lossy.csv").write_text("\n".join(table) + "\n", encoding="utf-8")
    return tmp_path / "lossy.csv"


def settings_of(data: Path, tokenizer: Path) -> dict[str, str]:
    given = [f"data={data}", f"tokenizer={tokenizer}", *TINY]
    return dict(setting.split("=", 1) for setting in given)


def test_losses_are_said_and_kept_in_the_folder_of_the_run(road, lossy, tmp_path, capsys):
    train("demo", set=settings_of(lossy, road.tokenizer), to=tmp_path / "run")
    kept = json.loads((tmp_path / "run" / "data.json").read_text(encoding="utf-8"))
    assert kept["lost"] == {"rows without a text": 4}
    assert (kept["layout"], kept["rows"], kept["columns"]["text"]) == ("table", 20, "text")
    assert kept["problems"]


def test_a_strict_run_does_not_begin(road, lossy, tmp_path):
    with pytest.raises(OpenAlignError, match=r"4 rows without a text would be left out"):
        train("demo", set=settings_of(lossy, road.tokenizer) | {"strict": "true"}, to=tmp_path / "run")
    assert not (tmp_path / "run" / "model").exists()


def test_the_tokenizer_says_the_same_and_can_be_strict(lossy, tmp_path):
    to = tmp_path / "t.json"
    done = CliRunner().invoke(app, ["tokenizer", str(lossy), "--to", str(to), "--size", "100"])
    assert done.exit_code == 0
    assert "read as: table, 20 rows (image: file, text: text" in done.stderr
    assert "Left out: 4 rows without a text" in done.stderr
    to.unlink()
    assert CliRunner().invoke(app, ["tokenizer", str(lossy), "--to", str(to), "--strict"]).exit_code == 1
    assert not to.exists()


def test_evaluate_keeps_losses_in_its_json(road, lossy, tmp_path):
    file = tmp_path / "e.json"
    command = ["evaluate", str(road.run / "model"), str(lossy), "--json", str(file)]
    assert CliRunner().invoke(app, command).exit_code == 0
    report = json.loads(file.read_text(encoding="utf-8"))
    assert report["lost"] == {"rows without a text": 4}
    assert report["layout"] == "table"
    assert CliRunner().invoke(app, [*command, "--strict"]).exit_code == 1
