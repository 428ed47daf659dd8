"""What `import openalign` gives, used as the README uses it."""

import inspect
import os
import pydoc
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import openalign


def test_a_loaded_model_embeds_paths_pictures_and_arrays_alike(road):
    model = openalign.load(road.run / "model")
    path = road.table.parent / "0-red.png"
    picture = Image.open(path)
    images = model.embed_images([path, str(path), path.read_bytes(), picture, np.asarray(picture)])
    texts = model.embed_texts(["a red wall", "a blue wall"])
    assert images.shape == (5, model.width) and texts.shape == (2, model.width)
    assert images.dtype == texts.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(images, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(images, images[[0] * 5], atol=1e-5)


def test_an_index_answers_with_hits(road):
    hits = openalign.Index.open(road.index).search("a red wall", minus=["a blue wall"], top=3)
    assert len(hits) == 3
    assert hits[0].score >= hits[1].score >= hits[2].score


def test_a_loaded_model_is_evaluated_and_classifies(road):
    model = openalign.load(road.run / "model")
    report = openalign.evaluate(model, road.table)
    assert report["count"] == 24
    (found,) = openalign.classify(model, [road.table.parent / "0-red.png"], ["red", "blue"])
    assert sum(probability for _, probability in found) == pytest.approx(1)


def test_a_mistake_is_an_openalign_error(tmp_path):
    with pytest.raises(openalign.OpenAlignError, match=r"none\.csv does not exist"):
        openalign.evaluate("nowhere", tmp_path / "none.csv")


def test_names_that_do_not_exist_are_refused_as_by_any_module():
    with pytest.raises(AttributeError, match="no attribute 'embedding_of'"):
        openalign.embedding_of  # noqa: B018


def test_every_public_name_can_be_had():
    for name in openalign.__all__:
        assert callable(getattr(openalign, name))


def test_dir_help_and_signature_show_the_real_functions():
    assert {*openalign.__all__} < {*dir(openalign)}
    for name in openalign.__all__:
        shown = pydoc.plaintext.document(getattr(openalign, name), name)
        assert inspect.getdoc(getattr(openalign, name)).splitlines()[0] in shown
    assert [*inspect.signature(openalign.train).parameters] == ["recipe", "set", "to", "resume", "change"]
    assert inspect.signature(openalign.curate).parameters["to"].kind is inspect.Parameter.KEYWORD_ONLY
    signature = str(inspect.signature(openalign.curate)).replace("collections.abc.", "")
    assert "sources: str | pathlib.Path | Sequence[str | pathlib.Path]" in signature


def test_import_is_lazy(road):
    code = "import sys, openalign; dir(openalign); print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False False\n"


USERS_PROGRAM = """
from pathlib import Path

import openalign

model = openalign.load("runs/demo/model")
reveal_type(model.embed_texts(["a red apple"]))
report = openalign.evaluate(model, Path("photos.csv"), where={"split": "val"})
reveal_type(report)
index = openalign.Index.open("photos.index")
reveal_type(index)
for hit in index.search("a red apple", minus=["people"], top=10):
    reveal_type(hit.image)
    reveal_type(hit.score)
reveal_type(openalign.classify(model, ["shoe.jpg"], ["boot", "sandal"]))
reveal_type(openalign.train("laptop", set={"steps": "10"}).model)
reveal_type(openalign.curate(["photos.csv"], to=Path("curated"))["pairs"])
reveal_type(openalign.embed("photos", model="runs/demo/model", to=Path("vectors"), engine="spark").rows)
openalign.evaluate(model, 7)
"""
REVEALED = [
    "numpy.ndarray[",
    "dict[str, Any]",
    "openalign.search.index.Index",
    "str",
    "float",
    "list[list[tuple[str, float]]]",
    "pathlib.Path",
    "Any",
    "int",
]


@pytest.mark.slow
def test_a_users_type_checker_sees_the_types_and_a_mistake(tmp_path):
    (tmp_path / "program.py").write_text(USERS_PROGRAM, encoding="utf-8")
    root = Path(openalign.__file__).parents[1]
    typed = [sys.executable, "-m", "mypy", "--strict", "--config-file", "pyproject.toml", str(tmp_path / "program.py")]
    done = subprocess.run(
        typed, cwd=root, env=os.environ | {"MYPYPATH": str(root)}, capture_output=True, text=True, timeout=300
    )
    revealed = re.findall(r'Revealed type is "(.*)"', done.stdout)
    assert len(revealed) == len(REVEALED), done.stdout + done.stderr
    for shown, expected in zip(revealed, REVEALED, strict=True):
        assert shown.replace("builtins.", "").replace("typing.", "").startswith(expected)
    (error,) = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert 'Argument 2 to "evaluate"' in error and "arg-type" in error
