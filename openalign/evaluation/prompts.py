"""Prompts: class names in sentences, and their embeddings as one vector a class (paper section 5.4)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openalign.data.files.json_files import check_file, read_json
from openalign.errors import OpenAlignError
from openalign.model.dual_encoder import DualEncoder

TEMPLATES = (
    "{}",
    "a {}",
    "the {}",
    "one {} by itself",
    "a photo of a {}",
    "a picture showing a {}",
    "an image with a {} in the middle",
    "a close look at a {}",
    "a {} seen from some distance",
    "a small {}",
    "a large {}",
    "a drawing of a {}",
)
"""Generic prompts, as objects occur in alt-texts: alone, as a photo or drawing, near or far."""


MOST_TEMPLATE_BYTES = 2**20
"""Largest file of templates; CLIP's 80 templates for ImageNet take 2 KB."""


def read_templates(path: Path) -> tuple[str, ...]:
    """The templates of a file: a JSON list (`.json`), else text with one a line; empty lines are ignored.

    Raises:
        OpenAlignError: the file cannot be read, is not a regular file, exceeds 1 MB or is empty, or a template does not
            have `{}` or `{c}`, for the class name, exactly once.
    """
    numbered = _listed(path) if path.suffix.lower() == ".json" else _lines(path)
    if not numbered:
        raise OpenAlignError(f"{path} has no template; write one a line, with {{}} for the class name.")
    for where, template in numbered:
        check_template(template, f"{path} {where}")
    return tuple(template for _, template in numbered)


def check_template(template: str, where: str) -> None:
    """Raise OpenAlignError unless `template`, found at `where`, has `{}` or `{c}` exactly once, and no other brace."""
    bare = template.replace("{c}", "{}")
    if bare.count("{}") != 1 or bare.count("{") != 1 or bare.count("}") != 1:
        raise OpenAlignError(f"{where}: the template {template!r} must have {{}} or {{c}} once, for the class name.")


def prompt(template: str, label: str) -> str:
    """The template with the label in it; an underscore, as in names of class folders, becomes a space."""
    return template.replace("{c}", "{}").replace("{}", label.replace("_", " "))


def embed_labels(
    model: DualEncoder, labels: Sequence[str], templates: Sequence[str] = TEMPLATES
) -> NDArray[np.float32]:
    """One unit vector a class, shape (C, D): the normalized mean of the embeddings of its prompts.

    A prompt is a template with the label in it (see `prompt`).
    """
    for template in templates:
        check_template(template, "templates")
    prompts = [prompt(template, label) for label in labels for template in templates]
    embedded_CTD = model.embed_texts(prompts).reshape(len(labels), len(templates), -1)
    mean_CD: NDArray[np.float32] = embedded_CTD.mean(axis=1)
    # Opposite embeddings may cancel out: such a class then matches nothing, without a division by zero.
    mean_CD /= np.maximum(np.linalg.norm(mean_CD, axis=1, keepdims=True), 1e-12)
    return mean_CD


def _listed(path: Path) -> list[tuple[str, str]]:
    content = read_json(path, MOST_TEMPLATE_BYTES)
    if not isinstance(content, list) or not all(isinstance(each, str) for each in content):
        raise OpenAlignError(f'{path}: must hold a JSON list of templates, such as ["a photo of a {{}}."].')
    return [(f"template {number}", each.strip()) for number, each in enumerate(content, 1)]


def _lines(path: Path) -> list[tuple[str, str]]:
    check_file(path, MOST_TEMPLATE_BYTES)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise OpenAlignError(f"{path}: not UTF-8 at byte {error.start}: save it as UTF-8.") from None
    except OSError as error:
        raise OpenAlignError(f"{path}: the templates cannot be read ({error.strerror}).") from None
    return [(f"line {number}", line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
