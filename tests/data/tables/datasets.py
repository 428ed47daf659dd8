"""Datasets as Hugging Face writes them."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa

from openalign.data.images.decode import encode_jpeg

JPEGS = [encode_jpeg(np.full((8, 12, 3), 20 * i, np.uint8)) for i in range(6)]


def stored(first: int, last: int, paths: bool = True) -> pa.Table:
    images = [{"bytes": JPEGS[i], "path": f"{i}.jpg" if paths else None} for i in range(first, last)]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.table({"image": pa.array(images, kind), "text": [f"text {i}" for i in range(first, last)]})


def save_to_disk(folder: Path, *parts: pa.Table) -> Path:
    """The files that `Dataset.save_to_disk` writes."""
    folder.mkdir(parents=True)
    names = [f"data-{number:05d}-of-{len(parts):05d}.arrow" for number in range(len(parts))]
    for name, part in zip(names, parts, strict=True):
        with pa.OSFile(str(folder / name), "wb") as file, pa.ipc.new_stream(file, part.schema) as stream:
            stream.write_table(part, max_chunksize=2)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    (folder / "dataset_info.json").write_text("{}")
    return folder
