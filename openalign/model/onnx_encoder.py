"""A model that `openalign export` wrote, run by ONNX Runtime: the same vectors, quicker on a processor."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from numpy.typing import NDArray

from openalign.data.tokenizer import Tokenizer
from openalign.errors import OpenAlignError
from openalign.model.dual_encoder import DualEncoder, ImageInput, read_image
from openalign.model.hub import centre_crop


class OnnxEncoder(DualEncoder):
    """Both towers of an exported folder. Its fingerprint is that of the model it was exported from.

    Raises:
        OpenAlignError: the folder is no export, or a damaged one.
    """

    def __init__(self, folder: Path) -> None:
        try:
            about = json.loads((folder / "onnx.json").read_text(encoding="utf-8"))
            self.name, self.fingerprint = str(folder), str(about["fingerprint"])
            self.width, self.image_size = int(about["width"]), int(about["image_size"])
            self.temperature = float(about["temperature"])
            self._resize_size, self._max_pieces = int(about["resize_size"]), int(about["max_pieces"])
            self._image, self._text = (_session(folder / name) for name in ("image.onnx", "text.onnx"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise OpenAlignError(f"{folder}: no whole export ({error}); run `openalign export` again.") from None
        self._tokenizer = Tokenizer.load(folder)

    def prepare(self, image: ImageInput) -> NDArray[Any]:
        """Resize to a square and cut the centre, as the exported model does -> uint8 (S, S, 3)."""
        pixels = read_image(image, min_side=self._resize_size)
        return centre_crop(pixels, resize_size=self._resize_size, image_size=self.image_size)

    def _embed_prepared(self, images: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(self._image.run(None, {"pixels": images})[0])

    def _embed_text_batch(self, texts: Sequence[str]) -> torch.Tensor:
        ids_BT, mask_BT = self._tokenizer(texts, self._max_pieces)
        return torch.from_numpy(self._text.run(None, {"ids": ids_BT, "mask": mask_BT})[0])


def exported(model: str | Path, fingerprint: str) -> OnnxEncoder | None:
    """The export that lies in the folder `model` (or a run's `model/`) as `onnx`, if this very model was exported."""
    for folder in (Path(model, "onnx"), Path(model, "model", "onnx")):
        if (folder / "onnx.json").is_file():
            encoder = OnnxEncoder(folder)
            return encoder if encoder.fingerprint == fingerprint else None
    return None


def _session(path: Path) -> onnxruntime.InferenceSession:
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} is missing")
    try:
        return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's own exceptions share no other base
        raise ValueError(f"{path.name} is damaged") from error
