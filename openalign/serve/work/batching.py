"""One model for all requests: those that arrive while it is busy form its next batch."""

import os
import queue
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Event, Thread

import numpy as np
from numpy.typing import NDArray

from openalign.data.images.header import MAX_PIXELS, read_header
from openalign.data.images.read import ImageInput
from openalign.errors import OpenAlignError
from openalign.model.dual_encoder import DualEncoder, Pixels

MAX_TOGETHER = 256
"""Number of items (texts or images) from which on a batch takes no further request."""
LARGE_PIXELS = 16_000_000
"""Images above this are decoded one at a time: one of 100 million pixels takes a gigabyte meanwhile."""

Observer = Callable[[str, int, float], None]
"""Called after each batch with its kind ("text" or "image"), its number of items and the seconds it took."""


class Abandoned(Exception):
    """The client of this request has gone away, so its work is not done."""


GIVEN_UP: "ContextVar[Event | None]" = ContextVar("GIVEN_UP", default=None)
"""Set when the client of the request that a thread works for has gone away."""


@dataclass(frozen=True)
class _Job:
    images: Pixels | None = None
    texts: tuple[str, ...] = ()
    result: "Future[NDArray[np.float32]]" = field(default_factory=Future)
    given_up: Event | None = field(default_factory=GIVEN_UP.get)

    def __len__(self) -> int:
        return len(self.texts) if self.images is None else len(self.images)


class SharedModel(DualEncoder):
    """`model`, called by one thread, in batches that are made of the requests of all threads.

    A request never waits for others to arrive: a batch is made of the requests that came in during the last call.
    How much may wait is bounded before it comes here (see `queueing.WorkQueue`).
    """

    def __init__(self, model: DualEncoder, observe: Observer = lambda kind, items, seconds: None) -> None:
        self.name, self.width, self.fingerprint = model.name, model.width, model.fingerprint
        self.image_size, self.temperature = model.image_size, model.temperature
        self._model = model
        self._observe = observe
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._decoding = ThreadPoolExecutor(os.cpu_count() or 1, "decoding")
        self._decoding_large = ThreadPoolExecutor(1, "decoding large images")
        self._thread = Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    def prepare(self, image: ImageInput) -> Pixels:
        """As `model.prepare`; as many at once as there are cores, and one large image.

        Decoding has threads of its own, since glibc keeps for each thread some of the memory that it once took: spread
        over the threads of all requests, eight photos of 25 million pixels left a gigabyte behind.
        """
        given_up = GIVEN_UP.get()

        def decode() -> Pixels:
            _check_wanted(given_up)
            return self._model.prepare(image)

        large = isinstance(image, bytes) and pixels_of(image) > LARGE_PIXELS
        return (self._decoding_large if large else self._decoding).submit(decode).result()

    def embed_images(
        self, images: Sequence[ImageInput], batch_size: int = 64, *, progress: bool = False
    ) -> NDArray[np.float32]:
        """As `DualEncoder.embed_images`, but without threads of its own: `prepare` has them."""
        out_ND = np.empty((len(images), self.width), dtype=np.float32)
        for start in range(0, len(images), batch_size):
            prepared = [self.prepare(image) for image in images[start : start + batch_size]]
            out_ND[start : start + len(prepared)] = self.embed_prepared(np.stack(prepared))
        return out_ND

    def _embed_prepared(self, images: Pixels) -> NDArray[np.float32]:
        return self._answer(_Job(images=images))

    def _embed_text_batch(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._answer(_Job(texts=tuple(texts)))

    def close(self, seconds: float | None = None) -> None:
        """Process the pending requests, except those given up, then end the threads; wait for that so long at most."""
        for decoding in (self._decoding, self._decoding_large):
            decoding.shutdown(wait=False, cancel_futures=True)
        self._jobs.put(None)
        self._thread.join(seconds)

    def _answer(self, job: _Job) -> NDArray[np.float32]:
        self._jobs.put(job)
        return job.result.result()

    def _work(self) -> None:
        while (first := self._jobs.get()) is not None:
            group, ended = self._waiting(first)
            self._run([job for job in group if job.images is None])
            self._run([job for job in group if job.images is not None])
            if ended:
                return

    def _waiting(self, first: _Job) -> tuple[list[_Job], bool]:
        """`first` and the requests queued behind it, and whether `close` was called."""
        group = [first]
        while sum(map(len, group)) < MAX_TOGETHER:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return group, True
            group.append(job)
        return group, False

    def _run(self, group: list[_Job]) -> None:
        """Embed the jobs of one kind in one call; if it fails, one by one, so that each gets its own error."""
        group = [job for job in group if _still_wanted(job)]
        if not group:
            return
        try:
            vectors_ND = self._embed(group)
        except Exception as error:
            if len(group) == 1:
                group[0].result.set_exception(error)
            else:
                for job in group:
                    self._run([job])
            return
        chunks = np.split(vectors_ND, np.cumsum([len(job) for job in group])[:-1])
        for job, chunk in zip(group, chunks, strict=True):
            job.result.set_result(chunk)

    def _embed(self, group: list[_Job]) -> NDArray[np.float32]:
        began = time.perf_counter()
        images = [job.images for job in group if job.images is not None]
        if images:
            vectors_ND = self._model.embed_prepared(np.concatenate(images))
        else:
            vectors_ND = self._model.embed_texts([text for job in group for text in job.texts])
        self._observe("image" if images else "text", sum(map(len, group)), time.perf_counter() - began)
        return vectors_ND


def _still_wanted(job: _Job) -> bool:
    """False, and the job fails with `Abandoned`, if its client has gone away."""
    try:
        _check_wanted(job.given_up)
    except Abandoned as error:
        job.result.set_exception(error)
        return False
    return True


def _check_wanted(given_up: Event | None) -> None:
    if given_up is not None and given_up.is_set():
        raise Abandoned


def pixels_of(image: bytes) -> int:
    """From the header, no more than are decoded; 0 if there is none, which is reported when the image is decoded."""
    try:
        header = read_header(image)
    except OpenAlignError:
        return 0
    return min(header.width * header.height, MAX_PIXELS)
