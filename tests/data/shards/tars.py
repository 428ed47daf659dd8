"""Tars of made samples, as people and tools write them."""

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from openalign.data.images.decode import encode_jpeg

Members = Mapping[str, bytes] | Iterable[tuple[str, bytes]]


def jpeg(value: int) -> bytes:
    """A picture that differs from those of other values."""
    return encode_jpeg(np.full((16, 16, 3), value % 256, np.uint8)) + b"%d" % value


def tar_of(path: Path, members: Members, format: int = tarfile.PAX_FORMAT) -> Path:
    """A tar of these members, in their order; a name may come more than once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=format) as tar:
        for name, data in members.items() if isinstance(members, Mapping) else members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def fields(**values: object) -> bytes:
    """The content of a `.json`."""
    return json.dumps(values).encode()
