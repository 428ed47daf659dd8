"""Export of both towers to ONNX, for faster serving and for programs without torch.

image.onnx       uint8 `pixels` (B, S, S, 3) -> float32 `vectors` (B, D), unit rows
text.onnx        int64 `ids` and `mask` (B, T) -> float32 `vectors` (B, D), unit rows
tokenizer.json   the tokenizer for `ids` and `mask`
onnx.json        sizes, temperature and the fingerprint of the model
"""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from openalign.checksums import CHECKSUMS
from openalign.errors import OpenAlignError
from openalign.extras import require
from openalign.files import whole_folder
from openalign.model import hub
from openalign.model.align import Align
from openalign.model.folder import local_folder
from openalign.model.onnx.encoder import ABOUT, IMAGE_TOWER, TEXT_TOWER, ExportSettings, runtime_session
from openalign.options import option

TOLERANCE = 1e-4
"""Largest difference of a component of a unit vector between torch and the exported tower."""

_MAIN_FILES = {ABOUT, IMAGE_TOWER, TEXT_TOWER}
"""A folder that holds two of these is an export."""
_FILES = {*_MAIN_FILES, "tokenizer.json", "tokenizer_config.json", CHECKSUMS}


class ImageTower(nn.Module):
    """The image side of `Align` as a module."""

    def __init__(self, model: Align) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        return self.model.embed_images(pixels)


class TextTower(nn.Module):
    """The text side of `Align` as a module."""

    def __init__(self, model: Align) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        return self.model.embed_texts(ids, mask)


def export(model: str | Path, to: str | Path | None = None) -> Path:
    """Write `model`, a folder of ours or ALIGN's by hub name, as ONNX into the folder `to`; returns the folder.

    By default that is `MODEL/onnx`, where `openalign index` and `serve` use it if it is faster here than torch.

    Raises:
        OpenAlignError: no such model, another kind of dual encoder, `to` exists and is not an export or also has other
            files, or the results of ONNX Runtime differ from torch's.
    """
    require("export", "Exporting a model")
    folder = _folder_of(model) if to is None else Path(to)
    folder = folder.resolve() if folder.is_symlink() else folder  # the folder is replaced, not the link to it
    _check_replaceable(folder)
    encoder = _align_encoder(model)
    align = encoder.model.cpu().float()
    side, pieces = encoder.image_size, encoder.max_pieces
    pixels = torch.randint(0, 256, (2, side, side, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    ids = torch.arange(2 * (pieces // 2)).reshape(2, -1) % align.settings.vocabulary
    mask = torch.ones_like(ids)
    mask[1, 1:] = 0
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length", max=pieces)
    with whole_folder(folder) as partial:
        _write(ImageTower(align), {"pixels": pixels}, {"pixels": {0: batch}}, partial / IMAGE_TOWER)
        shapes = {name: {0: batch, 1: length} for name in ("ids", "mask")}
        _write(TextTower(align), {"ids": ids, "mask": mask}, shapes, partial / TEXT_TOWER)
        encoder.tokenizer.save(partial, pieces)
        about = ExportSettings(
            name=str(model),
            fingerprint=encoder.fingerprint,
            width=encoder.width,
            image_size=side,
            resize_size=align.settings.resize_size,
            max_pieces=pieces,
            temperature=encoder.temperature,
        )
        (partial / ABOUT).write_text(json.dumps(about.model_dump(), indent=2) + "\n", encoding="utf-8")
    return folder


def _folder_of(model: str | Path) -> Path:
    found = local_folder(Path(model))
    if found is None:
        raise OpenAlignError(
            f"{model} is neither an index nor a folder of this machine. For a model of the Hugging Face hub, name the "
            f"folder to write with {option('to')}."
        )
    return found / "onnx"


def _align_encoder(model: str | Path) -> hub.AlignEncoder:
    encoder = hub.load(model)
    if not isinstance(encoder, hub.AlignEncoder):
        raise OpenAlignError(
            f"{model}: only models of the ALIGN kind can be exported, with the settings and the image preprocessing "
            "that openalign has; for others there is `optimum`."
        )
    return encoder


def _check_replaceable(folder: Path) -> None:
    """Raise OpenAlignError unless `folder` is missing, empty, or an export, even a damaged one, without other files."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if len(names & _MAIN_FILES) < 2:  # of three, so that one may be missing; other programs also write a text.onnx
        raise OpenAlignError(f"{folder} exists and is not an export; name a new folder with {option('to')}.")
    if others := sorted(names - _FILES):
        raise OpenAlignError(
            f"{folder} also holds {others[0]}, which is not part of an export and would be lost: move it elsewhere, or "
            f"name a new folder with {option('to')}."
        )


def _write(tower: nn.Module, inputs: dict[str, Tensor], shapes: dict[str, Any], to: Path) -> None:
    with _quiet(), torch.inference_mode():
        torch.onnx.export(
            tower.eval(),
            (),
            to,
            kwargs=inputs,
            input_names=list(inputs),
            output_names=["vectors"],
            dynamic_shapes=shapes,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        expected = tower(**inputs).numpy()
    session = runtime_session(to)
    # Half the batch: a graph with a fixed batch size fails here.
    found = session.run(None, {name: tensor[1:].numpy() for name, tensor in inputs.items()})[0]
    difference = float(np.abs(found - expected[1:]).max())
    if not difference < TOLERANCE:
        raise OpenAlignError(f"{to.name} differs from the model by {difference:.2g}; it was not written.")


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the exporter's messages about its internals."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(level)
