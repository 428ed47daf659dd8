"""Choose between torch and an export of the same model: whichever is faster on this machine, measured once."""

import json
import os
import platform
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import numpy as np

from openalign.data.files.json_files import read_object
from openalign.errors import OpenAlignError
from openalign.files import whole_file
from openalign.model.dual_encoder import DualEncoder
from openalign.model.onnx.encoder import OnnxEncoder, exported, has_export

_BATCH = 8
_ROUNDS = 3
"""Measured rounds after one to warm up; the fastest counts."""
_TEXTS = tuple(f"a photo of {count} red apples on a table" for count in range(_BATCH))


def faster(model: DualEncoder) -> DualEncoder:
    """`model`, or its export in `MODEL/onnx` if there is one and it is faster here; both give the same vectors.

    Models on a GPU, of other kinds, and those whose export is of other weights, are returned as they are.
    """
    from openalign.model.align_encoder import AlignEncoder  # torch, which an export does without

    if not isinstance(model, AlignEncoder) or model.model.log_temperature.device.type != "cpu":
        return model
    export = exported(model.name, model.fingerprint)
    return model if export is None else faster_of(export, lambda: model)


def faster_of(export: OnnxEncoder, load: Callable[[], DualEncoder]) -> DualEncoder:
    """`export`, or the model that `load` gives, which is called only if it is needed: to be measured, or used."""
    key = _key(export.fingerprint)
    seconds = _recall(key)
    if seconds is None:
        seconds = {"torch": seconds_of(load()), "onnx": seconds_of(export)}
        _remember(key, seconds)
    return export if seconds["onnx"] < seconds["torch"] else load()


def export_instead(model: str | Path, fingerprint: str) -> OnnxEncoder | None:
    """The export in the folder `model`, if it is whole and saves time; loads no torch.

    It does before torch is imported, which takes seconds; after that where it was measured here to be faster.

    A damaged export, or one without ONNX Runtime, is passed over: the model itself gives the same vectors.
    """
    with suppress(OpenAlignError):
        if has_export(model) and ("torch" not in sys.modules or _is_known_faster(fingerprint)):
            return exported(model, fingerprint)
    return None


def _is_known_faster(fingerprint: str) -> bool:
    seconds = _recall(_key(fingerprint))
    return seconds is not None and seconds["onnx"] < seconds["torch"]


def seconds_of(model: DualEncoder) -> float:
    """Seconds for eight images, which are decoded already, and eight texts."""
    side = model.image_size
    images = np.random.default_rng(0).integers(0, 256, (_BATCH, side, side, 3), dtype=np.uint8)
    rounds = []
    for _ in range(1 + _ROUNDS):
        began = time.perf_counter()
        model.embed_prepared(images)
        model.embed_texts(_TEXTS)
        rounds.append(time.perf_counter() - began)
    return min(rounds[1:])


def _key(fingerprint: str) -> str:
    return "; ".join([fingerprint, *_machine()])


def _machine() -> list[str]:
    """What the result depends on, besides the model."""
    libraries = [f"{name} {version(name)}" for name in ("torch", "onnxruntime")]
    return [f"{_threads()} threads of {os.cpu_count()} x {_processor()}", *libraries]


def _threads() -> int | str | None:
    """As many as torch takes, without loading it to ask."""
    if "OMP_NUM_THREADS" in os.environ:
        return os.environ["OMP_NUM_THREADS"]
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()  # Linux has the first


def _processor() -> str:
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return platform.processor()


def _remembered() -> Path:
    """A file in the user's cache folder; where none can be written, each start measures again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "openalign" / "onnx_seconds.json"


def _recall(key: str) -> dict[str, float] | None:
    with suppress(OpenAlignError, RuntimeError):  # RuntimeError: this user has no home
        seconds = read_object(_remembered()).get(key)
        if isinstance(seconds, dict) and all(isinstance(seconds.get(name), float) for name in ("torch", "onnx")):
            return seconds
    return None


def _remember(key: str, seconds: dict[str, float]) -> None:
    with suppress(OSError, RuntimeError):
        path = _remembered()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            others = read_object(path)
        except OpenAlignError:
            others = {}
        with whole_file(path) as partial:
            partial.write_text(json.dumps({**others, key: seconds}, indent=2) + "\n", encoding="utf-8")
