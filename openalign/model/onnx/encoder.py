"""A model exported by `openalign export`, run by ONNX Runtime: the same vectors, faster on a CPU."""

from collections.abc import Sequence
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from openalign.checksums import check_files
from openalign.data.files.json_files import check_file, read_object
from openalign.data.files.library_errors import library_errors
from openalign.data.images.read import ImageInput, read_image
from openalign.data.tokenizer.wordpiece import Tokenizer
from openalign.errors import OpenAlignError
from openalign.extras import require
from openalign.model.dual_encoder import DualEncoder, centre_crop
from openalign.model.folder import check_kinds
from openalign.model.limits import MOST_PIECES, MOST_SIDE, MOST_WIDTH
from openalign.settings import Settings

ABOUT = "onnx.json"
IMAGE_TOWER, TEXT_TOWER = "image.onnx", "text.onnx"
MOST_GRAPH_BYTES = 2**31
"""The limit of protobuf messages."""
_ADVICE = "run `openalign export` again"


class ExportSettings(Settings):
    """The content of `onnx.json`."""

    name: str
    """The exported model, as it was named at the time."""
    fingerprint: str
    width: int = Field(ge=1, le=MOST_WIDTH)
    image_size: int = Field(ge=1, le=MOST_SIDE)
    resize_size: int = Field(ge=1, le=MOST_SIDE)
    max_pieces: int = Field(ge=3, le=MOST_PIECES)
    temperature: float = Field(gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _the_crop_lies_in_the_image(self) -> Self:
        if self.image_size > self.resize_size:
            raise ValueError(f"`image_size` = {self.image_size} is larger than `resize_size` = {self.resize_size}")
        return self


class OnnxEncoder(DualEncoder):
    """Both towers of an exported folder. Its fingerprint is that of the model it was exported from.

    Raises:
        OpenAlignError: the folder is not an export, or damaged.
    """

    def __init__(self, folder: Path) -> None:
        require("export", f"Using the exported model {folder}", ["onnxruntime"])
        check_kinds(folder)
        check_files(folder, [ABOUT, IMAGE_TOWER, TEXT_TOWER, "tokenizer.json"], _ADVICE)
        try:
            about = ExportSettings.read(read_object(folder / ABOUT), str(folder / ABOUT))
            self._image = _session(folder / IMAGE_TOWER, ["pixels"])
            self._text = _session(folder / TEXT_TOWER, ["ids", "mask"])
        except OpenAlignError as error:
            raise OpenAlignError(f"{folder}: no whole export ({str(error).removesuffix('.')}); {_ADVICE}.") from None
        self.name, self.fingerprint = str(folder), about.fingerprint
        self.width, self.image_size, self.temperature = about.width, about.image_size, about.temperature
        self._resize_size, self._max_pieces = about.resize_size, about.max_pieces
        self._tokenizer = Tokenizer.load(folder)

    def prepare(self, image: ImageInput) -> NDArray[Any]:
        """Resize to a square and crop the centre, as the exported model does -> uint8 (S, S, 3)."""
        pixels = read_image(image)
        return centre_crop(pixels, resize_size=self._resize_size, image_size=self.image_size)

    def _embed_prepared(self, images: NDArray[Any]) -> NDArray[np.float32]:
        return self._run(self._image, {"pixels": images})

    def _embed_text_batch(self, texts: Sequence[str]) -> NDArray[np.float32]:
        ids_BT, mask_BT = self._tokenizer(texts, self._max_pieces)
        return self._run(self._text, {"ids": ids_BT, "mask": mask_BT})

    def _run(self, session: Any, inputs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        # With another model's tokenizer, an id beyond the vocabulary makes the runtime fail.
        with library_errors(f"{self.name}: does not fit its tokenizer or onnx.json; {_ADVICE}"):
            vectors_BD: NDArray[np.float32] = session.run(["vectors"], inputs)[0]
            return vectors_BD


def exported(model: str | Path, fingerprint: str) -> OnnxEncoder | None:
    """The export in `model`/onnx (or a run's `model/onnx`), if it is of the model with this fingerprint."""
    folder = _export_folder(model)
    encoder = OnnxEncoder(folder) if folder else None
    return encoder if encoder and encoder.fingerprint == fingerprint else None


def has_export(model: str | Path) -> bool:
    """Whether there is an export where `exported` looks for one."""
    return _export_folder(model) is not None


def _export_folder(model: str | Path) -> Path | None:
    folders = Path(model, "onnx"), Path(model, "model", "onnx")
    return next((folder for folder in folders if (folder / ABOUT).is_file()), None)


def runtime_session(path: Path) -> Any:
    """A session of ONNX Runtime, which is an extra and so imported only here."""
    import onnxruntime

    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def _session(path: Path, inputs: list[str]) -> Any:
    check_file(path, MOST_GRAPH_BYTES)
    try:
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            names_a_file = content.find(b"location") >= 0
        session = None if names_a_file else runtime_session(path)
    except Exception as error:  # the runtime's exceptions have no other base class in common
        raise OpenAlignError(f"{path.name} is damaged") from error
    if session is None:
        # A tensor outside the graph has a `location`, which could be any file of the machine.
        raise OpenAlignError(f"{path.name} takes data from another file, as none of our exports does")
    if [each.name for each in session.get_inputs()] != inputs:
        raise OpenAlignError(f"{path.name} is of another kind")
    return session
