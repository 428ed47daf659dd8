"""Folders of vectors without images, and stores of Milvus Lite that hold the same."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from openalign.checksums import checksum_of
from openalign.embedding.columns import Embedded, parquet_writer, schema_of, table_of
from openalign.embedding.manifest import Manifest, Partition, write_manifest
from openalign.model import hub
from openalign.model.dual_encoder import DualEncoder

WIDTH = 16
FINGERPRINT = "feed"


class HashEncoder(DualEncoder):
    """Embeds a text as a direction that its hash chooses."""

    name = "hash"
    width = WIDTH
    fingerprint = FINGERPRINT
    image_size = 1
    temperature = 0.1

    def prepare(self, image):
        pytest.fail("no image is embedded: a collection takes vectors")

    def _embed_prepared(self, images):
        pytest.fail("no image is embedded: a collection takes vectors")

    def _embed_text_batch(self, texts: Sequence[str]):
        return torch.from_numpy(np.stack([direction(text) for text in texts]))


def direction(text: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
    vector_D = np.random.default_rng(seed).standard_normal(WIDTH).astype(np.float32)
    return vector_D / np.linalg.norm(vector_D)


@dataclass(frozen=True)
class Written:
    """An image of a folder of vectors; its bytes are its digest's."""

    key: str
    text: str | None = None
    content: str = ""
    """Equal ones are equal files; "" is unlike all."""
    label: str | None = None
    page: str | None = None
    date: str | None = None
    place: tuple[float, float] | None = None
    fields: dict | None = None
    width: int = 640
    thumbnail: bytes = b""


@pytest.fixture
def write_vectors() -> Callable[..., Path]:
    """Write a folder as `openalign embed` does; an image's vector follows from its bytes."""

    def write(folder: Path, images: Sequence[Written], *, sources=("/photos",), fingerprint=FINGERPRINT) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        rows = [_row(image) for image in images]
        schema = schema_of(WIDTH, thumbnails=True, texts=False)
        name = f"part-{hashlib.sha256(repr(rows).encode()).hexdigest()[:24]}.parquet"
        with parquet_writer(folder / name, schema) as writer:
            writer.write_table(table_of(rows, schema))
        found = checksum_of(folder / name)
        partition = Partition(name, len(rows), WIDTH, found.bytes, found.sha256)
        manifest = Manifest(
            len(rows), WIDTH, "hash", "hash", fingerprint, list(sources), {}, ["a folder"] * len(sources), True, False,
            1024, [partition],
        )  # fmt: skip
        write_manifest(manifest, folder)
        return folder

    return write


def _row(image: Written) -> Embedded:
    content = image.content or f"unlike {image.key}"
    latitude, longitude = image.place or (None, None)
    return Embedded(
        key=image.key, digest=hashlib.blake2b(content.encode(), digest_size=16).digest(),
        vector=direction(content).astype(np.float16), text_vector=None, source=0, text=image.text, page=image.page,
        label=image.label, width=image.width, height=480, bytes=10 * image.width, date=image.date, latitude=latitude,
        longitude=longitude, fields=json.dumps(image.fields) if image.fields else None, thumbnail=image.thumbnail,
    )  # fmt: skip


@pytest.fixture
def lite(tmp_path: Path) -> str:
    """The address of a collection of Milvus Lite that does not exist yet."""
    return f"milvus:{tmp_path}/store.db/photos"


@pytest.fixture(autouse=True)
def texts_are_embedded(monkeypatch) -> None:
    """The model that the manifests name is at hand."""
    monkeypatch.setattr(hub, "load", lambda name: HashEncoder())
