"""One model for all requests: those that arrive while it is busy form its next batch."""

import queue
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Thread

import numpy as np
import torch

from openalign.data.images.read import ImageInput
from openalign.model.dual_encoder import DualEncoder, Pixels

MAX_TOGETHER = 256
"""Number of items (texts or images) from which on a batch takes no further request."""


@dataclass(frozen=True)
class _Job:
    images: Pixels | None = None
    texts: tuple[str, ...] = ()
    result: "Future[torch.Tensor]" = field(default_factory=Future)

    def __len__(self) -> int:
        return len(self.texts) if self.images is None else len(self.images)


class SharedModel(DualEncoder):
    """`model`, called by one thread, in batches that are made of the requests of all threads.

    A request never waits for others to arrive: a batch is made of the requests that came in during the last call.
    """

    def __init__(self, model: DualEncoder) -> None:
        self.name, self.width, self.fingerprint = model.name, model.width, model.fingerprint
        self.image_size, self.temperature = model.image_size, model.temperature
        self._model = model
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    def prepare(self, image: ImageInput) -> Pixels:
        """As `model.prepare`, in the thread of the caller."""
        return self._model.prepare(image)

    def _embed_prepared(self, images: Pixels) -> torch.Tensor:
        return self._answer(_Job(images=images))

    def _embed_text_batch(self, texts: Sequence[str]) -> torch.Tensor:
        return self._answer(_Job(texts=tuple(texts)))

    def close(self) -> None:
        """Process the pending requests, then end the thread."""
        self._jobs.put(None)
        self._thread.join()

    def _answer(self, job: _Job) -> torch.Tensor:
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
        chunks = torch.split(vectors_ND, [len(job) for job in group])
        for job, chunk in zip(group, chunks, strict=True):
            job.result.set_result(chunk)

    @torch.inference_mode()
    def _embed(self, group: list[_Job]) -> torch.Tensor:
        images = [job.images for job in group if job.images is not None]
        if images:
            return self._model._embed_prepared(np.concatenate(images))
        return self._model._embed_text_batch([text for job in group for text in job.texts])
