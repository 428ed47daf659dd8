"""The scripts and the notebook of examples/ run as their headers say, on small data."""

import csv
import io
import json
import runpy
import shutil
import sys

import pytest

from tests.conftest import TINY
from tests.docs.blocks import ROOT

EXAMPLES = ROOT / "examples"

pytestmark = pytest.mark.slow


@pytest.fixture
def script(here, monkeypatch, capsys):
    """Run a script of examples/ with these arguments; what it prints."""

    def script(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        capsys.readouterr()
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return script


def test_search_my_photos_prints_five_answers_and_searches_again(script, here):
    shutil.rmtree(here / "photos.index")  # of another model
    first = script("search_my_photos.py", "photos", "a red wall")
    assert len(first.splitlines()) == 5
    assert (here / "photos.index" / "meta.json").exists()
    assert script("search_my_photos.py", "photos", "a red wall") == first


def test_train_on_my_table_ends_with_recall_beside_chance(script):
    changes = [word for change in TINY for word in ("--set", change)]
    arguments = ["photos.csv", "--to", "runs/example", *changes]
    shown = script("train_on_my_table.py", *arguments)
    assert "step 6: loss" in shown
    assert "image_to_text: R@1" in shown
    assert "step 6: loss" in script("train_on_my_table.py", *arguments)  # which continues a finished run


def test_curate_a_crawl_counts_what_each_rule_drops(script):
    shown = script("curate_a_crawl.py", "crawl/crawl.warc.gz", "--to", "example")
    assert "16 of 19 pairs kept" in shown
    assert "no_text: 1" in shown


def test_evaluate_a_model_compares_models(script):
    shown = script("evaluate_a_model.py", "coco/test.csv", "runs/mine/model", "models/siglip")
    assert shown.count("12 images, 12 texts") == 2
    assert shown.count("text_to_image: R@1") == 2


def test_label_photos_writes_a_table(script):
    shown = script("label_photos.py", "apple.jpg", "pear.jpg", "--labels", "a red wall, a blue wall")
    rows = list(csv.DictReader(io.StringIO(shown)))
    assert [row["file"] for row in rows] == ["apple.jpg", "pear.jpg"]
    assert {row["label"] for row in rows} <= {"a red wall", "a blue wall"}


@pytest.mark.skipif(shutil.which("java") is None, reason="needs Java 17, which is not installed")
def test_embed_on_a_cluster_shows_what_it_wrote(script, here):
    arguments = ["photos", "--model", "runs/mine/model", "--to", "vectors", "--master", "local[2]"]
    shown = script("embed_on_a_cluster.py", *arguments)
    assert "24 vectors of width 24 in 2 partitions" in shown
    assert "0-red.png" in shown
    assert (here / "vectors" / "manifest.json").exists()


def test_the_notebook_is_valid_and_its_cells_run_in_order(here):
    notebook = json.loads((EXAMPLES / "search_photos.ipynb").read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    names = {"__name__": "notebook"}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert not cell["outputs"], "outputs are not committed"
            exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
    assert len(names["hits"]) == 5


def test_every_example_is_listed_and_tested():
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    tested = (ROOT / "tests" / "docs" / "test_examples.py").read_text(encoding="utf-8")
    for path in [*EXAMPLES.glob("*.py"), *EXAMPLES.glob("*.ipynb")]:
        assert f"({path.name})" in listed
        assert f'"{path.name}"' in tested
