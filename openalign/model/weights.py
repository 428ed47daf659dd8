"""Weight files: safetensors only, checked by their headers before a model is built, with finite values only."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open

from openalign.data.files.json_files import check_file, read_object
from openalign.data.files.library_errors import library_errors
from openalign.errors import OpenAlignError
from openalign.model.folder import INDEX, MOST_WEIGHT_BYTES, WEIGHTS

_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")
_SHARD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.safetensors")
_DTYPES = ("F64", "F32", "F16", "BF16", "I64", "I32", "BOOL")
"""Supported types; eight-bit numbers need the scales of a quantization."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as the header of its file describes it."""

    dtype: str
    """In the notation of safetensors: F32, BF16, I64 ..."""
    shape: tuple[int, ...]
    file: Path

    @property
    def numbers(self) -> int:
        """Number of elements."""
        return int(torch.Size(self.shape).numel())


def weight_files(folder: Path) -> list[Path]:
    """`model.safetensors` of a folder, or the files that `model.safetensors.index.json` names instead.

    Raises:
        OpenAlignError: there are none, or only pickled ones; the index names files outside the folder.
    """
    if (folder / WEIGHTS).exists():
        return [folder / WEIGHTS]
    if (folder / INDEX).exists():
        return _shards(folder)
    pickled = sorted(path.name for path in folder.iterdir() if path.suffix in _PICKLES)
    if pickled:
        raise OpenAlignError(
            f"{folder}: holds its weights only as {pickled[0]}, a format that can run code; openalign reads "
            f"{WEIGHTS} alone. If you trust the file, convert it with transformers: "
            "`AutoModel.from_pretrained(FOLDER).save_pretrained(FOLDER)`."
        )
    raise OpenAlignError(
        f"{folder / WEIGHTS}: no such file; the folder holds no weights. Only safetensors files are fetched from the "
        "Hugging Face hub: a repository with a pytorch_model.bin alone has to be converted with transformers first."
    )


def _shards(folder: Path) -> list[Path]:
    index = read_object(folder / INDEX)
    names = index.get("weight_map")
    if not isinstance(names, dict) or not names or not isinstance(index.get("metadata"), dict):
        raise OpenAlignError(f"{folder / INDEX}: holds no `weight_map` and `metadata`.")
    for tensor, name in names.items():
        if not isinstance(name, str) or not _SHARD.fullmatch(name):
            raise OpenAlignError(
                f"{folder / INDEX}: `{tensor}` lies in {name!r}, which is no safetensors file of this folder."
            )
    return [folder / name for name in sorted(set(names.values()))]


def stored_tensors(files: Iterable[Path]) -> dict[str, StoredTensor]:
    """The tensors of these files by name, read from the headers only.

    Raises:
        OpenAlignError: a file is missing or damaged, or has tensors of an unsupported type.
    """
    found: dict[str, StoredTensor] = {}
    for file in files:
        if not file.exists():
            raise OpenAlignError(f"{file}: no such file; the folder holds no weights.")
        check_file(file, MOST_WEIGHT_BYTES)
        damaged = library_errors(f"{file}: damaged; take an older checkpoint or fetch it again")
        with damaged, safe_open(file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118 - not a mapping
                header = opened.get_slice(name)
                found[name] = StoredTensor(header.get_dtype(), tuple(header.get_shape()), file)
    for name, tensor in found.items():
        if tensor.dtype not in _DTYPES:
            raise OpenAlignError(
                f"{tensor.file}: `{name}` holds numbers of the kind {tensor.dtype}; "
                f"openalign reads {', '.join(_DTYPES)}."
            )
    return found


def check_shapes(stored: Mapping[str, StoredTensor], own: Mapping[str, torch.Tensor], path: Path) -> None:
    """Check that the file at `path` has exactly the tensors of a model, before it is read or memory is allocated.

    Raises:
        OpenAlignError: a tensor is missing, unknown, of another shape, or integer instead of floating-point.
    """
    for name, tensor in own.items():
        if name not in stored and not name.endswith("num_batches_tracked"):
            raise OpenAlignError(f"{path}: holds no tensor `{name}`: it is a model of another shape.")
        if name in stored and stored[name].shape != tuple(tensor.shape):
            raise OpenAlignError(
                f"{path}: `{name}` has shape {stored[name].shape}, but the settings ask for "
                f"{tuple(tensor.shape)}: it is a model of another shape."
            )
        if name in stored and tensor.is_floating_point() and "F" not in stored[name].dtype:
            raise OpenAlignError(f"{path}: `{name}` has type {stored[name].dtype}, not floating-point.")
    if unknown := sorted(set(stored) - set(own)):
        raise OpenAlignError(
            f"{path}: holds `{unknown[0]}`, which the settings do not: it is a model of another shape."
        )


def check_finite(tensors: Mapping[str, torch.Tensor], where: str | Path) -> None:
    """Raise OpenAlignError with the name of the first tensor that holds NaN or infinity."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and tensor.numel() and not _finite(tensor):
            raise OpenAlignError(f"{where}: `{name}` holds NaN or infinity; the model is unusable.")


def _finite(tensor: torch.Tensor) -> bool:
    least, most = torch.aminmax(tensor)  # both are NaN if any element is; allocates nothing, unlike `isfinite`
    return bool(torch.isfinite(least) and torch.isfinite(most))
