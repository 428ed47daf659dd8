"""Which of torch and an export is used: the faster one, measured once a machine."""

import json
from types import SimpleNamespace

import pytest

from openalign.model.onnx import faster as module
from openalign.model.onnx.faster import faster, faster_of


@pytest.fixture
def timed(monkeypatch, tmp_path):
    """An export and a model that take these seconds; counts what is loaded and measured."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    counts = SimpleNamespace(loaded=0, measured=0)
    export, model = SimpleNamespace(fingerprint="ab12"), SimpleNamespace()
    seconds = {"torch": 2.0, "onnx": 1.0}

    def load():
        counts.loaded += 1
        return model

    def seconds_of(encoder):
        counts.measured += 1
        return seconds["onnx" if encoder is export else "torch"]

    monkeypatch.setattr(module, "seconds_of", seconds_of)
    return SimpleNamespace(export=export, model=model, load=load, seconds=seconds, counts=counts, home=tmp_path)


def test_the_faster_one_is_used(timed):
    assert faster_of(timed.export, timed.load) is timed.export


def test_torch_is_used_where_it_is_faster(timed):
    timed.seconds["onnx"] = 3.0
    assert faster_of(timed.export, timed.load) is timed.model


def test_it_is_measured_once_and_then_torch_is_not_even_loaded(timed):
    faster_of(timed.export, timed.load)
    before = vars(timed.counts).copy()
    assert faster_of(timed.export, timed.load) is timed.export
    assert vars(timed.counts) == before


@pytest.mark.parametrize("change", ["fingerprint", "threads"])
def test_another_model_or_number_of_threads_is_measured_anew(timed, change, monkeypatch):
    faster_of(timed.export, timed.load)
    if change == "fingerprint":
        timed.export.fingerprint = "cd34"
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", "99")
    timed.seconds["onnx"] = 3.0
    assert faster_of(timed.export, timed.load) is timed.model


@pytest.mark.parametrize("content", ["{", "[]", '{"ab12": 1}', '{"ab12": {"torch": "fast"}}'])
def test_a_spoilt_memory_is_measured_anew(timed, content):
    faster_of(timed.export, timed.load)
    (path,) = (timed.home / "cache" / "openalign").glob("*.json")
    (key,) = json.loads(path.read_text())
    path.write_text(content.replace("ab12", key))
    timed.seconds["onnx"] = 3.0
    assert faster_of(timed.export, timed.load) is timed.model


def test_without_a_place_to_remember_it_is_measured_each_time(timed):
    (timed.home / "cache").write_text("a file")
    assert faster_of(timed.export, timed.load) is timed.export
    assert faster_of(timed.export, timed.load) is timed.export
    assert timed.counts.loaded == 2


def test_a_model_of_another_kind_stays_as_it_is(paint_encoder):
    assert faster(paint_encoder) is paint_encoder
