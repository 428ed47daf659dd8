"""Prompts: class names in sentences, and their embeddings as one vector a class (paper section 5.4)."""

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
"""Generic prompts, as objects occur in alt-texts: alone, as a photo or drawing, near or far."""


MOST_TEMPLATE_BYTES = 2**20
"""Largest file of templates; CLIP's 80 templates for ImageNet take 2 KB."""


def read_templates(path: Path) -> tuple[str, ...]:
    """The templates of a text file, one a line; empty lines are ignored.

    Raises:
        OpenAlignError: the file cannot be read, is not a regular file, exceeds 1 MB or is empty, or a line does not
            have exactly one `{}`.
    """
    check_file(path, MOST_TEMPLATE_BYTES)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise OpenAlignError(f"{path}: the templates cannot be read ({error}); give a UTF-8 text file.") from None
    numbered = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        raise OpenAlignError(f"{path} has no template; write one a line, with {{}} for the class name.")
    for number, line in numbered:
        check_template(line, f"{path} line {number}")
    return tuple(line for _, line in numbered)


def check_template(template: str, where: str) -> None:
    """Raise OpenAlignError unless `template`, found at `where`, has exactly one `{}`."""
    if template.count("{}") != 1 or template.count("{") != 1 or template.count("}") != 1:
        raise OpenAlignError(f"{where}: the template {template!r} must have {{}} once, for the class name.")


def embed_labels(
    model: DualEncoder, labels: Sequence[str], templates: Sequence[str] = TEMPLATES
) -> NDArray[np.float32]:
    """One unit vector a class, shape (C, D): the normalized mean of the embeddings of its prompts.

    An underscore in a label, as in names of class folders, is replaced by a space.
    """
    for template in templates:
        check_template(template, "templates")
    prompts = [template.format(label.replace("_", " ")) for label in labels for template in templates]
    embedded_CTD = model.embed_texts(prompts).reshape(len(labels), len(templates), -1)
    mean_CD: NDArray[np.float32] = embedded_CTD.mean(axis=1)
    # Opposite embeddings may cancel out: such a class then matches nothing, without a division by zero.
    mean_CD /= np.maximum(np.linalg.norm(mean_CD, axis=1, keepdims=True), 1e-12)
    return mean_CD
