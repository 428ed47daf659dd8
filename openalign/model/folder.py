"""Model folders: finding one, and refusing unsafe ones before a library opens their files.

A downloaded folder is data. No code in it is run: no Python file, no pickle, no code of another repository. Only
regular files are opened, and none larger than any published model's.
"""

import hashlib
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError

from openalign.checksums import check_files, checksum_of, read_checksums
from openalign.data.files.json_files import check_file, read_object
from openalign.data.tokenizer.limits import MOST_TOKENIZER_BYTES
from openalign.errors import OpenAlignError
from openalign.files import recover_folder

CONFIG = "config.json"
PREPROCESSOR = "preprocessor_config.json"
PROCESSOR = "processor_config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
MOST_WEIGHT_BYTES = 2**40

_SETTINGS = (CONFIG, PREPROCESSOR, PROCESSOR, "tokenizer_config.json", "special_tokens_map.json", INDEX)
"""Files that transformers reads as settings, which can name code to run."""
_READ_AS_TEXT = (".json", ".txt", ".model", ".jinja")
_SHAPE_EMBEDDINGS = (CONFIG, PREPROCESSOR, "tokenizer.json", "spiece.model")
_INSTEAD_OF_TOKENIZER = ("merges.txt", "tokenizer_config.json", "vocab.json", "vocab.txt")
"""What else the ids of a text depend on in a folder without tokenizer.json, besides `*.model`."""
_ADVICE = (
    "take an older checkpoint or fetch the folder again; if you edited it on purpose, delete the checksums.json there"
)


def folder_of(source: str | Path) -> Path:
    """The folder of a model: `source` itself, `source`/model, or the local copy of a model on the Hugging Face hub.

    Raises:
        OpenAlignError: no such folder or name, or no model in it.
    """
    try:
        if (folder := local_folder(Path(source))) is not None:
            return folder
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise OpenAlignError(f"{source}: cannot be read ({getattr(error, 'strerror', error)}).") from None
    try:
        return Path(snapshot_download(str(source), allow_patterns=["*.json", "*.safetensors", "*.txt", "*.model"]))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise OpenAlignError(
            f"{source}: neither a folder nor a model of the Hugging Face hub ({_why_not_downloaded(error)})."
        ) from None


def _why_not_downloaded(error: Exception) -> str:
    if isinstance(error, LocalEntryNotFoundError):
        return "the hub cannot be reached, and there is no downloaded copy"
    if isinstance(error, RepositoryNotFoundError):
        return "it has no such model, or you have no access to it: try `hf auth login`"
    if isinstance(error, HFValidationError):
        return "such a name is OWNER/MODEL"
    return f"{type(error).__name__} while downloading"


def local_folder(folder: Path) -> Path | None:
    """The folder with the `config.json` of a model folder or a run; None if there is no such folder.

    Raises:
        OpenAlignError: the folder is neither.
    """
    recover_folder(folder)
    if not folder.is_dir():
        return None
    if (folder / CONFIG).exists():
        return folder
    recover_folder(folder / "model")  # a RUN folder of `openalign train`
    if (folder / "model" / CONFIG).exists():
        return folder / "model"
    raise OpenAlignError(f"{folder}: no config.json here, so it is no model folder; a run's model is RUN/model.")


def check_folder(folder: Path) -> None:
    """Check a model folder before a library opens a file of it.

    Raises:
        OpenAlignError: a file is not regular, too large, or differs from its checksum; the folder is an adapter, or
            needs its own code.
    """
    check_kinds(folder)
    check_files(folder, _checked_names(folder), _ADVICE)
    if (folder / "adapter_config.json").exists():
        raise OpenAlignError(f"{folder}: is an adapter (adapter_config.json), not a model; merge it into its model.")
    for name in _SETTINGS:
        if (folder / name).exists():
            _check_no_code(read_object(folder / name), folder, name)


def check_kinds(folder: Path) -> None:
    """Check that all files of a folder are regular and not too large.

    Raises:
        OpenAlignError: a FIFO, a device, a dangling link instead of a configuration, or a file that is too large.
    """
    try:
        paths = [*folder.iterdir(), *folder.glob("additional_chat_templates/*")]
    except OSError as error:
        raise OpenAlignError(f"{folder}: cannot be read ({error.strerror}).") from None
    for path in paths:
        if not path.is_dir() and (path.exists() or path.name in _SETTINGS):
            check_file(path, MOST_TOKENIZER_BYTES if path.suffix in _READ_AS_TEXT else MOST_WEIGHT_BYTES)


def _check_no_code(settings: dict[str, Any], folder: Path, name: str) -> None:
    waiting: list[Any] = [settings]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if item.get("auto_map"):
                raise OpenAlignError(
                    f"{folder} needs code of its own (`auto_map` in {name}), which openalign never runs."
                )
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item


def fingerprint_of(folder: Path) -> str:
    """Digest of everything that affects the embeddings: configuration, weights, vocabulary, preprocessing.

    The folder must have passed `check_folder`: files listed in its checksums.json are not read again.
    """
    known = read_checksums(folder) or {}
    digest = hashlib.sha256()
    names = [*_SHAPE_EMBEDDINGS, *sorted(path.name for path in folder.glob("*.safetensors"))]
    if not (folder / PREPROCESSOR).exists():
        names.append(PROCESSOR)
    if not (folder / "tokenizer.json").exists():
        names += [*_INSTEAD_OF_TOKENIZER, *sorted({path.name for path in folder.glob("*.model")} - set(names))]
    for name in names:
        if (folder / name).exists():
            digest.update(name.encode())
            digest.update(bytes.fromhex((known.get(name) or checksum_of(folder / name)).sha256))
    return digest.hexdigest()


def _checked_names(folder: Path) -> list[str]:
    """The files that loading reads, including listed files that are missing."""
    weights = {path.name for path in folder.glob("*.safetensors")}
    listed = {name for name in read_checksums(folder) or () if name.endswith(".safetensors") and "/" not in name}
    return [*_SETTINGS, "tokenizer.json", *sorted(weights | listed)]
