"""The interface of models for evaluation, search and service: images and texts in, unit vectors out.

Shapes: N items, D width of the shared embedding, (H, W, 3) one image.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from openalign.data.images.decode import resize
from openalign.data.images.frames import frames_in, further_frames
from openalign.data.images.read import ImageInput
from openalign.data.left_out import Kind, LeftOut
from openalign.errors import OpenAlignError
from openalign.progress import bar

if TYPE_CHECKING:  # an exported model needs no torch, whose import takes seconds
    import torch

    from openalign.data.pairs.pairs import Pairs

T = TypeVar("T")
U = TypeVar("U")

Pixels = NDArray[Any]
"""A prepared image: uint8 (H, W, 3) for ALIGN; for models with their own image processor float32 (3, H, W), or one
element of a structured array where the processor makes several arrays of an image."""

Rows: TypeAlias = "torch.Tensor | NDArray[Any]"
"""Vectors (B, D) as a tower returns them."""

Resize = Callable[[NDArray[np.uint8], int, int], NDArray[np.uint8]]
"""An image (H, W, 3), height and width -> the image resampled to these."""

DECODE_THREADS = 4


class NotFinite(OpenAlignError):
    """Some vectors of a batch are NaN or infinite."""

    def __init__(self, message: str, vectors_BD: NDArray[np.float32]) -> None:
        super().__init__(message)
        self.vectors_BD = vectors_BD
        """All vectors of the batch."""


class DualEncoder(ABC):
    """A model with an image tower and a text tower that share one embedding space."""

    name: str
    """Where it was loaded from."""
    width: int
    """D, the width of the shared embedding."""
    fingerprint: str
    """Hexadecimal digest of weights, configuration and vocabulary, so that vectors of two models are never mixed."""
    image_size: int
    """Side of the square that the image tower sees, in pixels."""
    temperature: float
    """Divisor of cosines before a softmax."""

    @abstractmethod
    def prepare(self, image: ImageInput) -> Pixels:
        """Read one image and crop it for the image tower. Called in threads.

        Raises:
            OpenAlignError: the image cannot be read; the message has its path if it has one.
        """

    @abstractmethod
    def _embed_prepared(self, images: Pixels) -> Rows:
        """Prepared images, stacked -> (B, D), unit rows."""

    @abstractmethod
    def _embed_text_batch(self, texts: Sequence[str]) -> Rows:
        """Texts -> (B, D), unit rows."""

    def embed_images(
        self, images: Sequence[ImageInput], batch_size: int = 64, *, progress: bool = False
    ) -> NDArray[np.float32]:
        """Embed images: paths, encoded bytes, PIL images or arrays (see `read_image`), also mixed.

        Returns:
            float32 of shape (N, D), unit rows, in the order given.

        Raises:
            OpenAlignError: an image cannot be read; the message has its path.
        """
        out_ND = np.empty((len(images), self.width), dtype=np.float32)
        with ThreadPoolExecutor(DECODE_THREADS) as threads:
            done = 0
            for prepared in _batches(threads, self.prepare, images, batch_size, progress):
                out_ND[done : done + len(prepared)] = self.embed_prepared(np.stack(prepared))
                done += len(prepared)
        return out_ND

    def embed_prepared(self, images: Pixels) -> NDArray[np.float32]:
        """Embed a stack of images that `prepare` made -> float32 (B, D), unit rows.

        Raises:
            NotFinite: the model returns NaN or infinity.
        """
        return self._checked(self._embed_prepared(images), len(images))

    def embed_texts(self, texts: Sequence[str], batch_size: int = 256) -> NDArray[np.float32]:
        """Embed texts -> float32 of shape (N, D), unit rows, in the order given.

        Raises:
            OpenAlignError: the model returns NaN or infinity.
        """
        out_ND = np.empty((len(texts), self.width), dtype=np.float32)
        # A batch is padded to its longest text: group texts of similar length.
        order = np.argsort([len(text) for text in texts], kind="stable")
        for start in range(0, len(texts), batch_size):
            rows = order[start : start + batch_size]
            out_ND[rows] = self._checked(self._embed_text_batch([texts[row] for row in rows]), len(rows))
        return out_ND

    def _checked(self, rows_BD: Rows, count: int) -> NDArray[np.float32]:
        """Check shape and values: a NaN embedding would be found by no search, or by every one."""
        array_BD = rows_BD if isinstance(rows_BD, np.ndarray) else rows_BD.float().cpu().numpy()
        vectors_BD = array_BD.astype(np.float32, copy=False)
        if vectors_BD.shape != (count, self.width):
            raise OpenAlignError(
                f"{self.name}: gives embeddings of shape {vectors_BD.shape} instead of {(count, self.width)}; its "
                "image and text towers do not belong together."
            )
        if not np.isfinite(vectors_BD).all():
            raise NotFinite(f"{self.name}: gives embeddings that are not finite; its weights are unusable.", vectors_BD)
        return vectors_BD


def embed_pairs_images(
    model: DualEncoder, pairs: "Pairs", batch_size: int = 64
) -> tuple[NDArray[np.float32], NDArray[np.int64], list[str]]:
    """Embed the images of `pairs`, except those that cannot be read.

    Returns:
        The embeddings (M, D), the row of each (M,), and a message for each image that was left out, and for all further
        pages and frames.
    """
    frames: dict[int, int] = {}

    def prepare(row: int) -> Pixels | str:
        try:
            data = pairs.image_bytes(row)
            pixels = model.prepare(data)
            if (number := frames_in(data)) > 1:
                frames[row] = number
            return pixels
        except OpenAlignError as error:
            message, name = str(error), pairs.row_name(row)
            return message if name in message else f"{name}: {message}"

    vectors: list[NDArray[np.float32]] = []
    kept: list[int] = []
    problems: list[str] = []
    with ThreadPoolExecutor(DECODE_THREADS) as threads:
        start = 0
        for prepared in _batches(threads, prepare, range(len(pairs)), batch_size, progress=True):
            readable = [(start + offset, item) for offset, item in enumerate(prepared) if not isinstance(item, str)]
            problems.extend(LeftOut(Kind.IMAGE_NOT_READ, item) for item in prepared if isinstance(item, str))
            if readable:
                vectors.append(model.embed_prepared(np.stack([item for _, item in readable])))
                kept.extend(row for row, _ in readable)
            start += len(prepared)
    problems += further_frames({pairs.image_name(row): frames[row] for row in sorted(frames)}, pairs.name)
    out_MD = np.concatenate(vectors) if vectors else np.empty((0, model.width), np.float32)
    return out_MD, np.array(kept, dtype=np.int64), problems


def _batches(
    threads: ThreadPoolExecutor, function: Callable[[T], U], items: Sequence[T], batch_size: int, progress: bool
) -> Iterator[list[U]]:
    """Apply `function` in threads, one batch ahead of the model, and show a bar if `progress`."""
    starts = range(0, len(items), batch_size)
    pending: deque[list[Future[U]]] = deque()
    with bar("embed images", len(items)) if progress else nullcontext() as running:
        for start in [*starts, None]:
            if start is not None:
                pending.append([threads.submit(function, item) for item in items[start : start + batch_size]])
            if len(pending) > 1 or (start is None and pending):
                batch = [future.result() for future in pending.popleft()]
                yield batch
                if running is not None:
                    running.advance(len(batch))


def centre_crop(
    image: NDArray[np.uint8], *, resize_size: int, image_size: int, resized: Resize = resize
) -> NDArray[np.uint8]:
    """Resize to a square of `resize_size` and crop the central `image_size` pixels -> uint8 (S, S, 3)."""
    offset = (resize_size - image_size) // 2
    squared = resized(image, resize_size, resize_size)
    return np.ascontiguousarray(squared[offset : offset + image_size, offset : offset + image_size])
