"""Batches for training, built in worker processes; the same batches for any number of workers.

Legend: B batch (of this rank), H and W image side in pixels, C = 3 colours, T word pieces.
Samples, crops, flips and dropped words are functions of (seed, step) alone, so a resumed run continues exactly, also
with another number of workers, and with or without the cache of decoded images.
"""

import atexit
import time
import weakref
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, get_worker_info

from openalign.data.images.decode import decode, resize
from openalign.data.images.frames import frames_in
from openalign.data.loading.draws import crops_of_step, word_keys_of_step
from openalign.data.loading.image_cache import ImageCache
from openalign.data.loading.order import samples_of_step
from openalign.data.loading.settings import LoaderSettings
from openalign.data.loading.word_dropout import drop_words
from openalign.data.loading.workers import results, start_worker, where_raised
from openalign.data.pairs.pairs import Pairs, ids_of
from openalign.data.tokenizer.wordpiece import Tokenizer
from openalign.errors import OpenAlignError
from openalign.progress import say

_BATCHES_AHEAD = 4
_CHECKED_EVERY = 16
"""One in so many rows has its stored bytes compared with their digest; comparing all would take 3 % of the time."""
_MOST_UNREADABLE_IN_A_ROW = 20_000
"""More than an img2dataset shard holds, so that a truncated shard does not end a run."""


def _no_ids() -> torch.Tensor:
    return torch.empty(0, dtype=torch.int64)


@dataclass
class Batch:
    """The pairs of a step, or the share of this rank."""

    step: int
    images_BHWC: torch.Tensor
    """uint8."""
    ids_BT: torch.Tensor
    """int64, padded to the longest text of the batch."""
    mask_BT: torch.Tensor
    """int64, 0 on padding."""
    rows_B: NDArray[np.int64]
    """The rows of the pairs, unreadable ones already replaced."""
    image_ids_B: torch.Tensor = field(default_factory=_no_ids)
    """int64, equal for equal images (see `Pairs.image_ids`)."""
    text_ids_B: torch.Tensor = field(default_factory=_no_ids)
    """int64, equal for equal texts, compared before words are dropped."""
    problems: list[str] = field(default_factory=list)
    """A message for each image that could not be read, every time it is drawn."""
    frames: dict[str, int] = field(default_factory=dict)
    """The number of pages or frames of each image that has several, of which the first was taken, as it is decoded."""
    disk_s: float = 0.0
    """Seconds the worker spent reading."""
    decode_s: float = 0.0
    """Seconds the worker spent decoding and resizing."""
    build_s: float = 0.0
    """Seconds the worker spent on the whole batch."""

    def pin_memory(self) -> "Batch":
        """Move the inputs of the model to page-locked memory; torch's loader calls this by name."""
        self.images_BHWC, self.ids_BT = self.images_BHWC.pin_memory(), self.ids_BT.pin_memory()
        self.mask_BT = self.mask_BT.pin_memory()
        return self


class BatchLoader:
    """The batches of steps `first_step` .. `last_step - 1`, in order.

    `rank` of `world_size` gets its slice of every batch. `cache` is a folder for decoded images (see `ImageCache`).
    Raises `OpenAlignError` if there are no pairs, the batch cannot be divided evenly, or no image can be read.
    """

    def __init__(
        self,
        pairs: Pairs,
        tokenizer: Tokenizer,
        settings: LoaderSettings,
        *,
        first_step: int,
        last_step: int,
        rank: int = 0,
        world_size: int = 1,
        cache: Path | None = None,
    ) -> None:
        if len(pairs) == 0:
            raise OpenAlignError(f"{pairs.name} holds no pairs to learn from")
        if settings.batch_size % world_size:
            raise OpenAlignError(
                f"batch_size {settings.batch_size} cannot be divided evenly among {world_size} processes: "
                f"set a multiple of {world_size}"
            )
        kept = _open_cache(cache, pairs, settings.resize_size) if cache is not None else None
        share = settings.batch_size // world_size
        self._batches = _Batches(pairs, tokenizer, settings, slice(rank * share, (rank + 1) * share), kept)
        self._steps = range(first_step, last_step)
        self._workers = settings.workers
        self._pin_memory = settings.pin_memory

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Generator[Batch]:
        running = self._run()
        # At interpreter exit torch leaves its workers to multiprocessing, which would wait for ever, since they ignore
        # SIGTERM. A function that is registered now runs before that.
        atexit.register(_close, weakref.ref(running))
        return running

    def _run(self) -> Generator[Batch]:
        loader = DataLoader(
            self._batches,
            batch_size=None,
            sampler=self._steps,
            num_workers=self._workers,
            prefetch_factor=_BATCHES_AHEAD if self._workers else None,
            collate_fn=_unchanged,
            pin_memory=self._pin_memory,
            worker_init_fn=start_worker,
            generator=torch.Generator(),  # the default draws from the global one, which changes the model's dropout
        )
        with closing(results(loader)) as built:  # ends the workers now, not when a traceback releases this frame
            for batch in built:
                if isinstance(batch, OpenAlignError):
                    raise batch
                yield batch


def _open_cache(folder: Path, pairs: Pairs, side: int) -> ImageCache | None:
    try:
        return ImageCache.open(folder, pairs, side)
    except OSError as error:
        say(f"{folder} cannot be written ({error.strerror}): images are decoded again in every epoch.")
        return None


def _close(running: "weakref.ref[Generator[Batch]]") -> None:
    generator = running()
    if generator is not None:
        generator.close()


class _Batches(Dataset["Batch | OpenAlignError"]):
    """Map-style dataset from step to batch, which runs in the worker processes."""

    def __init__(
        self, pairs: Pairs, tokenizer: Tokenizer, settings: LoaderSettings, share: slice, cache: ImageCache | None
    ) -> None:
        self._pairs = pairs.checked_every(_CHECKED_EVERY)
        self._tokenizer = tokenizer
        self._settings = settings
        self._share = share
        self._cache = cache

    def __getitem__(self, step: int) -> "Batch | OpenAlignError":
        """The batch; an error is returned, because one raised in a worker would arrive wrapped in its traceback."""
        try:
            return self._build(step)
        except OpenAlignError as error:
            return error
        except Exception as error:
            return OpenAlignError(f"the batch of step {step + 1:,} cannot be built: {_describe(error)}")

    def _build(self, step: int) -> Batch:
        began = time.perf_counter()
        settings, side = self._settings, self._settings.image_size
        order = samples_of_step(step, settings.batch_size, len(self._pairs), settings.seed, settings.shuffle_block)
        rows = order[self._share]
        images_BHWC = _sendable(torch.empty((len(rows), side, side, 3), dtype=torch.uint8))
        images = images_BHWC.numpy()
        batch = Batch(step, images_BHWC, torch.empty(0), torch.empty(0), rows)
        boxes_B4, mirrored_B = (drawn[self._share] for drawn in crops_of_step(step, settings))
        for i, ((top, left, height, width), mirror) in enumerate(zip(boxes_B4, mirrored_B, strict=True)):
            image = self._readable_image(batch, i)[top : top + height, left : left + width]
            crop = resize(image, side, side)
            images[i] = crop[:, ::-1] if mirror else crop
        self._add_texts(batch)
        batch.image_ids_B = _sendable(torch.from_numpy(self._pairs.image_ids(batch.rows_B)))
        batch.build_s = time.perf_counter() - began
        return batch

    def _add_texts(self, batch: Batch) -> None:
        texts = self._pairs.texts(batch.rows_B)
        batch.text_ids_B = _sendable(torch.from_numpy(ids_of(texts)))
        if self._settings.word_dropout:
            keys = word_keys_of_step(batch.step, self._settings)[self._share]
            texts = drop_words(texts, self._settings.word_dropout, keys)
        ids, mask = self._tokenizer(texts, self._settings.max_pieces)
        batch.ids_BT, batch.mask_BT = _sendable(torch.from_numpy(ids)), _sendable(torch.from_numpy(mask))

    def _readable_image(self, batch: Batch, i: int) -> NDArray[np.uint8]:
        """The resized image of the i-th row of the batch, or of the next row whose image can be read."""
        count = len(self._pairs)
        first = int(batch.rows_B[i])
        reason = ""
        for skipped in range(min(count, _MOST_UNREADABLE_IN_A_ROW)):
            row = (first + skipped) % count
            try:
                image = self._image(row, batch)
            except OpenAlignError as error:
                reason = reason or str(error)
                continue
            if skipped:
                batch.rows_B[i] = row
                batch.problems.append(f"{reason}; {self._pairs.row_name(row)} takes its place")
            return image
        raise OpenAlignError(
            f"{self._pairs.name}: {skipped + 1:,} consecutive images cannot be read; the first: {reason}"
        )

    def _image(self, row: int, batch: Batch) -> NDArray[np.uint8]:
        """The image of a row at resize_size x resize_size. Raises `OpenAlignError` naming the row."""
        side = self._settings.resize_size
        began = time.perf_counter()
        kept = self._cache.get(row) if self._cache is not None else None
        data = self._pairs.image_bytes(row) if kept is None else b""
        read = time.perf_counter()
        batch.disk_s += read - began
        if kept is not None:
            return kept
        try:
            image = resize(decode(data, min_side=side), side, side)
            if (frames := frames_in(data)) > 1:
                batch.frames[self._pairs.image_name(row)] = frames
        except OpenAlignError as error:
            raise OpenAlignError(f"{self._pairs.row_name(row)}: {error}") from None
        finally:
            batch.decode_s += time.perf_counter() - read
        if self._cache is not None:
            self._cache.put(row, image)
        return image


def _sendable(tensor: torch.Tensor) -> torch.Tensor:
    """In a worker, move the tensor to shared memory here, where a lack of it can be reported."""
    if get_worker_info() is not None:
        tensor.share_memory_()  # type: ignore[no-untyped-call]
    return tensor


def _describe(error: Exception) -> str:
    if "shared memory" in str(error) or "No space left" in str(error):
        return "no shared memory is left; enlarge /dev/shm, or lower workers or batch_size"
    return f"{where_raised(error)}; this is a bug in openalign"


def _unchanged(batch: Any) -> Any:
    return batch
