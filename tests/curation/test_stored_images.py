"""The JPEGs that workers left, read back by many threads; what is missing of them is said."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from openalign.curation.images.inspection import StoredImages
from openalign.errors import OpenAlignError


def stored(folder: Path, files: int = 100, images: int = 5) -> list[tuple[dict[str, Any], bytes]]:
    """More files than are held open, and the row and the bytes of each image in them."""
    rows = []
    for number in range(files):
        whole = [bytes([number]) * (20 + image) for image in range(images)]
        (folder / f"{number}.images").write_bytes(b"".join(whole))
        at = 0
        for data in whole:
            rows.append(({"stored_in": f"{number}.images", "stored_at": at, "stored_size": len(data)}, data))
            at += len(data)
    return rows


def test_many_threads_read_each_image_as_it_was_stored(tmp_path: Path) -> None:
    rows = stored(tmp_path) * 4
    with StoredImages(tmp_path) as images, ThreadPoolExecutor(16) as threads:
        assert list(threads.map(lambda row: images.read(row[0]), rows)) == [data for _, data in rows]


def test_a_file_that_was_cut_off_is_named_instead_of_giving_a_part(tmp_path: Path) -> None:
    rows = stored(tmp_path, 1)
    os.truncate(tmp_path / "0.images", 30)
    with StoredImages(tmp_path) as images:
        assert images.read(rows[0][0]) == rows[0][1]
        with pytest.raises(
            OpenAlignError, match=r"0\.images was cut off after it was written: delete .* and run again"
        ):
            images.read(rows[1][0])
    with StoredImages(tmp_path / "gone") as images, pytest.raises(OpenAlignError, match=r"0\.images cannot be read"):
        images.read(rows[0][0])
