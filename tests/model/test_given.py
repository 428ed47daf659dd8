"""Every public function that takes a model takes a loaded one, a folder or a name, and says so of anything else."""

import shutil
import sys

import numpy as np
import pytest
from huggingface_hub import utils as hub_utils
from torch import nn
from transformers.utils import logging as transformers_logging

import openalign
from openalign.data.tokenizer import Tokenizer
from openalign.errors import OpenAlignError, UsageError
from openalign.model.pretrained import _without_bars
from tests import preloaded
from tests.model.folders import clip_folder


def calls_with(model, road, folder):
    image = road.table.parent / "0-red.png"
    return {
        "classify": lambda: openalign.classify(model, [image], ["red", "blue"]),
        "evaluate": lambda: openalign.evaluate(model, road.table)["metrics"],
        "build": lambda: openalign.Index.build(road.table, model=model, to=folder).search("a red wall", top=1)[0].image,
        "open": lambda: openalign.Index.open(road.index, model).search("a red wall", top=1)[0].image,
    }


@pytest.mark.slow
@pytest.mark.parametrize("call", ["classify", "evaluate", "build", "open"])
def test_a_model_may_be_loaded_or_a_folder_or_its_name(road, tmp_path, call):
    model = shutil.copytree(road.run / "model", tmp_path / "model")
    given = (openalign.load(model), model, str(model))
    first, *others = [calls_with(each, road, tmp_path / f"{number}")[call]() for number, each in enumerate(given)]
    assert others == [first, first]


@pytest.mark.parametrize("call", ["classify", "evaluate", "build", "open"])
@pytest.mark.parametrize("wrong", [7, nn.Linear(2, 2), np.zeros(3)], ids=lambda wrong: type(wrong).__name__)
def test_anything_else_is_refused_by_its_type(road, tmp_path, call, wrong):
    with pytest.raises(UsageError, match=rf"a model is what openalign\.load returns, .*type {type(wrong).__name__}$"):
        calls_with(wrong, road, tmp_path / "new")[call]()


@pytest.mark.parametrize(
    ("call", "message"),
    [("classify", "type NoneType$"), ("evaluate", "type NoneType$"), ("build", "add --model$")],
)
def test_no_model_is_refused_but_by_an_index_which_knows_its_own(road, tmp_path, call, message):
    with pytest.raises(UsageError, match=message):
        calls_with(None, road, tmp_path / "new")[call]()


@pytest.mark.parametrize("call", ["classify", "evaluate", "build", "open"])
def test_a_folder_that_is_not_there_is_named(road, tmp_path, call):
    with pytest.raises(OpenAlignError, match="nowhere"):
        calls_with(tmp_path / "nowhere", road, tmp_path / "new")[call]()


@pytest.mark.slow
def test_loading_shows_no_progress_bars_and_leaves_those_of_the_program(road, tmp_path):
    folder = clip_folder(tmp_path / "clip", Tokenizer.load(road.tokenizer))
    program = (
        "import openalign, transformers, sys\n"
        "openalign.load(sys.argv[1])\n"
        "print('then', file=sys.stderr)\n"
        "transformers.CLIPModel.from_pretrained(sys.argv[1])\n"
    )
    done = preloaded.run([sys.executable, "-c", program, folder])
    assert done.returncode == 0, done.stderr
    ours, theirs = done.stderr.split("then\n")
    assert "Loading weights" not in ours and "Loading weights" in theirs


@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_the_state_of_the_progress_bars_is_that_of_before(shown, fails):
    before = transformers_logging.is_progress_bar_enabled(), hub_utils.are_progress_bars_disabled()
    try:
        (transformers_logging.enable_progress_bar if shown else transformers_logging.disable_progress_bar)()
        hub_utils.disable_progress_bars()
        try:
            with _without_bars():
                assert not transformers_logging.is_progress_bar_enabled()
                assert not fails
        except AssertionError:
            assert fails
        assert transformers_logging.is_progress_bar_enabled() == shown
        assert hub_utils.are_progress_bars_disabled()
    finally:
        (transformers_logging.enable_progress_bar if before[0] else transformers_logging.disable_progress_bar)()
        (hub_utils.disable_progress_bars if before[1] else hub_utils.enable_progress_bars)()
