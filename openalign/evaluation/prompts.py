"""Class names as sentences, and sentences as one vector a class (paper section 5.4)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openalign.data.files.json_files import check_file
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
"""Generic wordings: how a thing stands in an alt-text, alone, as photo or drawing, near or far."""


MOST_TEMPLATE_BYTES = 2**20
"""Largest file of templates; CLIP's 80 for ImageNet take 2 KB."""


def read_templates(path: Path) -> tuple[str, ...]:
    """The templates of a text file, one a line; empty lines do not count.

    Raises:
        OpenAlignError: the file cannot be read, is no regular one or larger than 1 MB, is empty, or a line has no `{}`
            or another brace.
    """
    check_file(path, MOST_TEMPLATE_BYTES)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise OpenAlignError(f"{path}: the templates cannot be read ({error}); give a UTF-8 text file.") from None
    numbered = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        raise OpenAlignError(f"{path} holds no template; write one a line, with {{}} where the class name goes.")
    for number, line in numbered:
        check_template(line, f"{path} line {number}")
    return tuple(line for _, line in numbered)


def check_template(template: str, where: str) -> None:
    """Raise OpenAlignError unless `template`, found at `where`, has exactly one place for the class name."""
    if template.count("{}") != 1 or template.count("{") != 1 or template.count("}") != 1:
        raise OpenAlignError(f"{where}: the template {template!r} must hold {{}} once, where the class name goes.")


def embed_labels(
    model: DualEncoder, labels: Sequence[str], templates: Sequence[str] = TEMPLATES
) -> NDArray[np.float32]:
    """One unit vector a class, shape (C, D): the mean of its sentences' embeddings, brought to unit length.

    An underscore in a label, as folders' names have it, reads as a space.
    """
    for template in templates:
        check_template(template, "templates")
    sentences = [template.format(label.replace("_", " ")) for label in labels for template in templates]
    embedded_CTD = model.embed_texts(sentences).reshape(len(labels), len(templates), -1)
    mean_CD: NDArray[np.float32] = embedded_CTD.mean(axis=1)
    # Sentences that point in opposite ways cancel out; such a class then matches nothing, without a division by zero.
    mean_CD /= np.maximum(np.linalg.norm(mean_CD, axis=1, keepdims=True), 1e-12)
    return mean_CD
