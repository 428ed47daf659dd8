"""Folders of images with texts."""

from pathlib import Path

import numpy as np

from openalign.data.images.decode import encode_jpeg

JPEG = encode_jpeg(np.zeros((8, 12, 3), np.uint8))


def put(folder: Path, **texts: str | None) -> Path:
    """Images in `folder`, each with its text beside it where it has one."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.jpg").write_bytes(JPEG)
        if text is not None:
            (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return folder
